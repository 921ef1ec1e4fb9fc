"""What a row's value contains, by which its shapes are found: prefixes of a text, members of an array, what stands in a
JSON document. Pure.

Each structure looks at the value once, and at none of the members that it does not contain.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from services.sync.values import Canonical, leaf

S = TypeVar("S")
Path = tuple[str, ...]

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^{},"]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# Numbers are texts: a float would lose digits.
_JSON = json.JSONDecoder(parse_int=str, parse_float=str)


class Prefixes(Generic[S]):
    """By the first letters of a text; there is one look-up for each length that a prefix has."""

    def __init__(self) -> None:
        self._members: dict[str, list[S]] = {}
        self._lengths: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self._members)

    def add(self, prefix: str, member: S) -> None:
        if prefix not in self._members:
            self._members[prefix] = []
            self._lengths[len(prefix)] += 1
        self._members[prefix].append(member)

    def remove(self, prefix: str, member: S) -> None:
        members = self._members[prefix]
        members.remove(member)
        if not members:
            del self._members[prefix]
            self._lengths[len(prefix)] -= 1
            self._lengths = +self._lengths

    def within(self, text: str, into: list[list[S]]) -> None:
        for length in self._lengths:
            if length <= len(text) and (members := self._members.get(text[:length])) is not None:
                into.append(members)

    def all(self) -> Iterable[list[S]]:
        return self._members.values()


class Elements(Generic[S]):
    """By an element of an array."""

    def __init__(self, canonical: Canonical) -> None:
        self._canonical = canonical
        self._members: dict[object, list[S]] = {}

    def __bool__(self) -> bool:
        return bool(self._members)

    def add(self, element: str, member: S) -> None:
        self._members.setdefault(self._canonical(element), []).append(member)

    def remove(self, element: str, member: S) -> None:
        key = self._canonical(element)
        self._members[key].remove(member)
        if not self._members[key]:
            del self._members[key]

    def within(self, text: str, into: list[list[S]]) -> None:
        for element in {self._canonical(one) for one in elements(text)}:
            members = self._members.get(element)
            if members is not None:
                into.append(members)

    def all(self) -> Iterable[list[S]]:
        return self._members.values()


def elements(text: str) -> Iterator[str]:
    """Those of an array of any dimensions, as its output function writes it, without NULLs.

    >>> list(elements('[0:1]={"a b",NULL,{"NULL",c}}'))
    ['a b', 'NULL', 'c']
    """
    start = text.index("=") if text.startswith("[") else 0
    for match in _ELEMENT.finditer(text, start + (text[start] == "=")):
        quoted, plain = match.groups()
        if quoted is not None:
            yield _ESCAPED.sub(r"\1", quoted)
        elif plain != "NULL":
            yield plain


class _Step(Generic[S]):
    """A place in a document: what is wanted there, and the places beneath it."""

    __slots__ = ("members", "steps")

    def __init__(self) -> None:
        self.steps: dict[str, _Step[S]] = {}
        self.members: dict[str, list[S]] = {}


class Documents(Generic[S]):
    """By a scalar that stands in a JSON document at a path of keys, alone or in an array there.

    It finds too much (a number is as good as its text), and never too little: Postgres decides.
    """

    def __init__(self) -> None:
        self._root: _Step[S] = _Step()

    def __bool__(self) -> bool:
        return bool(self._root.steps or self._root.members)

    def add(self, place: tuple[Path, str], member: S) -> None:
        path, text = place
        step = self._root
        for key in path:
            step = step.steps.setdefault(key, _Step())
        step.members.setdefault(leaf(text), []).append(member)

    def remove(self, place: tuple[Path, str], member: S) -> None:
        path, text = place
        steps = [self._root]
        for key in path:
            steps.append(steps[-1].steps[key])
        members = steps[-1].members[leaf(text)]
        members.remove(member)
        if not members:
            del steps[-1].members[leaf(text)]
        for above, key in zip(steps[-2::-1], path[::-1], strict=True):
            if not above.steps[key].steps and not above.steps[key].members:
                del above.steps[key]

    def within(self, text: str, into: list[list[S]]) -> None:
        """A document that is too deep to be read may contain anything."""
        try:
            _walk(self._root, _JSON.decode(text), into)
        except (ValueError, RecursionError):
            into.extend(self.all())

    def all(self) -> Iterator[list[S]]:
        waiting = [self._root]
        while waiting:
            step = waiting.pop()
            yield from step.members.values()
            waiting.extend(step.steps.values())


def _walk(step: _Step[S], value: Any, into: list[list[S]]) -> None:
    if step.members:
        wanted = {scalar(one) for one in (value if isinstance(value, list) else (value,))}
        into.extend(step.members[text] for text in wanted if text in step.members)
    if step.steps and isinstance(value, dict):
        fewer, more = (step.steps, value) if len(step.steps) < len(value) else (value, step.steps)
        for key in fewer:
            if key in more:
                _walk(step.steps[key], value[key], into)


def scalar(value: Any) -> str | None:
    """The key of one; None for what is none."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return leaf(value)
        case _:
            return None


def scalars(text: str) -> Iterator[tuple[Path, str]]:
    """The places of a document by which one that contains it is found: scalars beneath keys, or in an array there."""
    waiting: list[tuple[Path, Any]] = [((), _JSON.decode(text))]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(((*path, key), inner) for key, inner in value.items())
        for one in value if isinstance(value, list) else (value,):
            if (found := scalar(one)) is not None:
                yield path, found
