"""`seed`: `seeds.sql`, in one transaction; written so that a second time does nothing."""

from pathlib import Path

import asyncpg

from medley.gate import ledger as reading
from medley.gate.shipped import text_of
from medley.runtime.errors import ConfigurationError, Permanent
from services.migrator.commands.report import Report
from services.migrator.explain import explained
from services.migrator.sql.directives import read_script


async def seed(connection: asyncpg.Connection, folder: Path) -> Report:
    """Raises Permanent, with the place, for a statement that fails: then nothing of it is there."""
    path = folder / "seeds.sql"
    if not path.is_file():
        raise ConfigurationError(f"no {path}; set SCHEMA_DIR")
    if not (await reading.read(connection, recorded=False)).applied:
        raise Permanent("found a database without a schema, needed one to fill; run `medley migrate apply` first")
    script = read_script(path.name, text_of(path))
    if script.faults:
        raise Permanent("\n".join(str(fault) for fault in script.faults))
    rows = 0
    async with connection.transaction():
        for statement in script.statements:
            try:
                tag = await connection.execute(statement.text)
            except asyncpg.PostgresError as error:
                raise Permanent(explained(script, statement, error) + "; nothing of it was applied") from error
            rows += int(tag.rsplit(" ", 1)[-1]) if tag.startswith(("INSERT", "UPDATE", "DELETE")) else 0
    return Report(f"seeded: {rows} new rows", {"rows": rows})
