"""The shapes of one fan-out whose clauses Postgres decides, and the evaluation of messages for them.

The order: evaluate the messages of a round for every such shape of their tables → process them, which only looks the
answers up. A shape that was added after its table's evaluation began is `lacking` until it was evaluated, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from medley.contracts.row_key import RowKey
from medley.contracts.shapes import ClauseObject
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.evaluation import Altered, Answers, Evaluation, Failed
from services.sync.predicates.statement import Asked, Unit
from services.sync.predicates.verdicts import Row, Verdicts

_BATCH_BYTES = 16 * 1024 * 1024
"""Of the values of one question."""


class Ended(NamedTuple):
    """The shape cannot go on; `refused`: a new one of its definition could not either."""

    shape: LiveShape
    reason: str
    refused: bool
    slow: bool = False


class PostgresTier:
    def __init__(self, evaluation: Evaluation | None) -> None:
        self._evaluation = evaluation
        self.verdicts: Verdicts[LiveShape] = Verdicts()
        self._shapes: dict[int, dict[str, LiveShape]] = {}
        self._lacking: dict[int, dict[str, LiveShape]] = {}
        """Added since their table was asked about in this round."""
        self._asked: set[int] = set()
        """Tables that were asked about in this round."""

    def add(self, shape: LiveShape) -> None:
        """Its clause is asked about every message of its table from now on."""
        shape.answered_by(self.verdicts)
        self._shapes.setdefault(shape.relation, {})[shape.record.handle] = shape
        self._lacking.setdefault(shape.relation, {})[shape.record.handle] = shape

    def remove(self, shape: LiveShape) -> None:
        for shapes in (self._shapes, self._lacking):
            of_table = shapes.get(shape.relation, {})
            of_table.pop(shape.record.handle, None)
            if not of_table:
                shapes.pop(shape.relation, None)

    def all_of(self, relation: int) -> Iterable[LiveShape]:
        return list(self._shapes.get(relation, {}).values())

    def begin(self) -> None:
        """Another round: nothing is known about its messages."""
        self.verdicts.clear()
        self._asked.clear()

    def end(self) -> None:
        """The round is over: its messages may go."""
        self.verdicts.clear()

    def concerned(self, relation: int, *rows: Row | None) -> list[LiveShape]:
        """The shapes that any of the rows (the old, the new) is in; each once."""
        found: dict[str, LiveShape] = {}
        for row in rows:
            found.update(self.verdicts.of(row))
        if not found:
            return []
        there = self._shapes.get(relation, {})
        return [shape for handle, shape in found.items() if handle in there]

    def lacks(self, relation: int) -> bool:
        """Whether some shape of the table was not asked about the round's messages."""
        return relation in (self._lacking if relation in self._asked else self._shapes)

    async def evaluate(self, messages: Sequence[Incoming]) -> list[Ended]:
        """Ask about the messages' rows for every shape that lacks it. Returns those that cannot go on."""
        ended: list[Ended] = []
        for relation in dict.fromkeys(message.oid for message in messages):
            if self.lacks(relation):
                lacking = self._lacking.pop(relation, {})
                shapes = list((lacking if relation in self._asked else self._shapes[relation]).values())
                self._asked.add(relation)
                ours = [message for message in messages if message.oid == relation]
                ended += await self.ask(self.verdicts, ours, shapes)
        return ended

    async def ask(
        self, verdicts: Verdicts[LiveShape], messages: Sequence[Incoming], shapes: Sequence[LiveShape]
    ) -> list[Ended]:
        """Evaluate messages of one table for shapes of it. A message that was written when the table had other columns
        than a clause names is left out: its shape ends by that."""
        assert self._evaluation is not None
        ended: list[Ended] = []
        for columns, group in _by_columns(messages).items():
            verdicts.evaluated(row for message in group for row in rows_of(message))
            fit = [shape for shape in shapes if shape.names_only(columns)]
            ended += await self._ask(self._evaluation, verdicts, group, fit)
        return ended

    async def _ask(
        self,
        evaluation: Evaluation,
        verdicts: Verdicts[LiveShape],
        messages: Sequence[Incoming],
        shapes: Sequence[LiveShape],
    ) -> list[Ended]:
        alike: dict[tuple[Unit, tuple[ClauseObject, ...]], list[LiveShape]] = defaultdict(list)
        for shape in shapes:
            alike[shape.unit, shape.stands_on].append(shape)
        ended: list[Ended] = []
        names = sorted({column.name for unit, _ in alike for column in unit.columns})
        for distinct in _batches(messages, names) if alike else ():
            rows = [same[0] for same in distinct]
            keys = list(alike)
            known = [{(one.kind, one.oid): one.version for one in objects} for _, objects in keys]
            table = shapes[0].record.definition.table
            answers = await evaluation.ask(table, rows, [Asked(unit) for unit, _ in keys], known)
            _keep(verdicts, distinct, [alike[key] for key in keys], answers)
            for place, why in answers.without.items():
                for shape in alike.pop(keys[place]):
                    ended += await self._end(verdicts, messages, shape, why, rows)
            if not alike:
                break
        return ended

    async def _end(
        self,
        verdicts: Verdicts[LiveShape],
        messages: Sequence[Incoming],
        shape: LiveShape,
        why: Failed | Altered,
        rows: Sequence[Row],
    ) -> list[Ended]:
        """The shape's end, unless the fault lies in transactions that its snapshot sees: those are not its own."""
        if isinstance(why, Altered):
            return [Ended(shape, why.reason, refused=False)]
        own = [message for message in messages if not shape.snapshot.sees(message.transaction.xid)]
        if len(own) < len(messages):
            return await self.ask(verdicts, own, [shape]) if own else []
        reason = f"{why.reason}{_at(shape, rows[why.row - 1]) if why.row is not None else ''}"
        return [Ended(shape, reason, refused=True, slow=why.slow)]


def rows_of(message: Incoming) -> Iterable[Row]:
    """Every row that a message tells of, old ones and new ones."""
    for change in message.changes:
        for which in ("old", "new"):
            if (row := change.get(which)) is not None:
                yield row


def _at(shape: LiveShape, row: Row) -> str:
    definition = shape.record.definition
    return f", at row {RowKey(definition.schema_name, definition.table, shape.record.columns).of(row)}"


def _by_columns(messages: Sequence[Incoming]) -> Mapping[frozenset[tuple[str, int, int]], list[Incoming]]:
    groups: dict[frozenset[tuple[str, int, int]], list[Incoming]] = {}
    for message in messages:
        key = frozenset((name, oid, modifier) for name, oid, modifier in message.columns)
        groups.setdefault(key, []).append(message)
    return groups


def _batches(messages: Sequence[Incoming], names: Sequence[str]) -> Iterable[list[list[Row]]]:
    """The messages' rows; those that agree in what is asked about are one, and no batch is larger than it should be."""
    batch: dict[tuple[str | None, ...], list[Row]] = {}
    size = 0
    for message in messages:
        for row in rows_of(message):
            key = tuple(row.get(name) for name in names)
            if key not in batch:
                size += sum(len(value) for value in key if value is not None)
                if size > _BATCH_BYTES and batch:
                    yield list(batch.values())
                    batch, size = {}, 0
            batch.setdefault(key, []).append(row)
    if batch:
        yield list(batch.values())


def _keep(
    verdicts: Verdicts[LiveShape],
    distinct: Sequence[Sequence[Row]],
    shapes: Sequence[Sequence[LiveShape]],
    answers: Answers,
) -> None:
    by_row: dict[int, dict[str, LiveShape]] = defaultdict(dict)
    for place, numbers in answers.true.items():
        of_unit = {shape.record.handle: shape for shape in shapes[place]}
        for number in numbers:
            by_row[number].update(of_unit)
    for number, found in by_row.items():
        for row in distinct[number - 1]:
            verdicts.is_true(row, found)
