"""Migration files: `<unix timestamp>_<words>.sql`, in the order of their timestamps. Pure but for reading them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from medley.runtime.errors import ConfigurationError

_NAME = re.compile(r"(\d{10})_[a-z0-9_]+\.sql")
_NOT_MIGRATIONS = {"init.sql", "seeds.sql"}


@dataclass(frozen=True, slots=True)
class Migration:
    filename: str
    text: str

    @property
    def checksum(self) -> str:
        """sha256 of the text as `read` normalised it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(folder: Path) -> list[Migration]:
    """Every migration of the folder, oldest first; line endings and a byte order mark do not count.

    Raises ConfigurationError for a missing folder, a file with another name, or two with one timestamp.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"no folder of migrations at {folder}; set SCHEMA_DIR")
    found: dict[str, str] = {}
    migrations = []
    for path in sorted(folder.glob("*.sql")):
        if path.name in _NOT_MIGRATIONS:
            continue
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ConfigurationError(
                f"{path} is not named <unix timestamp>_<words>.sql (10 digits, then lower-case words); rename it"
            )
        stamp = match.group(1)
        if stamp in found:
            raise ConfigurationError(f"{found[stamp]} and {path.name} have one timestamp; give one of them a later one")
        found[stamp] = path.name
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        migrations.append(Migration(path.name, text))
    return migrations
