"""What a request for bytes asks for: the whole, one range, nothing new, or the impossible. Pure (RFC 9110, 13, 14)."""

import re
from dataclasses import dataclass

_SINGLE = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class NotModified:
    """304: the client has it."""


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """416: no byte of the range exists."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """[start, stop); 206 when `partial`, else the whole and 200."""

    start: int
    stop: int
    partial: bool


Wanted = NotModified | Unsatisfiable | Bytes


def wanted(size: int, etag: str, if_none_match: str | None, range_: str | None, if_range: str | None) -> Wanted:
    """Whatever is not a well-formed single range of bytes is ignored, as the RFC asks: the answer is the whole.

    >>> wanted(100, '"x"', None, "bytes=-10", None)
    Bytes(start=90, stop=100, partial=True)
    """
    if if_none_match is not None and _matches(if_none_match, etag):
        return NotModified()
    whole = Bytes(0, size, partial=False)
    match = _SINGLE.fullmatch(range_ or "")
    if match is None or (if_range is not None and if_range.strip() != etag):
        return whole
    first, last = match.groups()
    if not first and not last:
        return whole
    if not first:
        length = min(_number(last), size)
        return Bytes(size - length, size, partial=True) if length else Unsatisfiable()
    start, stop = _number(first), _number(last) + 1 if last else size
    if start >= stop and last:
        return whole  # not a range at all
    return Bytes(start, min(stop, size), partial=True) if start < size else Unsatisfiable()


def _matches(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in (tag.removeprefix("W/") for tag in _TAG.findall(header))


def _number(digits: str) -> int:
    """Endless digits are a large number, not work for us."""
    return int(digits) if len(digits) < 20 else 10**20
