"""The shapes of one fan-out whose clauses Postgres decides, and the evaluation of messages for them.

The order: evaluate the messages of a round for every such shape of their tables → process them, which only looks the
answers up. A shape that was added after its table's evaluation began is `lacking` until it was evaluated, too.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakValueDictionary

from medley.contracts.row_key import RowKey
from medley.contracts.shapes import ClauseObject
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.evaluation import Altered, Answers, Evaluation, Failed
from services.sync.predicates.units import Asked, Unit
from services.sync.predicates.verdicts import Row, Verdicts
from services.sync.router import Router
from services.sync.where import AnyOf

Key = tuple[Unit, tuple[ClauseObject, ...]]

_BATCH_BYTES = 16 * 1024 * 1024
"""Of the values of one question."""


class Ended(NamedTuple):
    """The shape cannot go on; `refused`: a new one of its definition could not either."""

    shape: LiveShape
    reason: str
    refused: bool
    slow: bool = False


class Question:
    """What shapes of one clause and one state of the catalogue have in common: one answer. Compared by identity."""

    def __init__(self, unit: Unit, stands_on: tuple[ClauseObject, ...]) -> None:
        self.unit = unit
        self.known = {(one.kind, one.oid): one.version for one in stands_on}

    def fits(self, columns: Collection[tuple[str, int, int]]) -> bool:
        """Whether the columns that it names are among these, as they were."""
        return all((one.name, one.type_oid, one.modifier) in columns for one in self.unit.columns)


@dataclass(eq=False, slots=True)
class Candidate:
    """A shape, for a router that finds the rows to ask about; without `where` these are all rows."""

    where: AnyOf | None
    shape: LiveShape
    question: Question


class PostgresTier:
    def __init__(self, evaluation: Evaluation | None) -> None:
        self._evaluation = evaluation
        self.verdicts: Verdicts[LiveShape] = Verdicts()
        self._shapes: dict[int, dict[str, Candidate]] = {}
        self._router: Router[Candidate] = Router()
        self._questions: WeakValueDictionary[Key, Question] = WeakValueDictionary()
        self._lacking: dict[int, dict[str, Candidate]] = {}
        """Added since their table was asked about in this round."""
        self._asked: set[int] = set()
        """Tables that were asked about in this round."""
        self._removed: set[str] = set()
        """Shapes that have gone in this round, of which something may be known."""

    def add(self, shape: LiveShape) -> None:
        """Its clause is asked about every message of its table from now on."""
        shape.answered_by(self.verdicts)
        self._removed.discard(shape.record.handle)
        candidate = self._candidate(shape)
        self._shapes.setdefault(shape.relation, {})[shape.record.handle] = candidate
        self._router.add(shape.relation, candidate)
        self._lacking.setdefault(shape.relation, {})[shape.record.handle] = candidate

    def remove(self, shape: LiveShape) -> None:
        self._removed.add(shape.record.handle)
        of_table = self._shapes.get(shape.relation, {})
        candidate = of_table.pop(shape.record.handle, None)
        if candidate is not None:
            self._router.remove(shape.relation, candidate)
        if not of_table:
            self._shapes.pop(shape.relation, None)
        lacking = self._lacking.get(shape.relation, {})
        lacking.pop(shape.record.handle, None)
        if not lacking:
            self._lacking.pop(shape.relation, None)

    def decides(self, relation: int) -> bool:
        """Whether about any shape of the table."""
        return relation in self._shapes

    def all_of(self, relation: int) -> Iterable[LiveShape]:
        return [candidate.shape for candidate in self._shapes.get(relation, {}).values()]

    def begin(self) -> None:
        """Another round: nothing is known about its messages."""
        self.verdicts.clear()
        self._asked.clear()
        self._removed.clear()

    def end(self) -> None:
        """The round is over: its messages may go."""
        self.verdicts.clear()

    def concerned(self, relation: int, *rows: Row | None) -> list[LiveShape]:
        """The shapes that any of the rows (the old, the new) is in; each once."""
        known = [found for row in rows if (found := self.verdicts.of(row))]
        found = known[0] if len(known) == 1 else {handle: shape for one in known for handle, shape in one.items()}
        if not self._removed:
            return list(found.values())
        return [shape for handle, shape in found.items() if handle not in self._removed]

    def lacks(self, relation: int) -> bool:
        """Whether some shape of the table was not asked about the round's messages."""
        return relation in (self._lacking if relation in self._asked else self._shapes)

    async def evaluate(self, messages: Sequence[Incoming]) -> list[Ended]:
        """Ask about the messages' rows for every shape that lacks it. Returns those that cannot go on."""
        ended: list[Ended] = []
        for relation in dict.fromkeys(message.oid for message in messages):
            if self.lacks(relation):
                ours = [message for message in messages if message.oid == relation]
                lacking = list(self._lacking.pop(relation, {}).values())
                again = relation in self._asked
                self._asked.add(relation)
                ended += await self._ask(self.verdicts, ours, lacking if again else None)
        return ended

    async def ask_for(
        self, verdicts: Verdicts[LiveShape], messages: Sequence[Incoming], shape: LiveShape
    ) -> list[Ended]:
        """Evaluate messages of its table for one shape, that need not be here."""
        return await self._ask(verdicts, messages, [self._candidate(shape)])

    def _candidate(self, shape: LiveShape) -> Candidate:
        key = (shape.unit, shape.stands_on)
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = Question(*key)
        return Candidate(shape.candidates, shape, question)

    async def _ask(
        self, verdicts: Verdicts[LiveShape], messages: Sequence[Incoming], only: Sequence[Candidate] | None
    ) -> list[Ended]:
        """Evaluate messages of one table for these shapes only; else for all, on rows that they may have. A
        message of a time when the table had other columns than a clause names is left out: its shape ends by that."""
        assert self._evaluation is not None
        ended: list[Ended] = []
        for columns, group in _by_columns(messages).items():
            rows = [row for message in group for row in rows_of(message)]
            verdicts.evaluated(rows)
            asking = _Asking(columns)
            for candidate in self._router.whole(messages[0].oid) if only is None else only:
                asking.about(candidate, None)
            if only is None:
                for row in rows:
                    for candidate in self._router.found(messages[0].oid, row):
                        asking.about(candidate, row)
            ended += await self._evaluate(self._evaluation, verdicts, group, rows, asking)
        return ended

    async def _evaluate(
        self,
        evaluation: Evaluation,
        verdicts: Verdicts[LiveShape],
        messages: Sequence[Incoming],
        rows: Sequence[Row],
        asking: "_Asking",
    ) -> list[Ended]:
        ended: list[Ended] = []
        for distinct in _batches(rows, asking.names) if asking.shapes else ():
            first = [same[0] for same in distinct]
            asked = asking.asked(distinct)
            if not asked:
                continue
            questions = list(asked)
            table = next(iter(asking.shapes[questions[0]].values())).record.definition.table
            answers = await evaluation.ask(table, first, list(asked.values()), [one.known for one in questions])
            _keep(verdicts, distinct, [asking.shapes[one] for one in questions], answers)
            for place, why in answers.without.items():
                for shape in asking.shapes.pop(questions[place]).values():
                    ended += await self._end(verdicts, messages, shape, why, first)
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
            return await self.ask_for(verdicts, own, shape) if own else []
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


def _batches(rows: Iterable[Row], names: Sequence[str]) -> Iterable[list[list[Row]]]:
    """Rows that agree in what is asked about are one, and no batch is larger than it should be."""
    batch: dict[tuple[str | None, ...], list[Row]] = {}
    size = 0
    for row in rows:
        key = tuple(row.get(name) for name in names)
        if key not in batch:
            size += sum(len(value) for value in key if value is not None)
            if size > _BATCH_BYTES and batch:
                yield list(batch.values())
                batch, size = {}, 0
        batch.setdefault(key, []).append(row)
    if batch:
        yield list(batch.values())


class _Asking:
    """Which questions are to be asked about which rows, and for which shapes."""

    def __init__(self, columns: Collection[tuple[str, int, int]]) -> None:
        self._columns = columns
        self._fits: dict[Question, bool] = {}
        self.shapes: dict[Question, dict[str, LiveShape]] = defaultdict(dict)
        self._all: set[Question] = set()
        self._of_row: dict[int, set[Question]] = defaultdict(set)

    def about(self, candidate: Candidate, row: Row | None) -> None:
        """About all rows when there is none; not at all when the rows have other columns than the clause."""
        question = candidate.question
        fits = self._fits.get(question)
        if fits is None:
            fits = self._fits[question] = question.fits(self._columns)
        if not fits:
            return
        self.shapes[question][candidate.shape.record.handle] = candidate.shape
        if row is None:
            self._all.add(question)
        else:
            self._of_row[id(row)].add(question)

    @property
    def names(self) -> list[str]:
        return sorted({column.name for question in self.shapes for column in question.unit.columns})

    def asked(self, distinct: Sequence[Sequence[Row]]) -> dict[Question, Asked]:
        """Without those whose shapes have ended; the rows count from 1."""
        numbers: dict[Question, dict[int, None]] = defaultdict(dict)
        for number, same in enumerate(distinct, 1):
            for row in same:
                for question in self._of_row.get(id(row), ()):
                    numbers[question][number] = None
        return {
            question: Asked(question.unit, None if question in self._all else tuple(numbers[question]))
            for question in self.shapes
            if question in self._all or question in numbers
        }


def _keep(
    verdicts: Verdicts[LiveShape],
    distinct: Sequence[Sequence[Row]],
    shapes: Sequence[Mapping[str, LiveShape]],
    answers: Answers,
) -> None:
    first = [next(iter(one.items())) for one in shapes]
    more = {place: one for place, one in enumerate(shapes) if len(one) > 1}
    for number, places in answers.true.items():
        found = dict(map(first.__getitem__, places))
        for place in more.keys() & places if more else ():
            found.update(more[place])
        for row in distinct[number - 1]:
            verdicts.is_true(row, found)
