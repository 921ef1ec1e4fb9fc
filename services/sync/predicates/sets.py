"""One template, its sets of constants joined to the rows: for which is it true. Pure.

Either the clause is evaluated for each set and row; or, where it has `sides`, what it computes of a row is computed
once for all sets that agree in that, and only compared for each. Both are done on the rows that a set is asked about
and no others: what is computed stands in a fence of its own (MATERIALIZED), as the whole clause does (OFFSET 0).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from medley.contracts.shapes import ClauseColumn
from medley.sql.quoting import quote_identifier
from services.sync.predicates.sides import Sides
from services.sync.predicates.template import Template
from services.sync.predicates.units import Asked, Constants


class Writer:
    """What a statement is written with: names that hide no column of the table, nor the table; and what there is of it
    already, the values of its parameters and its common tables."""

    def __init__(self, table: str, columns: Mapping[str, ClauseColumn]) -> None:
        self.values: list[str] = []
        self.tables: list[str] = []
        self._sign = "~"
        while any(name.startswith(self._sign) for name in (table, *columns)):
            self._sign += "~"
        self.table = quote_identifier(table)
        self._value_of = {name: place for place, name in enumerate(columns)}
        self.rows, self.row, self.number = self("rows"), self("row"), self("number")
        self.set, self.side, self.verdict = self("set"), self("side"), self("verdict")
        self.value, self.limit = self("value"), self("limit")

    def __call__(self, name: str) -> str:
        return quote_identifier(self.plain(name))

    def plain(self, name: str | int) -> str:
        """Without quotes; a number is the place of a value."""
        return f"{self._sign}{name}"

    def column(self, name: str) -> str:
        return quote_identifier(self.plain(self._value_of[name]))

    def shown(self, columns: Sequence[ClauseColumn]) -> str:
        """The row as the clause sees it: its columns under their names, in the table's order."""
        listed = ", ".join(f"{self.row}.{self.column(c.name)} AS {quote_identifier(c.name)}" for c in columns)
        return f"CROSS JOIN LATERAL (SELECT {listed}) AS {self.table}" if columns else ""

    def filled(self, template: Template, source: str) -> str:
        """With its constants as a record set has them."""
        return template.filled(
            tuple(f"{source}.{quote_identifier(self.plain(place))}" for place in range(len(template.types)))
        )


def together(number: int, asked: Sequence[Asked], writer: Writer) -> str:
    """A query of rows `(number, row, sets)`, each counted from 1. All that is asked is alike, and each of it is about
    all rows, or each about some."""
    sides = asked[0].unit.alike.sides
    if sides is not None:
        split = [sides.split(one.unit.constants) for one in asked]
        computed = {own: side for side, own in enumerate(dict.fromkeys(own for own, _ in split), 1)}
        # With almost as many to compute as sets, joining the two costs more than is saved.
        if 2 * len(computed) <= len(asked):
            of_sets = [computed[own] for own, _ in split]
            _compute(number, sides.computed, list(computed), of_sets, asked, writer)
            constants = [(constant,) for _, constant in split]
            if sides.range is not None and asked[0].rows is None:
                return _ordered(number, sides, of_sets, constants, writer)
            return _compare(number, sides, of_sets, constants, asked, writer)
    return _whole(number, asked, writer)


def _whole(number: int, asked: Sequence[Asked], writer: Writer) -> str:
    """The clause of each set and row."""
    unit = asked[0].unit
    limits = [one.rows for one in asked if one.rows is not None]
    sets = _records(writer.set, unit.template, [one.unit.constants for one in asked], {"limit": limits}, writer)
    return (
        f"SELECT {number}, {writer.row}.{writer.number}, pg_catalog.array_agg({writer.row}.{writer.set}) FROM"
        f" (SELECT {writer.set}.{writer.set}, {writer.row}.{writer.number},"
        f" ({writer.filled(unit.template, writer.set)}) AS {writer.verdict}"
        f" FROM {sets} {_rows_of(writer.set, bool(limits), writer)} {writer.shown(unit.columns)} OFFSET 0)"
        f" AS {writer.row} WHERE {writer.verdict} GROUP BY {writer.row}.{writer.number}"
    )


def _compute(
    number: int,
    template: Template,
    constants: Sequence[Constants],
    of_sets: Sequence[int],
    asked: Sequence[Asked],
    writer: Writer,
) -> None:
    """A table of what is computed by each side, for the rows that some set of it is asked about."""
    limits: list[set[int]] = [set() for _ in constants]
    for side, one in zip(of_sets, asked, strict=True):
        limits[side - 1].update(one.rows or ())
    limited = asked[0].rows is not None
    sides = _records(writer.side, template, constants, {"limit": list(map(sorted, limits)) if limited else ()}, writer)
    writer.tables.append(
        f"{writer(f'computed {number}')} AS MATERIALIZED (SELECT {writer.side}.{writer.side},"
        f" {writer.row}.{writer.number}, ({writer.filled(template, writer.side)}) AS {writer.value}"
        f" FROM {sides} {_rows_of(writer.side, limited, writer)} {writer.shown(asked[0].unit.columns)})"
    )


def _compare(
    number: int,
    sides: Sides,
    of_sets: Sequence[int],
    constants: Sequence[Constants],
    asked: Sequence[Asked],
    writer: Writer,
) -> str:
    """It with the constant of each set."""
    limits = [one.rows for one in asked if one.rows is not None]
    sets = _records(writer.set, sides.compared, constants, {"side": of_sets, "limit": limits}, writer)
    rows = f"{writer(f'computed {number}')} AS {writer.row} ON {writer.row}.{writer.side} = {writer.set}.{writer.side}"
    if limits:
        limit = f"{writer.limit}.{writer.limit}"
        sets, rows = f"{sets} {_limits_of(writer.set, writer)}", f"{rows} AND {writer.row}.{writer.number} = {limit}"
    clause = sides.clause(f"{writer.row}.{writer.value}", writer.filled(sides.compared, writer.set))
    return (
        f"SELECT {number}, {writer.row}.{writer.number}, pg_catalog.array_agg({writer.set}.{writer.set})"
        f" FROM {sets} JOIN {rows} WHERE {clause} GROUP BY {writer.row}.{writer.number}"
    )


def _ordered(number: int, sides: Sides, of_sets: Sequence[int], constants: Sequence[Constants], writer: Writer) -> str:
    """The sets of each side in the order of their constants: those below a value are the first ones, and how many these
    are is a binary search. `width_bucket` counts those that are not above it."""
    sets = _records(writer.set, sides.compared, constants, {"side": of_sets}, writer)
    side, value, order = writer.side, f"{writer.row}.{writer.value}", writer("order")
    known, first = writer("constants"), writer("first")
    constant = writer.filled(sides.compared, writer.set)
    # Equal constants need not have equal texts: `first` is the place of the first of them.
    ranked = (
        f"SELECT {writer.set}.{side}, {writer.set}.{writer.set}, {constant} AS {known},"
        f" pg_catalog.rank() OVER (PARTITION BY {writer.set}.{side} ORDER BY {constant}) AS {first} FROM {sets}"
    )
    listed = ", ".join(
        f"pg_catalog.array_agg(x.{name} ORDER BY x.{first}) AS {name}" for name in (writer.set, known, first)
    )
    writer.tables.append(
        f"{writer(f'sets {number}')} AS MATERIALIZED (SELECT x.{side}, {listed} FROM ({ranked}) AS x GROUP BY x.{side})"
    )
    not_above = f"pg_catalog.width_bucket({value}, {order}.{known})"
    below = (
        f"CASE WHEN {order}.{known}[{not_above}] = {value} THEN {order}.{first}[{not_above}] - 1 ELSE {not_above} END"
    )
    chosen = {"<": f"{not_above} + 1:", "<=": f"{below} + 1:", ">": f":{below}", ">=": f":{not_above}"}[
        sides.range or ""
    ]
    return (
        f"SELECT {number}, {writer.row}.{writer.number}, {order}.{writer.set}[{chosen}]"
        f" FROM {writer(f'computed {number}')} AS {writer.row} JOIN {writer(f'sets {number}')} AS {order}"
        f" ON {order}.{side} = {writer.row}.{side} WHERE {value} IS NOT NULL"
    )


def _limits_of(source: str, writer: Writer) -> str:
    return f"CROSS JOIN LATERAL pg_catalog.unnest({source}.{writer.limit}) AS {writer.limit} ({writer.limit})"


def _rows_of(source: str, limited: bool, writer: Writer) -> str:
    """All rows, or those that the record set writer."""
    if not limited:
        return f"CROSS JOIN {writer.rows} AS {writer.row}"
    on = f"{writer.row}.{writer.number} = {writer.limit}.{writer.limit}"
    return f"{_limits_of(source, writer)} JOIN {writer.rows} AS {writer.row} ON {on}"


_FURTHER = {"side": "pg_catalog.int4", "limit": "pg_catalog.int4[]"}


def _records(
    alias: str,
    template: Template,
    constants: Sequence[Constants],
    further: Mapping[str, Sequence[Any]],
    writer: Writer,
) -> str:
    """A record set of constants, with its number, from 1, under its own name; and of what else is given for each."""
    further = {name: listed for name, listed in further.items() if listed}
    keys = [writer.plain(name) for name in (*range(len(template.types)), *further)]
    listed = zip(constants, *further.values(), strict=True)
    records = [dict(zip(keys, (*own, *others), strict=True)) for own, *others in listed]
    writer.values.append(orjson.dumps(records).decode())
    fields = [(kind, template.made_of_text(place)) for place, kind in enumerate(template.types)]
    fields += [(_FURTHER[name], False) for name in further]
    quoted = [(quote_identifier(key), *field) for key, field in zip(keys, fields, strict=True)]
    return f"({record_set(len(writer.values), quoted, alias)} OFFSET 0) AS {alias}"


Field = tuple[str, str, bool]
"""Name, type, and whether it is cast from text: a record's text fields become JSON strings, where it is not."""


def record_set(parameter: int, fields: Sequence[Field], number: str) -> str:
    """A query of what a parameter holds as JSON: each value by its type's input function, and the record's number."""
    record = [f"{name} {'text' if by_cast else kind}" for name, kind, by_cast in fields]
    made = [f", x.{name}{f'::{kind} AS {name}' if by_cast else ''}" for name, kind, by_cast in fields]
    listed = ", ".join(name for name, _, _ in fields)
    source = f"pg_catalog.json_to_recordset(${parameter}::pg_catalog.json) AS ({', '.join(record) or 'nothing text'})"
    return (
        f"SELECT x.{number}::pg_catalog.int4{''.join(made)}"
        f" FROM ROWS FROM ({source}) WITH ORDINALITY AS x ({listed or 'nothing'}, {number})"
    )
