"""A clause with subqueries, as Postgres understands it: as a view, in a transaction that is rolled back.

The temporary table has the real one's name and only the columns that may be used; subqueries read real tables. A second
relation beside it makes Postgres write every column with the name of its table.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import asyncpg

from medley.clauses import objects
from medley.clauses.analysed import uses
from medley.clauses.clock import refuse_clock
from medley.clauses.form import Form, NotUnderstood, Subquery, form
from medley.clauses.judge import PATIENCE, PLAIN, RULES, Connection, Scope, checked, run_with
from medley.clauses.objects import Named
from medley.clauses.reads import FRAME, NotSupported, Reads, reads
from medley.clauses.refusal import Refusal
from medley.clauses.text import Clause
from medley.runtime import statements
from medley.runtime.errors import Transient
from medley.sql.lexer import lex
from medley.sql.quoting import quote_identifier

SQL = statements.load(__file__)

_VIEW = "the~clause"
_BESIDE = "beside~the~clause"


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table that subqueries read, with the columns that they name."""

    oid: int
    schema: str
    name: str
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Related:
    """A clause that is fine: `sql` names every table with its schema. `columns`: those of the clause's own table."""

    sql: str
    columns: frozenset[str]
    tables: tuple[ReadTable, ...]
    objects: tuple[tuple[Named, str], ...]


def has_subquery(clause: Clause) -> bool:
    return any(token.upper == "SELECT" for token in clause.tokens if token.kind == "word")


async def related(
    connection: Connection, scope: Scope, schema: str, partitioned: bool, clause: Clause, params: Sequence[str]
) -> Related:
    """Raises Refusal, and Transient during DDL. `connection` is in no transaction; `schema` is that of the table, which
    may be a `partitioned` one."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(RULES + PATIENCE)
        await _make_view(connection, scope, clause, params)
        tree = await connection.fetchval(SQL["view_tree"], _VIEW)
        await connection.execute(PLAIN)
        text = await connection.fetchval(SQL["view_text"], _VIEW)
        used = await asyncio.to_thread(uses, tree, FRAME)
        _, before = await checked(connection, clause.field, used)
        versions = await objects.versions(connection, objects.watched(before))
        _, after = await checked(connection, clause.field, used)
        refuse_clock(clause, params, text, used.types)
        found = await asyncio.to_thread(reads, tree)
        rows = await connection.fetch(SQL["read_tables"], list(found.columns))
        whole = {(row["schema_name"], row["name"]) for row in rows if row["partitioned"]}
        whole |= {(schema, scope.name)} if partitioned else set()
        understood = _with_names(form(_condition(text)), schema, whole)
    except (NotSupported, NotUnderstood) as error:
        raise Refusal(clause.field, str(error)) from error
    finally:
        await transaction.rollback()
    if before != after:
        raise Transient("what the clause uses is being altered; try again")
    own, tables = _tables(clause.field, form(understood), rows, found, scope, schema)
    return Related(understood, own, tables, tuple(versions.items()))


async def _make_view(connection: Connection, scope: Scope, clause: Clause, params: Sequence[str]) -> None:
    table, beside = quote_identifier(scope.name), quote_identifier(_BESIDE)
    columns = ", ".join(f"{quote_identifier(column.name)} {column.type_sql}" for column in scope.columns)
    await connection.execute(f"CREATE TEMPORARY TABLE {table} ({columns}); CREATE TEMPORARY TABLE {beside} ()")
    view = f"CREATE TEMPORARY VIEW {quote_identifier(_VIEW)} AS SELECT 1 AS one"
    await run_with(connection, f"{view} FROM pg_temp.{table}, pg_temp.{beside} WHERE (\n", clause, params, "\n)")


def _condition(view: str) -> str:
    """What stands after the outer WHERE."""
    depth = 0
    for token in lex(view):
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0 and token.kind == "word" and token.upper == "WHERE":
            return view[token.end :].rstrip().removesuffix(";").strip()
    raise ValueError("a view without a condition")


def _with_names(clause: Form, schema: str, whole: Collection[tuple[str, str]]) -> str:
    """The clause's text, its own table named as the others. Of tables that inherit, a subquery reads the named one's
    own rows, as a shape does; `whole` are those that are partitioned."""

    def name(one: Subquery) -> str:
        place = (one.schema or schema, one.table)
        return f"{'' if place in whole else 'ONLY '}{'.'.join(map(quote_identifier, place))}"

    return clause.write(name).strip()


def _tables(
    field: str, understood: Form, rows: Sequence[asyncpg.Record], found: Reads, scope: Scope, schema: str
) -> tuple[frozenset[str], tuple[ReadTable, ...]]:
    """The columns that are read of the clause's own table, and the tables that subqueries read: itself may be one."""
    columns: dict[tuple[str, str], frozenset[str]] = {}
    oids: dict[tuple[str, str], int] = {(schema, scope.name): scope.oid}
    for row in rows:
        names = {int(number): name for number, name in json.loads(row["columns"] or "{}").items()}
        place = (schema if row["is_ours"] else row["schema_name"], row["name"])
        oids.setdefault(place, row["oid"])
        used = frozenset(names[number] for number in found.columns[row["oid"]])
        columns[place] = columns.get(place, frozenset()) | used
    tables = {}
    for one in understood.walk():
        place = (one.schema or "", one.table)
        if place not in columns:
            raise Refusal(field, f"a subquery reads {one.table}, which is not a table that can be followed")
        tables[place] = ReadTable(oids[place], *place, columns[place])
    return columns.get((schema, scope.name), frozenset()), tuple(tables.values())
