"""A random scenario from a seed: the same seed gives the same one."""

import random
from collections.abc import Iterator
from typing import Literal

from tests.oracle.clauses import Clauses
from tests.oracle.kinds import KINDS
from tests.oracle.model import Expression, Scenario, Shape, Table, TableColumn, Tie, Transaction
from tests.oracle.subqueries import Subqueries
from tests.oracle.writes import ROWNO, Writes

_NAMES = (
    *('Odd "Name', "~0", "~row", "row", "number", "x", "s", "value", "select", "$1", "a::int", "OR", "true", "null"),
    *("größe", "UPPER", "it's", "verdict", "AND", "unnest", "int4", "a b", "set", "rows", "is", "any", "case"),
)
_TABLES = ("t", "T x", "~rows", "c1", "größe", "select", "x")
_KEYS = ("int4", "int8", "text", "uuid", "varchar", "bpchar", "mood", "date", "bool", "numeric", "tz", "german")
_ACTIONS: tuple[Literal["CASCADE", "SET NULL"], ...] = ("CASCADE", "CASCADE", "SET NULL")
# What links tables: each draws one of a group for each of its columns, so that both sides may be of unlike types.
_LINKS = (
    *(("int4",), ("int4", "int8", "small"), ("text",), ("text", "varchar", "c_text"), ("uuid",), ("numeric",)),
    *(("numeric", "money_like"), ("tz",), ("float8",), ("float8", "float4"), ("bpchar",), ("mood",), ("small",)),
    *(("ints",), ("texts",), ("jsonb",), ("jsonb", "document"), ("date",), ("bool",), ("range",), ("pair",)),
    *(("loose",), ("german",), ("ts", "ts0"), ("interval",), ("inet",), ("bytea",), ("name",)),
)  # fmt: skip
_RELATED = 0.38
"""The part of clauses that have subqueries."""


class _Drawing:
    def __init__(self, seed: str, shapes: int, batches: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311
        self.shapes, self.batches = shapes, batches
        self.pools: dict[str, dict[str, tuple[str, ...]]] = {}
        """Table → column → the few values that it has."""

    def scenario(self) -> Scenario:
        names = self.chance.sample(_TABLES, self.chance.choice((1, 2, 2, 2, 3)))
        links = [self._link(name) for name in ("l0", "l1")]
        tables = tuple(self._table(name, links) for name in names)
        ties = tuple(self._ties(tables)) if self.chance.random() < 0.35 else ()
        writes = Writes(self.chance, tables, self.pools)
        rows = tuple(writes.insert(place, 3) for place in range(len(tables)) for _ in range(self.chance.randint(0, 4)))
        shapes = self._shapes(tables)
        batches = tuple(self._batch(writes, shapes, number) for number in range(self.batches))
        return Scenario(seed=self.seed, tables=tables, rows=rows, shapes=shapes, batches=batches, ties=ties)

    def _link(self, name: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """A column that every table may have: its name, what kinds it may be of, and its values."""
        kinds = self.chance.choice(_LINKS)
        shortest = min((KINDS[kind].texts for kind in kinds), key=len)
        texts = [text for text in shortest if all(text in KINDS[kind].texts for kind in kinds)]
        return name, kinds, tuple(self.chance.sample(texts, min(len(texts), 4)))

    def _table(self, name: str, links: list[tuple[str, tuple[str, ...], tuple[str, ...]]]) -> Table:
        count = self.chance.randint(2, 8)
        names = [self.chance.choice(_NAMES) if self.chance.random() < 0.2 else f"c{n}" for n in range(count)]
        columns = [TableColumn(name=n, kind=self.chance.choice(list(KINDS))) for n in dict.fromkeys(names)]
        linked = [TableColumn(name=n, kind=self.chance.choice(kinds)) for n, kinds, _ in links]
        columns += linked[: self.chance.choice((1, 2, 2, 2))]
        key: tuple[str, ...] = ()
        match self.chance.choice(("int", "int", "one", "two", "link", "none")):
            case "none":
                columns.append(TableColumn(name=ROWNO, kind="int4"))
            case "int":
                columns.insert(0, TableColumn(name="id", kind="int4"))
                key = ("id",)
            case "link":
                key = tuple(one.name for one in linked if one in columns)
            case kinds:
                made = [TableColumn(name=f"k{n}", kind=self.chance.choice(_KEYS)) for n in range(1 + (kinds == "two"))]
                columns += made
                key = tuple(one.name for one in self.chance.sample(made, len(made)))
        self.chance.shuffle(columns)
        shared = {n: texts for n, _, texts in links}
        self.pools[name] = {column.name: shared.get(column.name) or self._pool(column) for column in columns}
        dropped, beside = self.chance.random() < 0.15, self.chance.random() < 0.25
        return Table(name=name, columns=tuple(columns), key=key, dropped=dropped, beside=beside)

    def _ties(self, tables: tuple[Table, ...]) -> Iterator[Tie]:
        """Foreign keys to tables whose key is one column, from columns of its kind that may well hold its values."""
        for parent, above in enumerate(tables):
            if len(above.key) != 1:
                continue
            kind = above.kind_of(above.key[0])
            for child, below in enumerate(tables):
                for column in below.columns:
                    if column.kind == kind and column.name not in below.key and self.chance.random() < 0.5:
                        self.pools[below.name][column.name] = self.pools[above.name][above.key[0]]
                        action = self.chance.choice(_ACTIONS)
                        yield Tie(table=child, column=column.name, parent=parent, action=action)

    def _shapes(self, tables: tuple[Table, ...]) -> tuple[Shape, ...]:
        drawn: list[Shape] = []
        busy = self.chance.sample(range(self.batches), min(2, self.batches))
        stalled = self.chance.random() < 0.15
        for _ in range(self.shapes):
            place = self.chance.randrange(len(tables))
            shown = None
            if self.chance.random() < 0.25:
                names = [one.name for one in tables[place].columns]
                shown = tuple(n for n in names if n in tables[place].key or n == ROWNO or self.chance.random() < 0.5)
            early = self.chance.random() < 0.6
            drawn.append(
                Shape(
                    table=place,
                    where=self._where(tables, place, drawn),
                    columns=shown,
                    replica="full" if self.chance.random() < 0.25 else "default",
                    batch=0 if early else self.chance.choice(busy),
                    amid=not early and self.chance.random() < 0.7,
                    stalled=stalled,
                )
            )
        return tuple(drawn)

    def _where(self, tables: tuple[Table, ...], place: int, drawn: list[Shape]) -> Expression:
        clauses = Clauses(self.chance, tables[place], self.pools[tables[place].name])
        twins = [one for one in drawn if one.table == place]
        if twins and self.chance.random() < 0.25:
            return clauses.twin(self.chance.choice(twins).where)
        if self.chance.random() < _RELATED:
            return Subqueries(self.chance, tables, self.pools).clause(place)
        return clauses.clause()

    def _batch(self, writes: Writes, shapes: tuple[Shape, ...], number: int) -> tuple[Transaction, ...]:
        """Long enough that shapes are opened amid it, where some are; by one writer or several."""
        writes.truncates = not any(shape.amid for shape in shapes if shape.batch == number)
        crowded = any(shape.amid and not shape.stalled for shape in shapes if shape.batch == number)
        writers = self.chance.choice((2, 3, 4)) if self.chance.random() < 0.3 else 1
        if crowded and writers == 1:
            return writes.alone(self.chance.choice((30, 60)))
        count = self.chance.choice((20, 40)) if crowded else self.chance.choice((1, 2, 3, 5, 8)) * writers
        paced = writers == 1 and self.chance.random() < 0.4
        late = 0.15 if writers > 1 else 0.0
        return tuple(writes.transaction(self.chance.randrange(writers), late, paced=paced) for _ in range(count))

    def _pool(self, column: TableColumn) -> tuple[str, ...]:
        """Neighbours, and one from anywhere."""
        if column.name in (ROWNO, "id"):
            return tuple(map(str, range(15)))
        texts = KINDS[column.kind].texts
        first = self.chance.randrange(len(texts))
        return (*(texts * 2)[first : first + min(4, len(texts))], self.chance.choice(texts))


def scenario(seed: str, shapes: int = 24, batches: int = 4) -> Scenario:
    return _Drawing(seed, shapes, batches).scenario()
