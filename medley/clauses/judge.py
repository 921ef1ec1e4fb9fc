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

from medley.clauses import objects
from medley.clauses.allowed import refused_use
from medley.clauses.analysed import Uses, uses
from medley.clauses.clock import refuse_clock
from medley.clauses.objects import Named
from medley.clauses.refusal import Refusal, is_of_the_clause, sentence
from medley.clauses.text import Clause
from medley.runtime import statements
from medley.runtime.errors import Transient
from medley.sql.quoting import quote_identifier

SQL = statements.load(__file__)
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

# Fixes what the meaning of a text depends on; for the transaction that judges a clause, and for each that runs it.
RULES = "SET LOCAL standard_conforming_strings = on; SET LOCAL transform_null_equals = off;"
PATIENCE = "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '5s';"
PLAIN = "SET LOCAL search_path = pg_catalog"
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


@dataclass(frozen=True, slots=True)
class Understood:
    """A clause that is fine, as one constraint of the catalogue would hold it.

    `sql` means the same whatever the search path and the session's settings are; `objects` are the functions, types
    and so on that may be altered under it, with what their rows were.
    """

    sql: str
    columns: tuple[str, ...]
    objects: tuple[tuple[Named, str], ...]


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
            await connection.execute(RULES + PATIENCE)
            used = await _uses(connection, scope, clause, params)
            verdict, _ = await checked(connection, clause.field, used)
        finally:
            await transaction.rollback()
        self._verdicts[scope, _digest(clause)] = verdict
        while len(self._verdicts) > self._kept:
            self._verdicts.popitem(last=False)
        return verdict


async def understood(connection: Connection, scope: Scope, clause: Clause, params: Sequence[str]) -> Understood:
    """The clause as Postgres understands it now. Raises what `Judge.judge` raises, and Transient during DDL."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(RULES + PATIENCE)
        used = await _uses(connection, scope, clause, params)
        await connection.execute(PLAIN)
        sql = await connection.fetchval(SQL["expression"], _CONSTRAINT)
        _, before = await checked(connection, clause.field, used)
        versions = await objects.versions(connection, objects.watched(before))
        refuse_clock(clause, params, sql, used.types)
        # What was read before the versions may have been replaced since: what is read after them is not older.
        _, after = await checked(connection, clause.field, used)
    finally:
        await transaction.rollback()
    if before != after:
        raise Transient("what the clause uses is being altered; try again")
    names = [column.name for column in scope.columns]
    columns = names if 0 in used.columns else [names[number - 1] for number in sorted(used.columns)]
    return Understood(sql, tuple(columns), tuple(versions.items()))


def _digest(clause: Clause) -> bytes:
    return hashlib.sha256(clause.template.encode()).digest()


async def _uses(connection: Connection, scope: Scope, clause: Clause, params: Sequence[str]) -> Uses:
    """What the clause stands on, once Postgres has taken it as a constraint. Raises Refusal in its words."""
    columns = ", ".join(f"{quote_identifier(column.name)} {column.type_sql}" for column in scope.columns)
    before = f"CREATE TEMPORARY TABLE {quote_identifier(scope.name)} ({columns}, CONSTRAINT {_CONSTRAINT} CHECK (\n"
    await run_with(connection, before, clause, params, "\n))")
    tree = await connection.fetchval(SQL["constraint"], _CONSTRAINT)
    return await asyncio.to_thread(uses, tree)


async def run_with(connection: Connection, before: str, clause: Clause, params: Sequence[str], after: str) -> None:
    """Run a statement that the clause stands in. Raises Refusal in Postgres's words, with the place in the clause."""
    written = clause.write(params)
    try:
        await connection.execute(f"{before}{written.sql}{after}")
    except asyncpg.PostgresError as error:
        if not is_of_the_clause(error.sqlstate):
            raise
        at = int(error.position) - 1 - len(before) if error.position else None
        location = written.place(at) if at is not None and at >= 0 else None
        text = sentence(error.sqlstate or "", error.message or str(error), location, clause.tokens)
        raise Refusal(clause.field, text) from error


async def checked(connection: Connection, field: str, used: Uses) -> tuple[Verdict, frozenset[Named]]:
    """The verdict, and the catalogue's rows that it was read from. Raises Refusal."""
    functions = await connection.fetch(SQL["functions"], list(used.functions), list(used.operators))
    types = await connection.fetch(SQL["types"], list(used.types), list(used.made))
    reason = refused_use(used, functions, types)
    if reason is not None:
        raise Refusal(field, reason)
    named = {
        *(("function", row["oid"]) for row in functions),
        *(("operator", oid) for oid in used.operators),
        *(("type", row["oid"]) for row in types if not row["is_ours"]),
        *(("collation", oid) for oid in used.collations),
    }
    verdict = Verdict(tells_nothing=not used.may_fail and all(function["leakproof"] for function in functions))
    return verdict, frozenset(named)
