"""`new`: a commented migration with a timestamp of its own."""

import re
import time
import unicodedata
from pathlib import Path

from medley.runtime.errors import ConfigurationError
from services.migrator import migrations

_TEXT = """\
-- {words}.
--
-- Plain SQL, run once, in one transaction; the migrator makes it, so no BEGIN or COMMIT here. Forward only: what is
-- wrong is mended by the next migration. `medley migrate compile` tries it, `medley migrate lint` reads it.
--
-- Expand, migrate, contract: add what new code needs, so that old code goes on (a nullable column, a table, an index);
-- deploy; and remove what nobody uses any more in a later migration.
--
-- Directives, each a comment on a line of its own (here they are in a comment, and do nothing):
--   -- migrate: no-transaction    one statement that cannot run in a transaction, such as CREATE INDEX CONCURRENTLY
--   -- server-only                nothing of this goes into clients' databases
--   -- :electric:txn:start        only what stands between this and
--   -- :electric:txn:end          this goes into clients' databases
--   -- compat: accept writer-breaking reason="…"     also reader-breaking, replica-breaking
--   -- lint: accept <rule> reason="…"
--
-- In place of all this, for example:
--   ALTER TABLE songs ADD COLUMN year integer;
"""
_LAST = 9_999_999_999


def new(folder: Path, name: str) -> Path:
    """Write the file, later than all others, and give its path.

    Raises ConfigurationError for a name without words, and for a folder that is not there or cannot be written.
    """
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "_", plain.replace("'", "")).strip("_")
    if not words:
        raise ConfigurationError(
            f"{name!r} holds no word; say what the migration does: make new name=add_year_to_songs"
        )
    taken = [int(migration.filename[:10]) for migration in migrations.read(folder)]
    stamp = max([int(time.time()), *(each + 1 for each in taken)])
    if stamp > _LAST:
        raise ConfigurationError(f"found a migration of the timestamp {_LAST}, and nothing sorts after it; rename it")
    path = folder / f"{stamp}_{words}.sql"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEXT.format(words=words.replace("_", " ").capitalize()))
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}; choose a shorter name, or another folder "
            "(SCHEMA_DIR) that is writable"
        ) from error
    return path
