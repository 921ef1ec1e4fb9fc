"""Read a shape's clause: Postgres says what it is, and whether a simpler way than asking Postgres decides it.

Equalities joined by AND need no analysis: what is compared is checked here, and the rest by planning the clause. All
else is judged as `medley.clauses.judge` does it; what comes of it is the clause as Postgres understood it, and the
versions of what it stands on.
"""

import asyncpg

from medley.clauses import objects
from medley.clauses.clock import may_tell_the_clock
from medley.clauses.judge import RULES, Scope, UsableColumn, understood
from medley.clauses.refusal import Refusal
from medley.clauses.subqueries import has_subquery
from medley.clauses.text import Clause, read
from medley.contracts.shapes import ClauseColumn, ClauseObject, Predicate, ShapeDefinition, Tier
from services.sync.catalog import SQL
from services.sync.conditions import Equal
from services.sync.equalities import Constant, Equality, Term, check_type, parse
from services.sync.predicates.alternatives import Index
from services.sync.predicates.index import index
from services.sync.related.analysis import with_subqueries
from services.sync.table import Refused, Table

Connection = asyncpg.pool.PoolConnectionProxy
Conditions = tuple[Equal, ...]


async def analyse(
    connection: Connection, table: Table, columns: list[ClauseColumn], definition: ShapeDefinition
) -> tuple[Conditions | None, Predicate | None]:
    """Conditions for the index when the clause is no more than that, and the predicate. Raises Refused, Transient.

    `connection` is in no transaction; `columns` are the table's.
    """
    if definition.where is None:
        return None, None
    try:
        clause = read("where", definition.where)
        clause.write(definition.params)
        _all_used(clause, definition.params)
        if has_subquery(clause):
            return None, await with_subqueries(connection, table, clause, definition, columns)
        plain = not may_tell_the_clock(clause, definition.params)
        simple = await _simple(connection, table, definition, columns) if plain else None
        return simple or (None, await _predicate(connection, table, clause, definition.params, columns))
    except Refusal as refusal:
        raise Refused(refusal.field, refusal.text) from refusal


def _all_used(clause: Clause, params: tuple[str, ...]) -> None:
    used = {token.text for token in clause.tokens if token.kind == "number"}
    for number in range(1, len(params) + 1):
        if f"${number}" not in used:
            raise Refusal("params", f"parameter ${number} is not used in the where clause")


async def clause_columns(connection: Connection, table: Table) -> list[ClauseColumn]:
    """What a clause may name."""
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = pg_catalog")
        return [ClauseColumn(**row) for row in await connection.fetch(SQL["clause_columns"], table.oid)]


async def _predicate(
    connection: Connection, table: Table, clause: Clause, params: tuple[str, ...], columns: list[ClauseColumn]
) -> Predicate:
    scope = Scope(table.oid, table.name, tuple(UsableColumn(column.name, column.type_sql) for column in columns))
    found = await understood(connection, scope, clause, params)
    named = tuple(column for column in columns if column.name in found.columns)
    stands_on = dict(found.objects)
    if any(" COLLATE " in column.type_sql for column in named):
        stands_on.update(await objects.versions(connection, [("table", table.oid)]))
    constant = None if named else await _constant(connection, found.sql)
    way = index(found.sql, named) if named else None
    tier: Tier = "constant" if not named else "python" if way is not None and way.exact else "postgres"
    return Predicate(
        sql=found.sql,
        columns=named,
        objects=tuple(ClauseObject(kind=kind, oid=oid, version=text) for (kind, oid), text in stands_on.items()),
        constant=constant,
        tier=tier,
        index=way.shown() if way is not None else (),
    )


async def _constant(connection: Connection, sql: str) -> bool:
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(RULES)
            return bool(await connection.fetchval(f"SELECT ({sql}) IS TRUE"))
    except (asyncpg.DataError, asyncpg.RaiseError) as error:
        raise Refused("where", str(error)) from error


async def _simple(
    connection: Connection, table: Table, definition: ShapeDefinition, columns: list[ClauseColumn]
) -> tuple[Conditions, Predicate] | None:
    """None when it is not equalities alone, or when Postgres does not like them: it will say why."""
    facts = {one.column.name: one for one in table.columns}
    try:
        terms = parse(definition.where or "", definition.params)
        equalities = [term for term in terms if isinstance(term, Equality)]
        for equality in equalities:
            check_type(facts, equality)
    except Refused:
        return None
    sql = " AND ".join(term.sql for term in terms)
    if not equalities or not await _plans(connection, table, sql, terms):
        return None
    try:
        conditions = await _conditions(connection, table, equalities)
    except Refused:
        return None  # `smallint = 40000` is a comparison with another type, and true for no row
    named = {equality.column for equality in equalities}
    found = Index((conditions,), exact=True)
    kept = tuple(column for column in columns if column.name in named)
    return conditions, Predicate(sql=sql, columns=kept, tier="index", index=found.shown())


async def _plans(connection: Connection, table: Table, sql: str, terms: list[Term]) -> bool:
    """Whether Postgres takes the clause, and what is constant in it is true."""
    constants = " AND ".join(f"({term.sql})" for term in terms if isinstance(term, Constant))
    try:
        await connection.execute(f"EXPLAIN SELECT 1 FROM {table.sql} WHERE {sql}")
        return not constants or bool(await connection.fetchval(f"SELECT ({constants}) IS TRUE"))
    except (asyncpg.DataError, asyncpg.SyntaxOrAccessError):
        return False


async def _conditions(connection: Connection, table: Table, equalities: list[Equality]) -> Conditions:
    """Each constant as Postgres writes it in the column's type; one question for all."""
    columns = {facts.column.name: facts for facts in table.columns}
    distinct = list(dict.fromkeys((equality.column, equality.constant) for equality in equalities))
    casts = ", ".join(
        f"pg_catalog.concat((${number}::text)::{columns[name].type_sql})"
        for number, (name, _) in enumerate(distinct, 1)
    )
    try:
        texts = await connection.fetchrow(f"SELECT {casts}", *(constant for _, constant in distinct))
    except asyncpg.DataError as error:
        raise Refused("where", str(error)) from error
    assert texts is not None
    return tuple(
        Equal(name, columns[name].type_name, text) for (name, _), text in zip(distinct, texts.values(), strict=True)
    )
