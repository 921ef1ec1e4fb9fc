"""Clauses that are decided here, and where the router finds them. Pure.

A conjunction is a look-up of the columns that must be equal to something, and what else must hold: the narrowest of
that finds it among those with the same values. Conjunctions alike but for constants share their `Form`.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from services.sync.conditions import Condition, Equal
from services.sync.intervals import EVERYTHING, Interval
from services.sync.lookups import Lookup, Wanted, together, wanted, width
from services.sync.values import CANONICAL, Canonical

Row = Mapping[str, str | None]
KeyOf = Callable[[Row], Hashable]
Place = tuple["Form", Hashable, Lookup | None, Any]
"""Where the router keeps a clause: the columns, their values, another condition's lookup, and its place there."""


class Form:
    """Columns in order of name, and how the values of a row become a key; None when one of them is NULL or absent."""

    __slots__ = ("columns", "key_of")

    def __init__(self, columns: tuple[str, ...], canonical: tuple[Canonical, ...]) -> None:
        self.columns = columns
        self.key_of = _key_of(columns, canonical)

    def key(self, values: Sequence[Hashable]) -> Hashable:
        """That of canonical values: one alone is its own key, which is quicker, and smaller."""
        return values[0] if len(values) == 1 else tuple(values)


def _key_of(columns: tuple[str, ...], canonical: tuple[Canonical, ...]) -> KeyOf:
    if not columns:
        return lambda _: ()
    if len(columns) == 1:
        [name], [of] = columns, canonical
        if of is CANONICAL["text"]:
            return lambda row: row.get(name)

        def one(row: Row) -> Hashable:
            text = row.get(name)
            return None if text is None else of(text)

        return one
    pairs = tuple(zip(columns, canonical, strict=True))

    def several(row: Row) -> Hashable:
        key = []
        for name, of in pairs:
            text = row.get(name)
            if text is None:
                return None
            key.append(of(text))
        return tuple(key)

    return several


@lru_cache(maxsize=4096)
def _form(columns: tuple[str, ...], types: tuple[str, ...]) -> Form:
    return Form(columns, tuple(CANONICAL[kind] for kind in types))


class Where:
    """A conjunction. `rest`: what else must hold of other columns, the narrowest first."""

    __slots__ = ("form", "key", "never", "rest")

    def __init__(self, form: Form, key: Hashable, rest: tuple[Wanted, ...] = (), never: bool = False) -> None:
        self.form, self.key, self.rest = form, key, rest
        self.never = never
        """Conditions contradict each other: no row can match."""

    def matches(self, row: Row) -> bool:
        if self.never or self.form.key_of(row) != self.key:
            return False
        for lookup, place in self.rest:
            text = row.get(lookup.column)
            if text is None or not lookup.holds(place, text):
                return False
        return True

    def places(self) -> Iterable[Place]:
        if not self.never:
            yield (self.form, self.key, *(self.rest[0] if self.rest else (None, None)))


NOTHING = Where(Form((), ()), (), never=True)
"""A clause that is true for no row."""


class AnyOf:
    """One of several conjunctions: of those of equalities alone that compare the same columns, all their keys."""

    __slots__ = ("groups", "others")

    def __init__(self, groups: tuple[tuple[Form, frozenset[Hashable]], ...], others: tuple[Where, ...]) -> None:
        self.groups, self.others = groups, others

    def matches(self, row: Row) -> bool:
        if any(form.key_of(row) in keys for form, keys in self.groups):
            return True
        return any(one.matches(row) for one in self.others)

    def places(self) -> Iterable[Place]:
        for form, keys in self.groups:
            for key in keys:
                yield form, key, None, None
        # Conjunctions that share a place are found there once.
        yield from dict.fromkeys(place for one in self.others for place in one.places())


def compile_alternatives(alternatives: Sequence[Sequence[Condition]]) -> AnyOf:
    """What is true when one of the conjunctions is."""
    groups: dict[Form, set[Hashable]] = {}
    others = []
    for conditions in alternatives:
        where = compile_conditions(conditions)
        if where.rest:
            others.append(where)
        elif not where.never:
            groups.setdefault(where.form, set()).add(where.key)
    return AnyOf(tuple((form, frozenset(keys)) for form, keys in groups.items()), tuple(others))


def compile_conditions(conditions: Sequence[Condition | tuple[str, str, str]]) -> Where:
    """The conjunction of conditions; those that the registry keeps are plain tuples."""
    types: dict[str, str] = {}
    values: dict[str, Hashable] = {}
    texts: dict[str, str] = {}
    never = False
    others: list[Wanted] = []
    for condition in conditions:
        if isinstance(condition, tuple):
            column, kind, text = Equal(*condition)
            types[column] = kind
            texts.setdefault(column, text)
            value = CANONICAL[kind](text)
            never = never or values.setdefault(column, value) != value
        else:
            others.append(wanted(condition))
    rest = _rest(others, texts)
    names = tuple(sorted(values))
    form = _form(names, tuple(types[name] for name in names))
    return Where(form, form.key([values[name] for name in names]), rest or (), never or rest is None)


def _rest(others: Sequence[Wanted], texts: Mapping[str, str]) -> tuple[Wanted, ...] | None:
    """Ranges of one column are one, and none where its value is known; None when something can never hold."""
    ranges: dict[Lookup, Interval] = {}
    rest: list[Wanted] = []
    for lookup, place in others:
        if lookup.kind != "range":
            rest.append((lookup, place))
        elif lookup.column in texts:
            if not lookup.holds(place, texts[lookup.column]):
                return None
        else:
            both = together(ranges.get(lookup, EVERYTHING), place)
            if both is None:
                return None
            ranges[lookup] = both
    return tuple(sorted((*rest, *ranges.items()), key=width))
