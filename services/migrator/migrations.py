"""Migration files: `<unix timestamp>_<words>.sql`, in the order of their timestamps. Pure but for reading them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from medley.runtime.errors import ConfigurationError, Permanent

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


def plan(files: list[Migration], applied: dict[str, str | None]) -> list[Migration]:
    """What is still to be applied, in order.

    Raises Permanent when an applied file was changed, or when a file is older than one already applied.
    """
    by_name = {migration.filename: migration for migration in files}
    for filename, checksum in applied.items():
        if filename in by_name and checksum not in (None, by_name[filename].checksum):
            raise Permanent(
                f"{filename} was changed after it was applied (found {by_name[filename].checksum[:12]}, "
                f"applied {str(checksum)[:12]}); restore it and put the change into a new migration"
            )
    pending = [migration for migration in files if migration.filename not in applied]
    newest = max(applied, default="")
    for migration in pending:
        if migration.filename < newest:
            raise Permanent(
                f"{migration.filename} is older than {newest}, which is applied already; give it a later timestamp"
            )
    return pending
