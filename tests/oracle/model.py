"""A scenario as data: tables, rows, shapes and batches of transactions. It can be written, read, and made smaller."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from medley.sql.quoting import quote_identifier, quote_literal
from tests.oracle.kinds import CONSTANTS, KINDS

_ARGUMENT = re.compile(r"\{(\d+)\}")
Row = dict[str, str | None]
Conflict = Literal["", "nothing", "update"]


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expression(Data):
    """`text` with `{0}`, `{1}` where its arguments go; a constant has `style` instead, and its value as text."""

    text: str | None
    kind: str
    args: tuple["Expression", ...] = ()
    style: Literal["", "literal", "typed", "param", "plain"] = ""

    def write(self, params: list[str] | None = None) -> str:
        """As SQL; parameters go to `params`, and are written out when there is none."""
        if self.style:
            return self._constant(params)
        parts = [arg.write(params) if not arg.args else f"({arg.write(params)})" for arg in self.args]
        return _ARGUMENT.sub(lambda match: parts[int(match[1])], self.text or "")

    def _constant(self, params: list[str] | None) -> str:
        if self.text is None:
            return "NULL"
        if self.style == "plain":
            return self.text
        if self.style == "typed":
            return f"{quote_literal(self.text)}::{constant_type(self.kind)}"
        if params is None or self.style == "literal":
            return f"({quote_literal(self.text)})" if self.style == "param" else quote_literal(self.text)
        params.append(self.text)
        return f"${len(params)}"

    def parts(self) -> Iterator["Expression"]:
        yield self
        for arg in self.args:
            yield from arg.parts()


def constant_type(kind: str) -> str:
    return CONSTANTS[kind][0] if kind in CONSTANTS else KINDS[kind].sql


class TableColumn(Data):
    name: str
    kind: str

    @property
    def sql(self) -> str:
        return quote_identifier(self.name)


class Table(Data):
    """Without a key, its column `rowno` tells rows apart. `dropped`: it has had a column more."""

    name: str
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...]
    dropped: bool = False

    def kind_of(self, column: str) -> str:
        return next(one.kind for one in self.columns if one.name == column)

    def create(self, schema: str) -> str:
        """Its definition, and that of the table that keeps every version of its rows."""
        listed = [f"{one.sql} {KINDS[one.kind].definition}" for one in self.columns]
        key = ", ".join(quote_identifier(name) for name in self.key)
        gone = ["gone text"] if self.dropped else []
        table, history = self.sql(schema), f"{schema}.history_{abs(hash_of(self.name))}"
        return (
            f"CREATE TABLE {table} ({', '.join([*gone, *listed, *([f'PRIMARY KEY ({key})'] if key else [])])});"
            f" {f'ALTER TABLE {table} DROP COLUMN gone;' if gone else ''}"
            f" CREATE TABLE {history} ({', '.join(listed)});"
            f" CREATE FUNCTION {history}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN INSERT INTO {history} SELECT NEW.*; RETURN NULL; END $$;"
            f" CREATE TRIGGER keeps AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {history}()"
        )

    def sql(self, schema: str) -> str:
        return f"{schema}.{quote_identifier(self.name)}"

    def history(self, schema: str) -> str:
        """Every version of its rows, as a relation of its name."""
        return f"(SELECT * FROM {schema}.history_{abs(hash_of(self.name))}) AS {quote_identifier(self.name)}"

    def literal(self, column: str, text: str | None) -> str:
        return "NULL" if text is None else f"{quote_literal(text)}::{KINDS[self.kind_of(column)].sql}"


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "big") % 1_000_003


class Selector(Data):
    """Rows whose column has a value; every row when there is no column."""

    column: str | None = None
    value: str | None = None


class Statement(Data):
    """`undone`: a savepoint around it is rolled back. An update or delete concerns the rows of `selector`."""

    table: int
    operation: Literal["insert", "update", "delete", "truncate"]
    rows: tuple[Row, ...] = ()
    on_conflict: Conflict = ""
    selector: Selector = Selector()
    undone: bool = False

    def write(self, tables: tuple[Table, ...], schema: str) -> str:
        table = tables[self.table]
        name, selector = table.sql(schema), self.selector
        where = "true"
        if selector.column is not None:
            where = f"{quote_identifier(selector.column)} = {table.literal(selector.column, selector.value)}"
        match self.operation:
            case "truncate":
                return f"TRUNCATE {name}"
            case "delete":
                return f"DELETE FROM {name} WHERE {where}"
            case "update":
                changed = self.rows[0].items()
                pairs = ", ".join(f"{quote_identifier(c)} = {table.literal(c, text)}" for c, text in changed)
                return f"UPDATE {name} SET {pairs} WHERE {where}"
            case "insert":
                return self._insert(table, name)

    def _insert(self, table: Table, name: str) -> str:
        columns = list(self.rows[0])
        values = ", ".join(f"({', '.join(table.literal(c, row.get(c)) for c in columns)})" for row in self.rows)
        listed = ", ".join(quote_identifier(column) for column in columns)
        conflict = ""
        if self.on_conflict == "nothing":
            conflict = " ON CONFLICT DO NOTHING"
        elif self.on_conflict == "update" and table.key:
            others = [column for column in columns if column not in table.key] or list(table.key)
            pairs = ", ".join(f"{quote_identifier(c)} = EXCLUDED.{quote_identifier(c)}" for c in others)
            key = ", ".join(quote_identifier(column) for column in table.key)
            conflict = f" ON CONFLICT ({key}) DO UPDATE SET {pairs}"
        return f"INSERT INTO {name} ({listed}) VALUES {values}{conflict}"


class Transaction(Data):
    statements: tuple[Statement, ...]
    undone: bool = False


class Shape(Data):
    """`batch`: when it is opened; `amid` that batch's transactions, or before them."""

    table: int
    where: Expression
    columns: tuple[str, ...] | None = None
    replica: Literal["default", "full"] = "default"
    batch: int = 0
    amid: bool = False


class Scenario(Data):
    seed: str
    tables: tuple[Table, ...]
    rows: tuple[Statement, ...]
    shapes: tuple[Shape, ...]
    batches: tuple[tuple[Transaction, ...], ...]
