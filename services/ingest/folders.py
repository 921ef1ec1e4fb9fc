"""Opens a file for a path that a stranger named, and nothing outside the allowed folders.

The name is resolved first (so a link may stay inside, and is refused when it leads out, whether or not something is
there), then opened part by part without following links: whoever swaps a folder for a link meanwhile gets a refusal.
"""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from medley.runtime.errors import Transient
from services.ingest.refusals import Refused

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # NONBLOCK: a FIFO must not hold us


def open_below(folders: Sequence[Path], path: str) -> BinaryIO:
    """The regular file at `path`. Raises Refused with the reason, or Transient when the disk fails."""
    if not folders:
        raise Refused("path sources are off: set INGEST_ALLOWED_FOLDERS to the folders that may be read")
    if "\x00" in path or not Path(path).is_absolute() or ".." in Path(path).parts:
        raise Refused(f"found path {path!r}, needed an absolute path without '..'")
    try:
        resolved = Path(path).resolve()
        root = next((r for r in map(Path.resolve, folders) if resolved.is_relative_to(r)), None)
        if root is None:
            raise Refused(f"{path} is outside the allowed folders; move the file, or extend INGEST_ALLOWED_FOLDERS")
        descriptor = _walk(root, resolved.relative_to(root).parts)
    except FileNotFoundError as error:
        raise Refused(f"no file at {path}; see that the worker has it under this very path") from error
    except (NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise Refused(f"{path} cannot be opened: {error.strerror}") from error
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) or error.errno in _HOPELESS:
            raise Refused(f"{path} cannot be opened: {error}") from error
        raise Transient(f"{path} cannot be read now: {error.strerror}") from error
    return os.fdopen(descriptor, "rb")


_HOPELESS = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL}


def _walk(root: Path, parts: tuple[str, ...]) -> int:
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        try:
            inner = os.open(part, _OPEN if last else _OPEN | os.O_DIRECTORY, dir_fd=here)
        finally:
            os.close(here)
        here = inner
    if not stat.S_ISREG(os.fstat(here).st_mode):
        os.close(here)
        raise Refused(f"{root.joinpath(*parts)} is not a regular file; name the files of a folder one by one")
    return here
