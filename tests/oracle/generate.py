"""A random scenario from a seed: the same seed gives the same one."""

import random

from tests.oracle.clauses import Clauses
from tests.oracle.kinds import KINDS
from tests.oracle.model import Conflict, Row, Scenario, Selector, Shape, Statement, Table, TableColumn, Transaction

_NAMES = (
    *('Odd "Name', "~0", "~row", "row", "number", "x", "s", "value", "select", "$1", "a::int", "OR", "true", "null"),
    *("größe", "UPPER", "it's", "verdict", "AND", "unnest", "int4", "a b", "set", "rows", "is", "any", "case"),
)
_TABLES = ("t", "T x", "~rows", "c1", "größe", "select", "x")
_KEYS = ("int4", "int8", "text", "uuid", "varchar", "bpchar", "mood", "date", "bool", "numeric", "tz", "german")
ROWNO = "rowno"


class _Drawing:
    def __init__(self, seed: str, shapes: int, batches: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311
        self.shapes, self.batches = shapes, batches
        self.rowno = 0
        self.pools: dict[str, dict[str, tuple[str, ...]]] = {}
        """Table → column → the few values that it has."""

    def scenario(self) -> Scenario:
        names = self.chance.sample(_TABLES, self.chance.choice((1, 1, 2)))
        tables = tuple(self._table(name) for name in names)
        rows = tuple(
            self._insert(tables, place, 3) for place in range(len(tables)) for _ in range(self.chance.randint(0, 4))
        )
        shapes = self._shapes(tables)
        crowded = {shape.batch for shape in shapes if shape.amid}
        batches = tuple(self._batch(tables, number in crowded) for number in range(self.batches))
        return Scenario(seed=self.seed, tables=tables, rows=rows, shapes=shapes, batches=batches)

    def _table(self, name: str) -> Table:
        count = self.chance.randint(4, 11)
        names = [self.chance.choice(_NAMES) if self.chance.random() < 0.2 else f"c{n}" for n in range(count)]
        columns = [TableColumn(name=n, kind=self.chance.choice(list(KINDS))) for n in dict.fromkeys(names)]
        key: tuple[str, ...] = ()
        match self.chance.choice(("int", "int", "one", "two", "none")):
            case "none":
                columns.append(TableColumn(name=ROWNO, kind="int4"))
            case "int":
                columns.insert(0, TableColumn(name="id", kind="int4"))
                key = ("id",)
            case kinds:
                made = [TableColumn(name=f"k{n}", kind=self.chance.choice(_KEYS)) for n in range(1 + (kinds == "two"))]
                columns += made
                key = tuple(one.name for one in self.chance.sample(made, len(made)))
        self.chance.shuffle(columns)
        self.pools[name] = {column.name: self._pool(column) for column in columns}
        return Table(name=name, columns=tuple(columns), key=key, dropped=self.chance.random() < 0.15)

    def _shapes(self, tables: tuple[Table, ...]) -> tuple[Shape, ...]:
        drawn: list[Shape] = []
        busy = self.chance.sample(range(self.batches), min(2, self.batches))
        for _ in range(self.shapes):
            place = self.chance.randrange(len(tables))
            clauses = Clauses(self.chance, tables[place], self.pools[tables[place].name])
            twins = [one for one in drawn if one.table == place]
            if twins and self.chance.random() < 0.25:
                where = clauses.twin(self.chance.choice(twins).where)
            else:
                where = clauses.clause()
            shown = None
            if self.chance.random() < 0.25:
                names = [one.name for one in tables[place].columns]
                shown = tuple(n for n in names if n in tables[place].key or n == ROWNO or self.chance.random() < 0.5)
            early = self.chance.random() < 0.6
            drawn.append(
                Shape(
                    table=place,
                    where=where,
                    columns=shown,
                    replica="full" if self.chance.random() < 0.25 else "default",
                    batch=0 if early else self.chance.choice(busy),
                    amid=not early and self.chance.random() < 0.7,
                )
            )
        return tuple(drawn)

    def _batch(self, tables: tuple[Table, ...], crowded: bool) -> tuple[Transaction, ...]:
        """`crowded`: long enough that shapes are opened amid it."""
        if crowded:
            alone = (self._statement(tables) for _ in range(self.chance.choice((40, 80))))
            return tuple(Transaction(statements=(one.model_copy(update={"undone": False}),)) for one in alone)
        return tuple(self._transaction(tables) for _ in range(self.chance.choice((1, 1, 2, 3, 5))))

    def _transaction(self, tables: tuple[Table, ...]) -> Transaction:
        count = self.chance.choice((1, 1, 2, 3, 5, 8))
        statements = tuple(self._statement(tables) for _ in range(count))
        return Transaction(statements=statements, undone=self.chance.random() < 0.05)

    def _statement(self, tables: tuple[Table, ...]) -> Statement:
        place = self.chance.randrange(len(tables))
        undone = self.chance.random() < 0.07
        roll = self.chance.random()
        if roll < 0.4:
            return self._insert(tables, place, 3).model_copy(update={"undone": undone})
        table = tables[place]
        if roll < 0.82:
            names = self.chance.sample(table.columns, min(len(table.columns), self.chance.choice((1, 1, 2, 4, 20))))
            if not table.key or self.chance.random() < 0.7:
                names = [one for one in names if one.name not in (*table.key, ROWNO)] or names
            row = {one.name: self._value(table, one) for one in names}
            every = self.chance.random() < 0.1 and ROWNO not in row
            selector = Selector() if every else self._selector(table)
            return Statement(table=place, operation="update", rows=(row,), selector=selector, undone=undone)
        if roll < 0.998:
            selector = Selector() if self.chance.random() < 0.05 else self._selector(table)
            return Statement(table=place, operation="delete", selector=selector, undone=undone)
        return Statement(table=place, operation="truncate", undone=undone)

    def _insert(self, tables: tuple[Table, ...], place: int, most: int) -> Statement:
        table = tables[place]
        rows = []
        for _ in range(self.chance.randint(1, most)):
            shown = [c for c in table.columns if c.name in (*table.key, ROWNO) or self.chance.random() < 0.9]
            row: Row = {one.name: self._value(table, one) for one in shown}
            rows.append({one.name: row.get(one.name) for one in table.columns})
        conflicts: tuple[Conflict, ...] = ("nothing", "nothing", "", "update") if table.key else ("",)
        return Statement(table=place, operation="insert", rows=tuple(rows), on_conflict=self.chance.choice(conflicts))

    def _value(self, table: Table, column: TableColumn) -> str | None:
        if column.name == ROWNO:
            self.rowno += 1
            return str(self.rowno)
        if column.name == "id":
            return str(self.chance.randrange(15))
        if column.name not in table.key and self.chance.random() < 0.15:
            return None
        return self.chance.choice(self.pools[table.name][column.name])

    def _pool(self, column: TableColumn) -> tuple[str, ...]:
        """Neighbours, and one from anywhere."""
        if column.name in (ROWNO, "id"):
            return tuple(map(str, range(15)))
        texts = KINDS[column.kind].texts
        first = self.chance.randrange(len(texts))
        return (*(texts * 2)[first : first + min(4, len(texts))], self.chance.choice(texts))

    def _selector(self, table: Table) -> Selector:
        if table.key:
            column = next(one for one in table.columns if one.name == table.key[0])
            return Selector(column=column.name, value=self._value(table, column))
        return Selector(column=ROWNO, value=str(self.chance.randint(1, max(1, self.rowno))))


def scenario(seed: str, shapes: int = 24, batches: int = 4) -> Scenario:
    return _Drawing(seed, shapes, batches).scenario()
