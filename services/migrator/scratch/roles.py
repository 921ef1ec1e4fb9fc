"""What files say of the whole server, on a server that is not theirs alone: a role is made, when there is none of that
name, and goes when the scratch database goes; the rest (databases, memberships, settings) is left alone.
"""

import contextlib
import re

import asyncpg

from medley.runtime import statements
from medley.sql.lexer import Statement

SQL = statements.load(__file__)
_SERVER_WIDE = re.compile(
    r"""(?:CREATE|ALTER|DROP)\ (?:DATABASE|TABLESPACE|ROLE|USER(?!\ MAPPING)|GROUP|SUBSCRIPTION)\b | ALTER\ SYSTEM\b
    | REASSIGN\ OWNED\b | COMMENT\ ON\ (?:DATABASE|ROLE|TABLESPACE|SUBSCRIPTION)\b
    | (?:GRANT|REVOKE)\b(?!.*?\ ON\ ) | (?:GRANT|REVOKE)\b.*?\ ON\ (?:DATABASE|TABLESPACE|PARAMETER)\b""",
    re.VERBOSE,
)
_MAKES_ROLE = re.compile(r"CREATE (?:ROLE|USER(?! MAPPING)|GROUP)\b")


def is_server_wide(statement: Statement) -> bool:
    """Whether it changes more than the database in which it is run."""
    words = statement.words(4)
    if words[:1] in (
        ("GRANT",),
        ("REVOKE",),
    ):  # of a membership, or on something: how far off that stands, nobody knows
        words = statement.words(len(statement.text))
    return _SERVER_WIDE.match(" ".join(words)) is not None


def makes_role(statement: Statement) -> bool:
    return _MAKES_ROLE.match(" ".join(statement.words(3))) is not None


class Roles:
    """The roles that a session makes. `beside` is another session on the same server.

    Exactly those: what a transaction has made and not committed yet, no other session sees.
    """

    def __init__(self, beside: asyncpg.Connection) -> None:
        self._beside = beside
        self._made: list[str] = []

    async def note(self, connection: asyncpg.Connection) -> None:
        """To be called at the end of each transaction, before its COMMIT."""
        if await connection.fetchval(SQL["changes_roles"]):
            here = [row["rolname"] for row in await connection.fetch(SQL["roles"])]
            others = {row["rolname"] for row in await self._beside.fetch(SQL["roles"])}
            self._made += [name for name in here if name not in others]

    async def drop(self) -> None:
        """Once the scratch database is gone. A role that somebody has begun to use elsewhere stays."""
        for name in self._made:
            with contextlib.suppress(asyncpg.DependentObjectsStillExistError, asyncpg.UndefinedObjectError):
                await self._beside.execute(f"""DROP ROLE "{name.replace('"', '""')}" """)


async def run(connection: asyncpg.Connection, statement: Statement, roles: Roles | None = None) -> None:
    """One statement of a file, as the migrator will run it, but for what it would leave on the server."""
    if not is_server_wide(statement):
        await connection.execute(statement.text)
    elif makes_role(statement):
        inside = connection.is_in_transaction()
        await connection.execute("SAVEPOINT role" if inside else "BEGIN")
        try:
            await connection.execute(statement.text)
            if roles is not None:
                await roles.note(connection)
            await connection.execute("RELEASE role" if inside else "COMMIT")
        except (asyncpg.DuplicateObjectError, asyncpg.InsufficientPrivilegeError):
            # Made already, for a database of this server that is in use; or not ours to make.
            await connection.execute("ROLLBACK TO role; RELEASE role" if inside else "ROLLBACK")
