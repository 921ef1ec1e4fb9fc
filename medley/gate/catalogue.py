"""The live catalogue: every object that migrations make, as canonical lines that are the same on any server.

The lines are read with fixed session settings, or one database would have many texts: with `public` on the search
path, a foreign key reads `REFERENCES songs`, and without it `REFERENCES public.songs`.
"""

import asyncpg

from medley.gate import views
from medley.gate.objects import Catalogue, from_rows
from medley.runtime import statements

SQL = statements.load(__file__)

SESSION = {
    "search_path": "",
    "DateStyle": "ISO, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}
# A table that another session drops while we read it: the catalogue's own functions fail on it.
RACED = (asyncpg.UndefinedObjectError, asyncpg.UndefinedTableError, asyncpg.InternalServerError)


async def read(connection: asyncpg.Connection) -> Catalogue:
    """The catalogue as this session sees it, its open transaction included."""
    for _ in range(4):
        try:
            return await _read(connection)
        except RACED:
            continue
    return await _read(connection)


async def _read(connection: asyncpg.Connection) -> Catalogue:
    inside = connection.is_in_transaction()
    async with connection.transaction():
        before = [await connection.fetchval("SELECT current_setting($1)", name) for name in SESSION] if inside else []
        await _set(connection, SESSION)
        rows = await connection.fetch(SQL["catalogue"])
        if inside:  # SET LOCAL outlives a savepoint
            await _set(connection, dict(zip(SESSION, before, strict=True)))
    if connection.get_server_version().major >= 16:
        return from_rows(rows)
    return from_rows(
        (kind, relation, name, views.unqualified(definition) if kind == "view" else definition, facts)
        for kind, relation, name, definition, facts in rows
    )


async def _set(connection: asyncpg.Connection, settings: dict[str, str]) -> None:
    calls = ", ".join(f"set_config(${2 * n + 1}, ${2 * n + 2}, true)" for n in range(len(settings)))
    await connection.fetch(f"SELECT {calls}", *(part for pair in settings.items() for part in pair))
