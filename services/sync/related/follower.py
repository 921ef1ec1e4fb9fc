"""A shape whose clause has subqueries, and which rows of which tables may concern it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medley.clauses.form import form
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.alternatives import Index
from services.sync.related.conditions import conditions
from services.sync.related.family import Families
from services.sync.where import AnyOf, compile_alternatives


@dataclass(eq=False, slots=True)
class Candidate:
    """For a router: rows of a table that may concern the shape; without `where` these are all rows."""

    where: AnyOf | None
    follower: "Follower"


class Follower:
    """One such shape."""

    def __init__(self, shape: LiveShape, families: Families) -> None:
        self.shape = shape
        self.family, self.constants = families.of(shape.record.whole())
        self.fed = 0
        """Sequence of CHANGES up to which it has what concerns it; what is older is told by its log and snapshot."""
        self.probed = False
        """Its own table's changes find it by rows of another one."""

    def relations(self) -> set[int]:
        return {self.family.own.oid, *(table.oid for table in self.family.tables)}

    def outer(self) -> Candidate:
        """The rows of its own table that may be in the shape."""
        own = self.family.own
        return Candidate(_compiled(conditions(form(self._sql), own.name, own.columns)), self)

    def inner(self) -> Iterator[tuple[int, Candidate]]:
        """For each table that a subquery reads, the rows that may be in its result."""
        by_name = {(table.schema_name, table.name): table for table in self.family.tables}
        for one in form(self._sql).walk():
            table = by_name[one.schema or "", one.table]
            yield table.oid, Candidate(_compiled(conditions(one.where, one.alias, table.columns)), self)

    @property
    def _sql(self) -> str:
        predicate = self.shape.record.predicate
        assert predicate is not None
        return predicate.sql

    def had(self, messages: Sequence[Incoming]) -> int:
        """The number of these messages of its tables that it has already: they are the first ones."""
        return next((place for place, message in enumerate(messages) if not self._has(message)), len(messages))

    def lacks(self, messages: Sequence[Incoming]) -> bool:
        """Whether one of these, of any tables, is to be given to it."""
        relations = self.relations()
        return any(message.oid in relations and not self._has(message) for message in messages)

    def _has(self, message: Incoming) -> bool:
        shape = self.shape
        return (
            message.sequence <= self.fed
            or message.transaction.lsn <= shape.pending.last.tx
            or shape.snapshot.sees(message.transaction.xid)
        )


def _compiled(found: Index | None) -> AnyOf | None:
    return compile_alternatives(found.alternatives) if found is not None else None
