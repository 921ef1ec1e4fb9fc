"""Random statements and transactions over the tables of a scenario."""

import random
from collections.abc import Mapping, Sequence

from tests.oracle.model import Conflict, Row, Selector, Statement, Table, TableColumn, Transaction

ROWNO = "rowno"


class Writes:
    def __init__(
        self, chance: random.Random, tables: Sequence[Table], pools: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> None:
        """`pools`: table → column → its values."""
        self._chance = chance
        self._tables = tables
        self._pools = pools
        self._rowno = 0
        self.truncates = True
        """Not while shapes are opened: an opening that is waiting for fan-out keeps TRUNCATE waiting, and that keeps
        fan-out waiting with what it asks about subqueries."""

    def alone(self, count: int) -> tuple[Transaction, ...]:
        """So many statements that are transactions by themselves."""
        statements = (self._statement().model_copy(update={"undone": False}) for _ in range(count))
        return tuple(Transaction(statements=(one,)) for one in statements)

    def transaction(self, writer: int, late: float, *, paced: bool) -> Transaction:
        """`late`: how likely its commit is not seen for a moment."""
        if self._chance.random() < 0.25:
            statements = self._about_a_row()
        else:
            statements = tuple(self._statement() for _ in range(self._chance.choice((1, 1, 2, 3, 5, 8))))
        undone = self._chance.random() < 0.05
        kept = self._chance.random() < late and not undone
        return Transaction(statements=statements, undone=undone, paced=paced, writer=writer, late=kept)

    def _about_a_row(self) -> tuple[Statement, ...]:
        """It may come and go, change several times, also in its key; and a row of another table with it."""
        place = self._chance.randrange(len(self._tables))
        table = self._tables[place]
        first = self.insert(place, 1)
        column = table.key[0] if table.key else ROWNO
        selector = Selector(column=column, value=first.rows[0][column])
        drawn = [first] if self._chance.random() < 0.6 else []
        for _ in range(self._chance.choice((1, 2, 3, 4))):
            roll = self._chance.random()
            if roll < 0.25:
                drawn.append(Statement(table=place, operation="delete", selector=selector))
            elif roll < 0.45 and table.key:  # equal rows of a table without a key have one key in a copy
                drawn.append(first.model_copy(update={"on_conflict": "nothing"}))
            elif roll < 0.6:
                drawn.append(self._statement())
            else:
                drawn.append(self._update(place, selector))
        return tuple(drawn)

    def _statement(self) -> Statement:
        place = self._chance.randrange(len(self._tables))
        undone = self._chance.random() < 0.07
        roll = self._chance.random()
        if roll < 0.4:
            return self.insert(place, 3).model_copy(update={"undone": undone})
        if roll < 0.82:
            return self._update(place, None).model_copy(update={"undone": undone})
        if roll < 0.9985 or not self.truncates:
            selector = Selector() if self._chance.random() < 0.05 else self._selector(place)
            return Statement(table=place, operation="delete", selector=selector, undone=undone)
        return Statement(table=place, operation="truncate", undone=undone)

    def _update(self, place: int, selector: Selector | None) -> Statement:
        table = self._tables[place]
        names = self._chance.sample(table.columns, min(len(table.columns), self._chance.choice((1, 1, 2, 4, 20))))
        links = [one for one in table.columns if one.name.startswith("l") and one.name not in table.key]
        if links and self._chance.random() < 0.3:
            names = [self._chance.choice(links)]
        if not table.key or self._chance.random() < 0.7:
            names = [one for one in names if one.name not in (*table.key, ROWNO)] or names
        row = {one.name: self._value(table, one) for one in names}
        if selector is None:
            every = self._chance.random() < 0.1 and ROWNO not in row
            selector = Selector() if every else self._selector(place)
        return Statement(table=place, operation="update", rows=(row,), selector=selector)

    def insert(self, place: int, most: int) -> Statement:
        """Of at most so many rows."""
        table = self._tables[place]
        rows = []
        for _ in range(self._chance.randint(1, most)):
            shown = [c for c in table.columns if c.name in (*table.key, ROWNO) or self._chance.random() < 0.9]
            row: Row = {one.name: self._value(table, one) for one in shown}
            rows.append({one.name: row.get(one.name) for one in table.columns})
        conflicts: tuple[Conflict, ...] = ("nothing", "nothing", "", "update") if table.key else ("",)
        return Statement(table=place, operation="insert", rows=tuple(rows), on_conflict=self._chance.choice(conflicts))

    def _value(self, table: Table, column: TableColumn) -> str | None:
        if column.name == ROWNO:
            self._rowno += 1
            return str(self._rowno)
        if column.name == "id":
            return str(self._chance.randrange(15))
        if column.name not in table.key and self._chance.random() < 0.15:
            return None
        return self._chance.choice(self._pools[table.name][column.name])

    def _selector(self, place: int) -> Selector:
        table = self._tables[place]
        if table.key:
            column = next(one for one in table.columns if one.name == table.key[0])
            return Selector(column=column.name, value=self._value(table, column))
        return Selector(column=ROWNO, value=str(self._chance.randint(1, max(1, self._rowno))))
