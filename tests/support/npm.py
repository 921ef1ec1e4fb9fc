"""Locked npm packages for tests: installed once into the folder of their lock, by one test run at a time."""

import asyncio
import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import NotHere

_INSTALL = ("ci", "--no-audit", "--no-fund", "--silent")


async def install(folder: Path) -> str:
    """The program `node`, once the folder has what its `package-lock.json` says.

    Raises NotHere without node and npm, or when the packages cannot be had.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotHere("node and npm are not installed")
    await asyncio.to_thread(_locked_install, npm, folder)
    return node


def _locked_install(npm: str, folder: Path) -> None:
    with _alone(folder):
        if _is_installed(folder):
            return
        done = subprocess.run([npm, *_INSTALL], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"npm ci failed in {folder}: {(done.stderr or done.stdout).strip()[-500:]}")


def _is_installed(folder: Path) -> bool:
    """npm keeps what it installed in a lock of its own, written last; optional packages may be of other systems."""
    try:
        there = json.loads((folder / "node_modules" / ".package-lock.json").read_bytes())["packages"]
    except (OSError, ValueError, KeyError):
        return False
    wanted = json.loads((folder / "package-lock.json").read_bytes())["packages"]
    return bool(there == {name: p for name, p in wanted.items() if name and (name in there or not p.get("optional"))})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
