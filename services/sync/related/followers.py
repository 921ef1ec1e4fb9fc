"""The shapes with subqueries that are followed, and whom the changes of a transaction may concern."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from services.sync.entries import Row
from services.sync.live import Incoming
from services.sync.related.family import Families, Family
from services.sync.related.follower import Candidate, Follower
from services.sync.router import Router


@dataclass(slots=True)
class Concern:
    """Some transactions, shapes that they may concern, and families of which more may be found."""

    step: Sequence[Incoming]
    followers: set[Follower]
    probed: set[Family]

    @property
    def families(self) -> set[Family]:
        return self.probed | {follower.family for follower in self.followers}


class Followers:
    def __init__(self) -> None:
        self.families = Families()
        self._candidates: dict[str, tuple[Follower, list[tuple[int, Candidate]]]] = {}
        self._router: Router[Candidate] = Router()
        self._of: dict[int, dict[Follower, None]] = defaultdict(dict)
        """Of a table, those that it concerns."""
        self._probed: dict[int, Counter[Family]] = defaultdict(Counter)
        """Of a table, the families whose shapes are found by rows of another one, and how many shapes they have."""

    def reads(self, relation: int) -> bool:
        """Whether the table concerns any of them."""
        return relation in self._of

    def add(self, follower: Follower) -> None:
        outer, candidates = follower.outer(), list(follower.inner())
        follower.probed = outer.where is None and follower.family.probe is not None
        if follower.probed:
            self._probed[follower.family.own.oid][follower.family] += 1
        else:
            candidates.append((follower.family.own.oid, outer))
        self._candidates[follower.shape.record.handle] = (follower, candidates)
        for relation, candidate in candidates:
            self._router.add(relation, candidate)
        for relation in follower.relations():
            self._of[relation][follower] = None

    def remove(self, handle: str) -> None:
        if handle not in self._candidates:
            return
        follower, candidates = self._candidates.pop(handle)
        for relation, candidate in candidates:
            self._router.remove(relation, candidate)
        for relation in follower.relations():
            del self._of[relation][follower]
            if not self._of[relation]:
                del self._of[relation]
        if follower.probed:
            families = self._probed[follower.family.own.oid]
            families[follower.family] -= 1
            self._probed[follower.family.own.oid] = +families

    def of_families(self, families: Collection[Family]) -> list[Follower]:
        return [follower for follower, _ in self._candidates.values() if follower.family in families]

    def of_tables(self, relations: Collection[int]) -> list[Follower]:
        return list({follower: None for relation in relations for follower in self._of.get(relation, ())})

    def found_by(self, family: Family, rows: Iterable[Row]) -> set[Follower]:
        """Those of a probed family whose subquery these rows of its table may be in."""
        subquery = family.probe
        assert subquery is not None
        relation = family.table(subquery).oid
        candidates = (candidate for row in rows for candidate in self._router.concerned(relation, row))
        return {candidate.follower for candidate in candidates if candidate.follower.family is family}

    def concern(self, step: Sequence[Incoming]) -> Concern:
        """Whom a step may concern, as far as its own rows tell. Too many is never wrong."""
        concern = Concern(step, set(), set())
        for message in step:
            for change in message.changes:
                if change["op"] in ("insert", "update", "delete"):
                    found = self._router.concerned(message.oid, change.get("old"), change.get("new"))
                    concern.followers.update(candidate.follower for candidate in found)
                else:
                    concern.followers.update(self._of.get(message.oid, ()))
            concern.probed.update(self._probed.get(message.oid, ()))
        return concern


def concern_of(step: Sequence[Incoming], only: Collection[Follower]) -> Concern:
    """The same for these, which need not be here yet."""
    relations = {message.oid for message in step}
    return Concern(step, {one for one in only if relations & one.relations()}, set())
