"""Which migrations another revision has, as git knows it."""

import re
import subprocess
from pathlib import Path

from medley.runtime.errors import ConfigurationError

_MIGRATION = re.compile(r"\d{10}_[a-z0-9_]+\.sql")


def migrations_at(revision: str, folder: Path) -> set[str]:
    """The names of the migrations of `folder` in `revision` (a branch, a tag, a commit).

    Raises ConfigurationError without git, outside a repository, and for a revision that it does not have.
    """
    if revision.startswith("-"):
        raise ConfigurationError(f"{revision} is no revision; name a branch, a tag or a commit")
    _git(folder, "rev-parse", "--git-dir", remedy="name a folder inside a repository")
    _git(
        folder,
        *("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"),
        remedy=f"fetch {revision} first (in CI: the whole history), or name another revision",
    )
    listed = _git(folder, "ls-tree", "--name-only", "-z", revision, "./", remedy="see that git can read the repository")
    return {name for name in listed.split("\0") if _MIGRATION.fullmatch(name)}


def _git(folder: Path, *arguments: str, remedy: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigurationError(
            "git is not installed, and is needed to compare with a revision; install it"
        ) from error
    if done.returncode:
        said = done.stderr.strip() or f"git {' '.join(arguments)} found nothing"
        raise ConfigurationError(f"{folder}: {said}; {remedy}")
    return done.stdout
