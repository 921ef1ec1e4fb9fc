"""The migrations that a build has with it, and the one way to read such a file: line endings and a byte order mark
do not count, so that a checkout on another system is not another history."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from medley.runtime.errors import ConfigurationError

NAME = re.compile(r"(\d{10})_[a-z0-9_]+\.sql")


class Shipped(NamedTuple):
    """A migration's name and the sha256 of its text."""

    filename: str
    checksum: str


def text_of(path: Path) -> str:
    """The text as it counts. Raises ConfigurationError when it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}); it must be a file") from error


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def shipped(folder: Path) -> tuple[Shipped, ...]:
    """Oldest first. Raises ConfigurationError when the folder is missing."""
    if not folder.is_dir():
        raise ConfigurationError(f"no folder of migrations at {folder}; set SCHEMA_DIR")
    paths = sorted(path for path in folder.glob("*.sql") if NAME.fullmatch(path.name))
    return tuple(Shipped(path.name, checksum(text_of(path))) for path in paths)
