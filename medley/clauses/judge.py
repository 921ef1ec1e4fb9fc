"""Whether a text is one boolean expression over a table's row that reads nothing else: Postgres says so.

It is made the CHECK constraint of a temporary table that has the real one's name and only the columns that may be used,
in a transaction that is rolled back. So Postgres has parsed it, found every name and type, and refused subqueries,
aggregates, window and set-returning functions; it has computed nothing. What is left, whether functions depend on more
than their arguments, is read off the tree that it keeps (`analysed`, `allowed`): the predicate of an index would be
checked by Postgres, but only once functions are inlined, and it accepts no stable function at all.

A verdict holds for every value of the parameters, since these are untyped literals; it is kept, for temporary tables
cost rows of the catalogue. A value that does not fit its type is told by the query itself.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from medley.clauses.allowed import refused_use
from medley.clauses.analysed import uses
from medley.clauses.refusal import Refusal, is_of_the_clause, sentence
from medley.clauses.text import Clause
from medley.runtime import statements
from medley.sql.quoting import quote_identifier

SQL = statements.load(__file__)
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

# Fixes what the meaning of a text depends on; for the transaction that judges a clause, and for each that runs it.
RULES = "SET LOCAL standard_conforming_strings = on; SET LOCAL transform_null_equals = off;"
_PATIENCE = "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '5s';"
_CONSTRAINT = "the_clause"
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class UsableColumn:
    """`type_sql`: type, modifier and collation as a column's definition names them."""

    name: str
    type_sql: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a clause may name: the columns of a row of one table. `name` is the table's, `oid` tells it from others."""

    oid: int
    name: str
    columns: tuple[UsableColumn, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The clause is fine. `tells_nothing`: no error of it can tell of a row that the caller must not see."""

    tells_nothing: bool


class Judge:
    """Judges clauses, and remembers the accepted ones. Any number of requests may share it."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._verdicts: OrderedDict[tuple[Scope, bytes], Verdict] = OrderedDict()

    def known(self, scope: Scope, clause: Clause) -> Verdict | None:
        key = (scope, _digest(clause))
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    async def judge(self, connection: Connection, scope: Scope, clause: Clause, params: Sequence[str]) -> Verdict:
        """Ask Postgres. Raises Refusal; any error of the server's own passes.

        `connection` is in no transaction. Its role must be allowed to make temporary tables.
        """
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(RULES + _PATIENCE)
            verdict = await _verdict(connection, scope, clause, params)
        finally:
            await transaction.rollback()
        self._verdicts[scope, _digest(clause)] = verdict
        while len(self._verdicts) > self._kept:
            self._verdicts.popitem(last=False)
        return verdict


def _digest(clause: Clause) -> bytes:
    return hashlib.sha256(clause.template.encode()).digest()


async def _verdict(connection: Connection, scope: Scope, clause: Clause, params: Sequence[str]) -> Verdict:
    written = clause.write(params)
    columns = ", ".join(f"{quote_identifier(column.name)} {column.type_sql}" for column in scope.columns)
    before = f"CREATE TEMPORARY TABLE {quote_identifier(scope.name)} ({columns}, CONSTRAINT {_CONSTRAINT} CHECK (\n"
    try:
        await connection.execute(f"{before}{written.sql}\n))")
    except asyncpg.PostgresError as error:
        if not is_of_the_clause(error.sqlstate):
            raise
        at = int(error.position) - 1 - len(before) if error.position else None
        location = written.place(at) if at is not None and at >= 0 else None
        text = sentence(error.sqlstate or "", error.message or str(error), location, clause.tokens)
        raise Refusal(clause.field, text) from error
    tree = await connection.fetchval(SQL["constraint"], _CONSTRAINT)
    used = await asyncio.to_thread(uses, tree)
    functions = await connection.fetch(SQL["functions"], list(used.functions), list(used.operators))
    types = await connection.fetch(SQL["types"], list(used.types), list(used.made))
    reason = refused_use(used, functions, types)
    if reason is not None:
        raise Refusal(clause.field, reason)
    return Verdict(tells_nothing=not used.may_fail and all(function["leakproof"] for function in functions))
