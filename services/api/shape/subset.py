"""Subset snapshots (protocol section 1.7): some rows of a shape as they stand now, asked of Postgres.

The order, in one REPEATABLE READ transaction: lock the table against DDL → take the snapshot and compare the table with
the shape's record → a place in the log → the rows. A clause that is not known yet is judged in between, which needs a
transaction of its own, and all is begun again.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from medley.clauses import text as clauses
from medley.clauses.judge import RULES, Connection, Judge, Scope, UsableColumn, Verdict
from medley.clauses.order import order_by
from medley.clauses.refusal import Refusal, is_of_the_clause, sentence
from medley.clauses.text import Clause
from medley.contracts.shapes import ShapeRecord
from medley.runtime import statements
from medley.runtime.errors import Transient
from medley.sql.quoting import quote_identifier, storable
from services.api.shape.asked import SubsetAsked
from services.api.shape.response import NO_STORE, Response, Streamed
from services.api.shape.subset_body import SubsetBody, TooLarge, metadata
from services.api.shape.subset_query import Source, Statement, conditions_sql, statement
from services.api.shape.tail import Gone

SQL = statements.load(__file__)

_CONNECTION_SECONDS = 10.0
_TRIES = 5
_GRACE = 5.0  # Postgres ends a statement itself before asyncpg gives up
_AT_ONCE = 4  # of the pool's connections
_COPY = len("COPY (")  # what asyncpg puts before a query
_BIGINT = 2**63


@dataclass(frozen=True, slots=True)
class _Seen:
    """The table as the transaction sees it, and the two clauses that will be run on it."""

    source: Source
    verdict: Verdict | None
    snapshot: str
    lsn: int


class Subsets:
    """Answers for one database. `seconds` is the most that one may take, `at_once` how many connections are used."""

    def __init__(self, pool: asyncpg.Pool, seconds: float = 30, at_once: int = _AT_ONCE) -> None:
        self._pool = pool
        self._seconds = seconds
        self._rules = f"{RULES}SET LOCAL statement_timeout = {seconds * 1000:.0f}; SET LOCAL lock_timeout = '5s';"
        self._judge = Judge()
        self._free = asyncio.Semaphore(at_once)

    async def answer(self, record: ShapeRecord, asked: SubsetAsked) -> Streamed | Response:
        """The rows, or a refusal with its reasons. Raises Gone, and what `medley.runtime.postgres` lists."""
        try:
            clause = _checked(asked)
            async with self._place(), self._pool.acquire(timeout=_CONNECTION_SECONDS) as connection:
                return await self._answer(connection, record, asked, clause)
        except Refusal as refusal:
            return refused(refusal)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the few that may ask Postgres at once. Raises Transient when none is free in time."""
        try:
            await asyncio.wait_for(self._free.acquire(), _CONNECTION_SECONDS)
        except TimeoutError:
            raise Transient("too many subsets are being read; try again") from None
        try:
            yield
        finally:
            self._free.release()

    async def _answer(
        self, connection: Connection, record: ShapeRecord, asked: SubsetAsked, clause: Clause | None
    ) -> Streamed | Response:
        for _ in range(_TRIES):
            unknown: Unjudged
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    seen = await self._look(connection, record, asked, clause)
                    return await self._rows(connection, record, asked, clause, seen)
            except Unjudged as found:
                unknown = found
            await self._judge.judge(connection, unknown.scope, unknown.clause, unknown.params)
        raise Transient("the table is being altered; try again")

    async def _look(
        self, connection: Connection, record: ShapeRecord, asked: SubsetAsked, clause: Clause | None
    ) -> _Seen:
        """Lock the table and see it. Raises Gone, Refusal for columns that it has not, Unjudged for a new clause."""
        definition = record.definition
        relation = f"{quote_identifier(definition.schema_name)}.{quote_identifier(definition.table)}"
        try:
            # Neither SET nor LOCK takes the snapshot.
            await connection.execute(f"{self._rules}LOCK TABLE ONLY {relation} IN ACCESS SHARE MODE")
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.WrongObjectTypeError) as error:
            raise Gone(str(error)) from error
        row = await connection.fetchrow(SQL["table"], record.relation_oid, definition.schema_name, definition.table)
        if row is None or not _is_the_same(row, record):
            raise Gone("the table was replaced or altered")
        columns = tuple(map(UsableColumn, row["names"], row["types_sql"]))
        usable = _usable(columns, record, asked.queryable)
        own = self._own(Scope(record.relation_oid, definition.table, columns), record)
        verdict = self._known(Scope(record.relation_oid, definition.table, usable), clause, asked.params)
        names = tuple(column.name for column in usable)
        source = Source(definition.schema_name, definition.table, row["partitioned"], names, own)
        return _Seen(source, verdict, row["snapshot"], row["lsn"])

    async def _rows(
        self, connection: Connection, record: ShapeRecord, asked: SubsetAsked, clause: Clause | None, seen: _Seen
    ) -> Streamed:
        made = _statement(record, asked, clause, seen)
        mark = random.getrandbits(31)
        body = SubsetBody(record, metadata(seen.snapshot, mark, seen.lsn), mark)
        deadline = self._seconds + _GRACE
        try:
            await connection.copy_from_query(made.sql, output=body.take, format="text", timeout=deadline)
        except BaseException as error:
            body.discard()
            raise _translated(error, made) from error
        length = str(body.finish()).encode()
        return Streamed(200, body.blocks(), [(b"content-type", b"application/json"), (b"content-length", length)])

    def _own(self, scope: Scope, record: ShapeRecord) -> str | None:
        """The shape's own clause as SQL; what its conditions do not say is judged as any other clause."""
        definition = record.definition
        if record.conditions is not None:
            return conditions_sql(record.conditions) or None
        if record.predicate is not None:
            return f"({record.predicate.sql})"
        if definition.where is None:
            return None
        clause = clauses.read("where", definition.where)
        self._known(scope, clause, definition.params)
        return f"(\n{clause.write(definition.params).sql}\n)"

    def _known(self, scope: Scope, clause: Clause | None, params: tuple[str, ...]) -> Verdict | None:
        if clause is None:
            return None
        verdict = self._judge.known(scope, clause)
        if verdict is None:
            raise Unjudged(scope, clause, params)
        return verdict


class Unjudged(Exception):
    """A clause that must be judged first."""

    def __init__(self, scope: Scope, clause: Clause, params: tuple[str, ...]) -> None:
        super().__init__(clause.text)
        self.scope, self.clause, self.params = scope, clause, params


def refused(refusal: Refusal) -> Response:
    """400; `subset` alone is the field of what is wrong with the request as a whole."""
    reason: Any = [refusal.text] if refusal.field == "subset" else {refusal.field: [refusal.text]}
    return Response(400, orjson.dumps({"message": "Invalid request", "errors": {"subset": reason}}), NO_STORE)


def _checked(asked: SubsetAsked) -> Clause | None:
    """The clause, once all that can be told without Postgres is fine. Raises Refusal."""
    if asked.order_by is None and (asked.limit is not None or asked.offset is not None):
        raise Refusal("order_by", "order_by is required when limit or offset is present")
    if asked.limit is not None and not 0 < asked.limit < _BIGINT:
        raise Refusal("limit", "must be greater than 0")
    if asked.offset is not None and not 0 <= asked.offset < _BIGINT:
        raise Refusal("offset", "must be greater than or equal to 0")
    if not all(map(storable, asked.params)):
        raise Refusal("params", "must be text that Postgres can hold: no NUL, no lone surrogates")
    if asked.where is None:
        return None
    clause = clauses.read("where", asked.where)
    clause.write(asked.params)  # each parameter has a value
    return clause


def _is_the_same(row: asyncpg.Record, record: ShapeRecord) -> bool:
    """Whether every column of the shape is still there, as it was."""
    found = dict(zip(row["names"], zip(row["type_oids"], row["modifiers"], strict=True), strict=True))
    return all(found.get(column.name) == (column.type_oid, column.modifier) for column in record.columns)


def _usable(
    columns: tuple[UsableColumn, ...], record: ShapeRecord, queryable: tuple[str, ...] | None
) -> tuple[UsableColumn, ...]:
    """The columns that the request's clause and order may use. Raises Refusal."""
    if queryable is None:
        return columns
    if unknown := [name for name in queryable if name not in {column.name for column in columns}]:
        text = f"The following columns are not found on the table: {', '.join(unknown)}"
        raise Refusal("queryable_columns", text)
    if hidden := [column.name for column in record.columns if column.name not in queryable]:
        raise Refusal("queryable_columns", f"The list must include all selected columns, missing: {', '.join(hidden)}")
    return tuple(column for column in columns if column.name in queryable)


def _statement(record: ShapeRecord, asked: SubsetAsked, clause: Clause | None, seen: _Seen) -> Statement:
    """Raises Refusal for an order that is none."""
    usable = seen.source.usable
    order = order_by(asked.order_by, record.definition.table, usable) if asked.order_by is not None else ""
    return statement(
        seen.source,
        [column.name for column in record.columns],
        (clause, clause.write(asked.params)) if clause is not None else None,
        order,
        asked.limit,
        asked.offset,
        fenced=seen.verdict is not None and not seen.verdict.tells_nothing,
    )


def _translated(error: BaseException, made: Statement) -> BaseException:
    """What the request is to be told; the error itself when it is not the request's."""
    if isinstance(error, TooLarge):
        return Refusal("subset", "is too large for one response: ask for it in pages, with limit and order_by")
    if isinstance(error, asyncpg.QueryCanceledError):
        return Refusal("subset", "takes too long: ask for less, or for what an index finds")
    if not isinstance(error, asyncpg.PostgresError) or not is_of_the_clause(error.sqlstate):
        return error
    at = int(error.position) - 1 - _COPY if error.position else None
    location = made.location(at) if at is not None else None
    message = error.message or str(error)
    if made.clause is None or (at is not None and location is None):
        return Refusal("order_by", message)
    return Refusal("where", sentence(error.sqlstate or "", message, location, made.clause.tokens))
