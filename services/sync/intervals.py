"""Intervals with what belongs to them, and which of them contain a point. Pure.

Those with two ends are in a treap ordered by the lower one, where each node knows the highest upper end beneath it:
adding and removing cost O(log n), and a value finds k intervals in O(log n + k log n) without looking at the others.
Those with one end are in order of that, so that a value finds its first k, or its last ones.
"""

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from services.sync.values import Order

S = TypeVar("S")
Point = tuple[Any, ...]
Interval = tuple[Point, Point]

BELOW: Point = (-1,)
ABOVE: Point = (1,)
EVERYTHING: Interval = (BELOW, ABOVE)


def point(key: Any) -> Point:
    """Where a value stands among the ends of intervals."""
    return (0, key, 0)


def low_end(key: Any, inclusive: bool) -> Point:
    return (0, key, 0 if inclusive else 1)


def high_end(key: Any, inclusive: bool) -> Point:
    return (0, key, 0 if inclusive else -1)


class _Node(Generic[S]):
    """`low`, `high` and `top`, the highest end beneath it, are values: most comparisons are of plain ones."""

    __slots__ = ("closed", "high", "key", "left", "low", "members", "rank", "right", "top")

    def __init__(self, key: Interval, rank: int) -> None:
        (_, self.low, opens), (_, self.high, closes) = self.key = key
        self.closed = opens == closes == 0
        self.top = self.high
        self.rank = rank
        self.members: list[S] = []
        self.left: _Node[S] | None = None
        self.right: _Node[S] | None = None

    def settle(self) -> None:
        """After its children have changed."""
        top = self.high
        for child in (self.left, self.right):
            if child is not None and child.top > top:
                top = child.top
        self.top = top


class _Ends(Generic[S]):
    """The ends of intervals that have one, in order."""

    def __init__(self) -> None:
        self.ends: list[Point] = []
        self.members: dict[Point, list[S]] = {}

    def add(self, end: Point, member: S) -> None:
        if end not in self.members:
            insort(self.ends, end)
            self.members[end] = []
        self.members[end].append(member)

    def remove(self, end: Point, member: S) -> None:
        self.members[end].remove(member)
        if not self.members[end]:
            del self.members[end]
            del self.ends[bisect_left(self.ends, end)]

    def before(self, at: Point) -> Iterator[list[S]]:
        return map(self.members.__getitem__, self.ends[: bisect_right(self.ends, at)])

    def after(self, at: Point) -> Iterator[list[S]]:
        return map(self.members.__getitem__, self.ends[bisect_left(self.ends, at) :])


class Intervals(Generic[S]):
    """Members that share an interval stand together."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._root: _Node[S] | None = None
        self._nodes: dict[Interval, _Node[S]] = {}
        self._low: _Ends[S] = _Ends()
        self._high: _Ends[S] = _Ends()
        self._chance = random.Random()  # noqa: S311 - it balances a tree

    def __bool__(self) -> bool:
        return bool(self._nodes or self._low.ends or self._high.ends)

    def add(self, interval: Interval, member: S) -> None:
        low, high = interval
        if high is ABOVE:
            return self._low.add(low, member)
        if low is BELOW:
            return self._high.add(high, member)
        node = self._nodes.get(interval)
        if node is None:
            node = self._nodes[interval] = _Node(interval, self._chance.getrandbits(62))
            self._root = _inserted(self._root, node)
        return node.members.append(member)

    def remove(self, interval: Interval, member: S) -> None:
        low, high = interval
        if high is ABOVE:
            return self._low.remove(low, member)
        if low is BELOW:
            return self._high.remove(high, member)
        node = self._nodes[interval]
        node.members.remove(member)
        if not node.members:
            del self._nodes[interval]
            self._root = _removed(self._root, node)
        return None

    def within(self, text: str, into: list[list[S]]) -> None:
        """Put the members of each interval that contains the value."""
        key = self._order(text)
        at = point(key)
        if self._low.ends:
            into.extend(self._low.before(at))
        if self._high.ends:
            into.extend(self._high.after(at))
        stack = [self._root]
        while stack:
            node = stack.pop()
            while node is not None and node.top >= key:
                if node.low <= key:
                    if node.high >= key and (node.closed or node.key[0] <= at <= node.key[1]):
                        into.append(node.members)
                    if node.right is not None:
                        stack.append(node.right)
                node = node.left

    def all(self) -> Iterator[list[S]]:
        yield from (node.members for node in self._nodes.values())
        yield from self._low.members.values()
        yield from self._high.members.values()


def _inserted(root: _Node[S] | None, node: _Node[S]) -> _Node[S]:
    if root is None:
        return node
    if node.rank > root.rank:
        node.left, node.right = _split(root, node.key)
        node.settle()
        return node
    if node.key < root.key:
        root.left = _inserted(root.left, node)
    else:
        root.right = _inserted(root.right, node)
    root.settle()
    return root


def _split(root: _Node[S] | None, key: Interval) -> tuple[_Node[S] | None, _Node[S] | None]:
    """What is before the key, and what is after it."""
    if root is None:
        return None, None
    if root.key < key:
        root.right, after = _split(root.right, key)
        root.settle()
        return root, after
    before, root.left = _split(root.left, key)
    root.settle()
    return before, root


def _removed(root: _Node[S] | None, node: _Node[S]) -> _Node[S] | None:
    assert root is not None, "an interval is removed that was not added"
    if root is node:
        return _merged(root.left, root.right)
    if node.key < root.key:
        root.left = _removed(root.left, node)
    else:
        root.right = _removed(root.right, node)
    root.settle()
    return root


def _merged(before: _Node[S] | None, after: _Node[S] | None) -> _Node[S] | None:
    if before is None or after is None:
        return after if before is None else before
    if before.rank > after.rank:
        before.right = _merged(before.right, after)
        before.settle()
        return before
    after.left = _merged(before, after.left)
    after.settle()
    return after
