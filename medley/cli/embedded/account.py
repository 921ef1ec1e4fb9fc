"""Which account Postgres runs as: it refuses to be root, so root lends it another one.

Parents of the data folder and of the binaries may be closed to that account (a clone in /root). They are left as they
are; Postgres then gets one ambient capability with which it may walk through them, and `no_setuid_fixup`, without which
access(2), which Postgres asks about its own binary, forgets that capability.
"""

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medley.runtime.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Account:
    """`uid` and `gid` are None when we may stay who we are; `prefix` goes in front of the command line."""

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """What subprocess needs to change to this account by itself."""
        if self.prefix or self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, folder: Path) -> None:
        """Give the folder and all that is in it to this account."""
        if self.uid is None or self.gid is None:
            return
        for root, _, files in os.walk(folder):
            for path in (root, *(f"{root}/{name}" for name in files)):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


OURSELVES = Account()


def for_postgres(data: Path, binaries: Path) -> Account:
    """The account for this data folder: ourselves, or, for root, the folder's owner, else `nobody`.

    Raises ConfigurationError when that account cannot reach the folders and `setpriv` is missing.
    """
    if os.geteuid() != 0:
        return OURSELVES
    uid, gid = _lent(data)
    closed = next((path for path in (data.parent, binaries) if not _reachable(path, uid, gid)), None)
    if closed is None:
        return Account(uid, gid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError(
            f"Postgres cannot run as root, and uid {uid} cannot reach {closed}: a folder above it is closed to others. "
            "Install setpriv (package util-linux), or use a --home and a checkout that others may enter."
        )
    prefix = (setpriv, f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--inh-caps=+dac_override")
    return Account(uid, gid, (*prefix, "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"))


def _lent(data: Path) -> tuple[int, int]:
    if data.exists():
        owner = data.stat()
        if owner.st_uid != 0:
            return owner.st_uid, owner.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    # Some systems give `nobody` a negative id, which the kernel shows as a large one.
    return nobody.pw_uid % 2**32, nobody.pw_gid % 2**32


def _reachable(path: Path, uid: int, gid: int) -> bool:
    resolved = path.resolve()
    return all(_may_enter(folder, uid, gid) for folder in (resolved, *resolved.parents) if folder.exists())


def _may_enter(folder: Path, uid: int, gid: int) -> bool:
    status = folder.stat()
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
