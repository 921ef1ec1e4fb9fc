"""The history hash: which texts ran, in which order. Pure.

h(0) is empty; h(n) = sha256(h(n-1) + filename + checksum), all as UTF-8 text, in hexadecimal; the checksum is the
sha256 of the text with line feeds only and without a byte order mark.
"""

import hashlib
from collections.abc import Iterable


def extend(previous: str, filename: str, checksum: str) -> str:
    """The hash after one more migration."""
    return hashlib.sha256(f"{previous}{filename}{checksum}".encode()).hexdigest()


def steps(files: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The hash after each of (filename, checksum) pairs in the order in which they ran."""
    values, value = [], ""
    for filename, checksum in files:
        value = extend(value, filename, checksum)
        values.append(value)
    return tuple(values)


def chain(files: Iterable[tuple[str, str]]) -> str:
    """The hash after all of them; empty for none."""
    return next(reversed(steps(files)), "")
