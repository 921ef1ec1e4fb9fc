"""Make a scenario smaller that shows a difference: whatever can be left out, or made simpler, is, while it still shows.

What is tried next is decided purely (`smaller`); whether it still shows is asked of who plays it.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from tests.oracle.model import Expression, Scenario, Shape, Statement, Transaction
from tests.oracle.outcomes import Difference
from tests.oracle.writes import ROWNO

T = TypeVar("T")
Player = Callable[[Scenario], Awaitable[list[Difference]]]
_SECONDS = 60.0


async def shrink(scenario: Scenario, difference: Difference, play: Player) -> tuple[Scenario, Difference]:
    """The smallest one that was found in a minute; the same when it does not show again."""
    deadline = time.monotonic() + _SECONDS
    best, last = scenario, difference
    tried: set[str] = set()
    progress = True
    while progress and time.monotonic() < deadline:
        progress = False
        for candidate in smaller(best, last.shape):
            key = candidate.model_dump_json(exclude={"seed"})
            if key in tried:
                continue
            tried.add(key)
            same = [one for one in await play(candidate) if one.what == difference.what]
            if same:
                best, last, progress = candidate, same[0], True
                break
            if time.monotonic() > deadline:
                break
    return best, last


def smaller(scenario: Scenario, guilty: int) -> Iterator[Scenario]:
    """Candidates, the boldest first."""
    for shapes in _without([scenario.shapes[guilty]] if len(scenario.shapes) > 1 else [], scenario.shapes):
        yield scenario.model_copy(update={"shapes": shapes})
    for batches in _fewer(scenario.batches):
        if batches and all(shape.batch < len(batches) for shape in scenario.shapes):
            yield scenario.model_copy(update={"batches": batches})
    for rows in _fewer(scenario.rows):
        yield scenario.model_copy(update={"rows": rows})
    for number, batch in enumerate(scenario.batches):
        for fewer in _fewer_transactions(batch):
            replaced = (*scenario.batches[:number], fewer, *scenario.batches[number + 1 :])
            yield scenario.model_copy(update={"batches": replaced})
    for number, shape in enumerate(scenario.shapes):
        for simpler in _simpler_shapes(shape):
            replaced_shapes = (*scenario.shapes[:number], simpler, *scenario.shapes[number + 1 :])
            yield scenario.model_copy(update={"shapes": replaced_shapes})
    for ties in _fewer(scenario.ties):
        yield scenario.model_copy(update={"ties": ties})
    yield from _fewer_columns(scenario)
    for number, statement in enumerate(scenario.rows):
        for fewer_rows in _fewer(statement.rows):
            if fewer_rows:
                replaced_rows = statement.model_copy(update={"rows": fewer_rows})
                rows = (*scenario.rows[:number], replaced_rows, *scenario.rows[number + 1 :])
                yield scenario.model_copy(update={"rows": rows})


def _without(alone: Sequence[Shape], shapes: Sequence[Shape]) -> Iterator[tuple[Shape, ...]]:
    if alone:
        yield tuple(alone)
        yield from _fewer(tuple(shapes))


def _fewer(parts: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """None of them, either half, all but one."""
    if not parts:
        return
    yield ()
    if len(parts) > 2:
        middle = len(parts) // 2
        yield parts[:middle]
        yield parts[middle:]
    if len(parts) > 1:
        for number in range(len(parts)):
            yield (*parts[:number], *parts[number + 1 :])


def _fewer_transactions(batch: tuple[Transaction, ...]) -> Iterator[tuple[Transaction, ...]]:
    yield from _fewer(batch)
    for number, transaction in enumerate(batch):
        for change in ({"late": False}, {"writer": 0}):
            if (simpler := transaction.model_copy(update=change)) != transaction:
                yield (*batch[:number], simpler, *batch[number + 1 :])
        for statements in _fewer_statements(transaction.statements):
            replaced = transaction.model_copy(update={"statements": statements})
            yield (*batch[:number], replaced, *batch[number + 1 :])


def _fewer_statements(statements: tuple[Statement, ...]) -> Iterator[tuple[Statement, ...]]:
    yield from (some for some in _fewer(statements) if some)
    for number, statement in enumerate(statements):
        for rows in _fewer(statement.rows):
            if rows:
                yield (*statements[:number], statement.model_copy(update={"rows": rows}), *statements[number + 1 :])
        if statement.operation == "update" and len(statement.rows[0]) > 1:
            for name in statement.rows[0]:
                row = {one: text for one, text in statement.rows[0].items() if one != name}
                yield (*statements[:number], statement.model_copy(update={"rows": (row,)}), *statements[number + 1 :])


def _simpler_shapes(shape: Shape) -> Iterator[Shape]:
    for change in ({"columns": None}, {"replica": "default"}, {"stalled": False}, {"amid": False}, {"batch": 0}):
        simpler = shape.model_copy(update=change)
        if simpler != shape:
            yield simpler
    for where in _simpler(shape.where):
        yield shape.model_copy(update={"where": where})


def _simpler(one: Expression) -> Iterator[Expression]:
    """An argument of its kind in its place, or one of its arguments made simpler."""
    yield from (part for part in one.args if part.kind == one.kind and not (part.style and one.kind == "bool"))
    if one.kind == "bool" and one.args:
        yield Expression(text="true", kind="bool")
    if one.style in ("param", "typed") and one.text is not None:
        yield one.model_copy(update={"style": "literal"})
    for number, arg in enumerate(one.args):
        for simpler in _simpler(arg):
            yield one.model_copy(update={"args": (*one.args[:number], simpler, *one.args[number + 1 :])})


def _fewer_columns(scenario: Scenario) -> Iterator[Scenario]:
    """Without a column that nobody needs; where one is missed, Postgres refuses the clause, and it does not show."""
    for place, table in enumerate(scenario.tables):
        for column in table.columns:
            tied = any(one.table == place and one.column == column.name for one in scenario.ties)
            if column.name in (*table.key, ROWNO) or tied:
                continue
            columns = tuple(one for one in table.columns if one != column)
            tables = (
                *scenario.tables[:place],
                table.model_copy(update={"columns": columns}),
                *scenario.tables[place + 1 :],
            )
            yield scenario.model_copy(
                update={
                    "tables": tables,
                    "rows": tuple(_unset(one, place, column.name) for one in scenario.rows),
                    "shapes": tuple(_unshown(one, place, column.name) for one in scenario.shapes),
                    "batches": tuple(
                        tuple(
                            transaction.model_copy(
                                update={
                                    "statements": tuple(
                                        _unset(one, place, column.name) for one in transaction.statements
                                    )
                                }
                            )
                            for transaction in batch
                        )
                        for batch in scenario.batches
                    ),
                }
            )


def _unset(statement: Statement, table: int, column: str) -> Statement:
    if statement.table != table:
        return statement
    rows = tuple({name: text for name, text in row.items() if name != column} for row in statement.rows)
    if statement.operation == "update" and not rows[0]:
        return statement  # nothing else is set: it will fail, and is left out by itself
    return statement.model_copy(update={"rows": rows})


def _unshown(shape: Shape, table: int, column: str) -> Shape:
    if shape.table != table or shape.columns is None:
        return shape
    return shape.model_copy(update={"columns": tuple(name for name in shape.columns if name != column)})
