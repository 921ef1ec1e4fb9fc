"""The ledger as everybody reads it: which migrations this database has, what they were, and for whom they are fine."""

import asyncpg

from medley.gate.objects import from_json
from medley.gate.records import Applied, Ledger, Started, compat_from
from medley.runtime import statements

SQL = statements.load(__file__)


async def read(connection: asyncpg.Connection, recorded: bool = True) -> Ledger:
    """The ledger in the session's schema; with the recorded catalogue unless told otherwise."""
    shape = await connection.fetchrow(SQL["shape"])
    assert shape is not None
    if not shape["exists"]:
        return Ledger()
    if not shape["complete"]:
        return Ledger(True, tuple(Applied(*row) for row in await connection.fetch(SQL["early_rows"])))
    rows = await connection.fetch(SQL["rows"])
    started = await connection.fetch(SQL["started"]) if shape["started"] else []
    text = await connection.fetchval(SQL["catalogue"]) if recorded else None
    return Ledger(
        True,
        tuple(Applied(*row)._replace(compat=compat_from(row["compat"]) if row["compat"] else None) for row in rows),
        tuple(Started(*row) for row in started),
        from_json(text) if text else None,
    )


async def texts(connection: asyncpg.Connection, filenames: list[str]) -> dict[str, str]:
    """The texts that ran, of those of these files that the ledger holds."""
    shape = await connection.fetchrow(SQL["shape"])
    if not filenames or shape is None or not shape["complete"]:
        return {}
    return {row["filename"]: row["sql"] for row in await connection.fetch(SQL["texts"], filenames)}
