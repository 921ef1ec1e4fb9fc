"""What one statement does to tables, as Postgres says that has analysed it.

PREPARE tells the types of its parameters. A procedure with the statement as its body (`BEGIN ATOMIC`), made and rolled
back, keeps the analysed tree, and there each table stands with the privileges that the statement needs: columns to
select, to insert and to update. Which unique indexes an ON CONFLICT stands on, EXPLAIN says.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from medley.gate.needs import Column
from medley.runtime import statements
from medley.runtime.errors import Permanent
from medley.sql import node_tree
from medley.sql.node_tree import Node

SQL = statements.load(__file__)
_NAME = "contract_statement"
# Privileges, as `requiredPerms` has them, and how far the sets of columns are shifted: system columns come first.
_INSERT, _SELECT, _UPDATE, _DELETE = 1, 2, 4, 8
_SHIFT = 7
_EXCLUDED = "c"  # the kind of relation that `excluded` counts as: it is no table
_ARBITERS = "Conflict Arbiter Indexes"
_FUNCTIONS = ("funcid", "opfuncid", "aggfnoid", "winfnoid")
_FIRST_OF_OURS = 16384  # object ids below are Postgres's own


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a view of ours: its columns by number."""

    name: str
    columns: Mapping[int, tuple[str, Column]]

    def named(self, numbers: frozenset[int]) -> frozenset[str]:
        """The names of these columns; number 0 is the whole row, those below it are Postgres's own."""
        if 0 in numbers:
            return frozenset(name for name, _ in self.columns.values())
        return frozenset(self.columns[number][0] for number in numbers if number > 0)


Relations = Mapping[int, Relation]


@dataclass(frozen=True, slots=True)
class Use:
    """One mention of a table in a statement: None where it is not read, not inserted into, not updated."""

    table: str
    reads: frozenset[str] | None = None
    inserts: frozenset[str] | None = None
    updates: frozenset[str] | None = None
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class Analysed:
    """A statement: every mention of a table, and what each ON CONFLICT stands on, by table."""

    name: str
    uses: tuple[Use, ...]
    arbiters: tuple[tuple[str, tuple[str, ...]], ...] = ()


async def relations_of(connection: asyncpg.Connection) -> dict[int, Relation]:
    """The tables and views of this database, by their object ids."""
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = ''")
        rows = await connection.fetch(SQL["relations"])
    found: dict[int, Relation] = {}
    for oid, relation, number, name, type_, nullable in rows:
        columns = dict(found[oid].columns) if oid in found else {}
        if number is not None:
            columns[number] = (name, Column(type=type_, nullable=nullable))
        found[oid] = Relation(relation, columns)
    return found


async def analyse(connection: asyncpg.Connection, relations: Relations, name: str, text: str) -> Analysed:
    """One statement. Leaves nothing behind. Raises Permanent when Postgres refuses it."""
    try:
        await connection.execute(f"PREPARE {_NAME} AS {text}\n")
        try:
            tree, plan = await _trees(connection, text)
        finally:
            await connection.execute(f"DEALLOCATE {_NAME}")
    except asyncpg.PostgresError as error:
        raise Permanent(f"{name}: Postgres cannot analyse it: {error}") from error
    _refuse_functions_of_ours(name, tree)
    uses = tuple(use for query in _queries(tree) for use in _uses(query, relations))
    return Analysed(name, uses, tuple(await _arbiters(connection, plan)))


async def _trees(connection: asyncpg.Connection, text: str) -> tuple[node_tree.Value, Any]:
    """The analysed tree of the prepared statement, and its plan when it has an ON CONFLICT that stands on something."""
    types = await connection.fetchval(SQL["parameter_types"], _NAME)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(
            f"CREATE PROCEDURE pg_temp.{_NAME}({', '.join(types)}) LANGUAGE sql BEGIN ATOMIC {text}\n; END"
        )
        tree = node_tree.read(await connection.fetchval(SQL["analysed"], _NAME))
        if not any(one.kind == "ONCONFLICTEXPR" for one in node_tree.walk(tree)):
            return tree, None
        # A plan made for all values: one made for NULLs might leave the INSERT out.
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        arguments = f"({', '.join(['NULL'] * len(types))})" if types else ""
        plan = await connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {_NAME}{arguments}")
        return tree, json.loads(plan)
    finally:
        await transaction.rollback()


def _queries(tree: node_tree.Value) -> Iterator[Node]:
    return (node for node in node_tree.walk(tree) if node.kind == "QUERY")


def _uses(query: Node, relations: Relations) -> Iterator[Use]:
    """The tables of one query; queries inside it have their own."""
    permissions = query.nodes("rteperminfos")
    for place, entry in enumerate(query.nodes("rtable"), 1):
        relation = relations.get(entry.number("relid"))
        if entry.number("rtekind") != 0 or entry.fields["relkind"] == _EXCLUDED or relation is None:
            continue
        # Postgres 15 keeps the privileges in the entry itself.
        needed = permissions[entry.number("perminfoindex") - 1] if permissions else entry
        asked, written = needed.number("requiredPerms"), place == query.number("resultRelation")
        yield Use(
            relation.name,
            reads=_columns(needed, "selectedCols", relation) if asked & _SELECT else None,
            inserts=_columns(needed, "insertedCols", relation) if written and asked & _INSERT else None,
            # FOR UPDATE asks for the privilege, too, and updates nothing.
            updates=_columns(needed, "updatedCols", relation) if written and asked & _UPDATE else None,
            deletes=written and bool(asked & _DELETE),
        )


def _columns(needed: Node, field: str, relation: Relation) -> frozenset[str]:
    return relation.named(frozenset(number - _SHIFT for number in needed.numbers(field)))


def _refuse_functions_of_ours(name: str, tree: node_tree.Value) -> None:
    """A contract cannot hold them, and must not pretend that nothing is needed."""
    for node in node_tree.walk(tree):
        if any(node.number(field) >= _FIRST_OF_OURS for field in _FUNCTIONS):
            raise Permanent(f"{name}: it calls a function that is not Postgres's own, which a contract cannot hold yet")


async def _arbiters(connection: asyncpg.Connection, plan: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The tables of a plan that resolve conflicts, each with the keys of an index in which it looks for them."""
    found = []
    for node in _conflicts(plan):
        async with connection.transaction():
            await connection.execute("SET LOCAL search_path = ''")
            rows = await connection.fetch(SQL["index_keys"], node["Schema"], node[_ARBITERS])
        for relation, keys, condition in rows:
            found.append((relation, (*sorted(keys), *([f"WHERE {condition}"] if condition else []))))
    return found


def _conflicts(plan: Any) -> Iterator[dict[str, Any]]:
    parts = plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ()
    if isinstance(plan, dict) and _ARBITERS in plan:
        yield plan
    for part in parts:
        yield from _conflicts(part)
