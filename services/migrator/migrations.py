"""Migration files: `<unix timestamp>_<words>.sql`, in the order of their timestamps. Pure but for reading them."""

from dataclasses import dataclass
from pathlib import Path

from medley.gate.shipped import NAME, checksum, text_of
from medley.runtime.errors import ConfigurationError

NOT_MIGRATIONS = {"init.sql", "seeds.sql"}


@dataclass(frozen=True, slots=True)
class Migration:
    filename: str
    text: str

    @property
    def checksum(self) -> str:
        """sha256 of the text as `read` normalised it."""
        return checksum(self.text)


def read(folder: Path) -> list[Migration]:
    """Every migration of the folder, oldest first; line endings and a byte order mark do not count.

    Raises ConfigurationError for a missing folder, a file with another name, or two with one timestamp.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"no folder of migrations at {folder}; set SCHEMA_DIR")
    found: dict[str, str] = {}
    migrations = []
    for path in sorted(folder.glob("*.sql")):
        if path.name in NOT_MIGRATIONS or path.name.startswith("."):  # an editor's lock
            continue
        match = NAME.fullmatch(path.name)
        if match is None:
            raise ConfigurationError(
                f"{path} is not named <unix timestamp>_<words>.sql (10 digits, then lower-case words); rename it"
            )
        stamp = match.group(1)
        if stamp in found:
            raise ConfigurationError(f"{found[stamp]} and {path.name} have one timestamp; give one of them a later one")
        found[stamp] = path.name
        migrations.append(Migration(path.name, text_of(path)))
    return migrations
