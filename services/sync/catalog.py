"""What Postgres's catalogue says of tables. Its statements are sync's other ones, too."""

from typing import Any

import asyncpg

from medley.contracts.shapes import Column
from medley.runtime import statements
from services.sync.table import ColumnFacts, Refused, Table

SQL = statements.load(__file__)


async def describe(connection: Any, schema: str, name: str, publication: str) -> Table:
    """The table of that name. Raises Refused when there is none, or when it is not a table."""
    row = await connection.fetchrow(SQL["relation"], schema, name, publication)
    shown = f'"{schema}"."{name}"'
    if row is None:
        raise Refused(
            "table",
            f"Table {shown} does not exist. If the table name contains capitals or special characters "
            "you must quote it.",
        )
    if row["kind"] not in ("r", "p"):
        raise Refused("table", f"{shown} is not a table: a shape follows an ordinary or a partitioned table.")
    if row["persistence"] != "p":
        raise Refused("table", f"{shown} is unlogged or temporary: its changes leave no trace that could be followed.")
    if row["followed_as"] is not None:
        raise Refused(
            "table",
            f"{shown} is a partition of {row['followed_as']}, and is followed under that name: follow that one.",
        )
    found = await connection.fetch(SQL["columns"], row["oid"])
    return Table(
        oid=row["oid"],
        schema=schema,
        name=name,
        partitioned=row["kind"] == "p",
        full_identity=row["full_identity"],
        publication_entry=row["publication_entry"],
        virtual=any(r["virtual"] for r in found),
        partitions=row["partitions"],
        late_key=row["late_key"],
        columns=tuple(_facts(r) for r in found if r["published"]),
    )


def _facts(row: asyncpg.Record) -> ColumnFacts:
    column = Column(
        name=row["name"],
        type_oid=row["type_oid"],
        modifier=row["modifier"],
        not_null=row["not_null"],
        pk_index=row["pk_index"],
    )
    return ColumnFacts(column, row["type_name"], row["type_sql"], row["dims"], row["deterministic"])
