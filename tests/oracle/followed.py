"""A shape of a scenario and, while it is open, what a follower has of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from medley.sql.quoting import quote_identifier
from medley.sql.visibility import Snapshot
from tests.oracle.boundaries import Boundaries, Commit
from tests.oracle.copies import Message, StrictCopy
from tests.oracle.model import Scenario, Shape, Table
from tests.oracle.truth import Truth
from tests.support.shapes import OpenShape


@dataclass
class Followed:
    """`clause` as it is asked for, with `params`; `written`: with these written into it."""

    number: int
    shape: Shape
    table: Table
    clause: str
    params: tuple[str, ...]
    written: str
    columns: tuple[str, ...]
    truth: Truth
    open: OpenShape | None = None
    copy: StrictCopy | None = None
    seen: int = 0
    refused: str | None = None
    opened: bool = False
    fresh: bool = False
    """Opened in this batch."""
    checked: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def tier(self) -> str:
        if self.open is None:
            return "-"
        predicate = self.open.record.predicate
        if predicate is None:
            return "whole"
        if predicate.tables:
            return "subquery"
        return predicate.tier + (" + index" if predicate.tier == "postgres" and predicate.index else "")

    def take(self, log: list[Message], commits: Sequence[Commit], paced: bool) -> None:
        """What was added to its log, checked after each transaction of the batch."""
        assert self.open is not None and self.copy is not None
        sees = Snapshot(*self.open.record.snapshot).sees
        had = max((place for place, one in enumerate(commits, 1) if sees(one.xid)), default=0) if self.fresh else 0
        known = [None, *(one.truths.get(self.number) for one in commits)]
        places = {one.xid & 0xFFFFFFFF: place - had for place, one in enumerate(commits, 1) if place > had}
        # One that was opened meanwhile may be given together what was sent while it was.
        single = (paced and not self.fresh) or not self.shape.where.reads
        boundaries = Boundaries(self.copy, self.columns, known[had:], single)
        if self.fresh and had:
            boundaries.snapshot()
        boundaries.apply(log[self.seen :], places)
        boundaries.end()
        self.seen, self.fresh = len(log), False
        self.checked += boundaries.checked
        self.faults += boundaries.faults


def followed(scenario: Scenario, schema: str, number: int, session: asyncpg.Connection) -> Followed:
    """The shape of that number. `session` asks for the truth."""
    shape = scenario.shapes[number]
    table = scenario.tables[shape.table]
    params: list[str] = []

    def read(place: int, alias: str) -> str:
        return scenario.tables[place].sql(schema) + (f" AS {quote_identifier(alias)}" if alias else "")

    def historic(place: int, alias: str) -> str:
        one = scenario.tables[place]
        return f"{one.history(schema)} AS {quote_identifier(alias or one.name)}"

    clause = shape.where.write(read, params)
    columns = shape.columns or tuple(column.name for column in table.columns)
    truth = Truth(session, table.sql(schema), table.history(schema), table.name, shape.where.write(historic))
    return Followed(number, shape, table, clause, tuple(params), shape.where.write(read), columns, truth)
