"""Says what went wrong in a migration: where, what was found, what was needed, what to do."""

import asyncpg

from medley.runtime import statements
from medley.sql.lexer import Lines, Statement
from services.migrator.scratch.check import refusal_of
from services.migrator.sql.directives import Script
from services.migrator.sql.faults import Fault
from services.migrator.sql.locate import locate

SQL = statements.load(__file__)

_REMEDIES: tuple[tuple[type[asyncpg.PostgresError], str], ...] = (
    (asyncpg.InsufficientPrivilegeError, "needed: a role that owns what it changes; run it as the owner"),
    (asyncpg.ReadOnlySQLTransactionError, "needed: a server that takes writes; point POSTGRES_DSN at the primary"),
    (asyncpg.DiskFullError, "needed: free space on the server; make some, then run it again"),
    (asyncpg.OutOfMemoryError, "needed: more memory on the server, or a smaller step; then run it again"),
    (asyncpg.QueryCanceledError, "needed: more time; raise MIGRATE_STATEMENT_TIMEOUT_SECONDS or make it smaller"),
    (asyncpg.UniqueViolationError, "needed: rows without duplicates; clean them up in an earlier migration"),
    (asyncpg.CheckViolationError, "needed: rows that fit; mend them in an earlier migration"),
    (asyncpg.NotNullViolationError, "needed: rows without NULL; fill them in an earlier migration"),
    (asyncpg.ForeignKeyViolationError, "needed: rows that point to something; mend them in an earlier migration"),
    (
        asyncpg.DuplicateTableError,
        "found: made already, not by a migration of this history; see `medley migrate status`",
    ),
)


def explained(script: Script, statement: Statement | None, error: asyncpg.PostgresError) -> str:
    """`file:line:column: what the server said, near what; remedy`; without a statement, at the end of the file."""
    refusal = refusal_of(error)
    offset, near = locate(refusal, statement.text) if statement is not None else (0, "")
    start = statement.offset if statement is not None else len(script.text)
    fault = Fault(script.filename, *Lines(script.text).at(start + offset), refusal.sentence(), near)
    remedy = next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), None)
    return "; ".join([str(fault), *([remedy] if remedy else [])])


def refused(error: asyncpg.PostgresError, doing: str) -> str:
    """The same of what the migrator itself does."""
    remedy = next((f"; {remedy}" for kind, remedy in _REMEDIES if isinstance(error, kind)), "")
    return f"{doing}: {str(error).splitlines()[0]}{remedy}"


async def waiting_for(connection: asyncpg.Connection) -> str:
    """Who may be in the way, in a sentence."""
    rows = await connection.fetch(SQL["blockers"])
    if not rows:
        return "Nobody holds a table now; run it again"
    who = "; ".join(
        f"pid {row['pid']} ({row['application'] or 'no name'}, {row['state']}, in its transaction for "
        f"{row['since'].total_seconds():.0f} s: {row['query']})"
        for row in rows
    )
    return f"Found in the way: {who}. End what is idle in a transaction, then run it again"
