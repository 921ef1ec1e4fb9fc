"""Intervals with what belongs to them, and which of them contain a point. Pure.

A treap ordered by the lower ends, where each node knows the highest upper end beneath it: adding and removing cost
O(log n), and a point finds k intervals in O(log n + k log n) without looking at the others.
"""

import random
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
    __slots__ = ("high", "left", "low", "members", "rank", "right", "top")

    def __init__(self, low: Point, high: Point, rank: int) -> None:
        self.low, self.high, self.rank = low, high, rank
        self.top = high
        self.members: list[S] = []
        self.left: _Node[S] | None = None
        self.right: _Node[S] | None = None

    @property
    def key(self) -> Interval:
        return self.low, self.high

    def settle(self) -> None:
        """After its children have changed."""
        top = self.high
        for child in (self.left, self.right):
            if child is not None and child.top > top:
                top = child.top
        self.top = top


class Intervals(Generic[S]):
    """Members that share an interval share a node."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._root: _Node[S] | None = None
        self._nodes: dict[Interval, _Node[S]] = {}
        self._chance = random.Random()  # noqa: S311 - it balances a tree

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def add(self, interval: Interval, member: S) -> None:
        node = self._nodes.get(interval)
        if node is None:
            node = self._nodes[interval] = _Node(*interval, self._chance.getrandbits(62))
            self._root = _inserted(self._root, node)
        node.members.append(member)

    def remove(self, interval: Interval, member: S) -> None:
        node = self._nodes[interval]
        node.members.remove(member)
        if not node.members:
            del self._nodes[interval]
            self._root = _removed(self._root, node)

    def within(self, text: str, into: list[list[S]]) -> None:
        """Put the members of each interval that contains the value."""
        at = point(self._order(text))
        stack = [self._root]
        while stack:
            node = stack.pop()
            while node is not None and node.top >= at:
                if node.low <= at:
                    if node.high >= at:
                        into.append(node.members)
                    stack.append(node.right)
                node = node.left

    def all(self) -> Iterator[list[S]]:
        return (node.members for node in self._nodes.values())


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
