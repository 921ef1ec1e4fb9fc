"""Reads what Postgres keeps of a statement that it has analysed: the text of a `pg_node_tree`. Pure.

`{KIND :field value …}` is a node, `(…)` a list, `<>` nothing, the rest are words. Which fields a kind has differs from
one version of Postgres to the next, so nothing here knows a field: who asks for one names it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "Node | list[Value] | str | None"

# A backslash stands before each character that would end a word.
_TOKEN = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SETS = ("b", "i", "o", "x")  # the word that a list of numbers begins with


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its kind, and its fields by name."""

    kind: str
    fields: dict[str, Value]

    def nodes(self, field: str) -> list["Node"]:
        """The nodes of a list; none when it is absent."""
        value = self.fields.get(field)
        return [one for one in value if isinstance(one, Node)] if isinstance(value, list) else []

    def numbers(self, field: str) -> list[int]:
        """The members of a list or a set of numbers; none when it is absent."""
        value = self.fields.get(field)
        return [int(one) for one in value if isinstance(one, str)] if isinstance(value, list) else []

    def number(self, field: str) -> int:
        """A number; 0, which is Postgres's own word for none, when it is absent."""
        value = self.fields.get(field)
        return int(value) if isinstance(value, str) else 0


def read(text: str) -> Value:
    """The tree. Raises ValueError for text that is none."""
    tokens = _Tokens(_TOKEN.findall(text))
    value = _value(tokens)
    if tokens.left:
        raise ValueError(f"a node tree ends before {tokens.next()!r}")
    return value


def walk(value: Value) -> Iterator[Node]:
    """Every node at any depth, the outer ones first."""
    if isinstance(value, Node):
        yield value
    parts = value.fields.values() if isinstance(value, Node) else value if isinstance(value, list) else ()
    for part in parts:
        yield from walk(part)


class _Tokens:
    """The words that are still to be read."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._tokens)

    def peek(self) -> str:
        if not self.left:
            raise ValueError("a node tree ends in the middle")
        return self._tokens[self._at]

    def next(self) -> str:
        token = self.peek()
        self._at += 1
        return token


def _value(tokens: _Tokens) -> Value:
    token = tokens.next()
    match token:
        case "{":
            return _node(tokens)
        case "(":
            return _list(tokens)
        case "<>":
            return None
        case "}" | ")":
            raise ValueError(f"a node tree has {token} where a value should be")
        case _:
            return _word(token)


def _node(tokens: _Tokens) -> Node:
    kind, fields = tokens.next(), dict[str, Value]()
    while (token := tokens.next()) != "}":
        if not token.startswith(":"):
            raise ValueError(f"a node tree has {token!r} where {kind} should have the name of a field")
        fields[token[1:]] = _value(tokens)
        if tokens.peek() == "[":  # the bytes of a constant, after their number
            while tokens.next() != "]":
                pass
    return Node(kind, fields)


def _list(tokens: _Tokens) -> list[Value]:
    if tokens.peek() in _SETS:
        tokens.next()
    members = []
    while tokens.peek() != ")":
        members.append(_value(tokens))
    tokens.next()
    return members


def _word(token: str) -> str:
    quoted = len(token) > 1 and token.startswith('"') and token.endswith('"')
    word = token[1:-1] if quoted else token
    return _ESCAPED.sub(r"\1", word) if "\\" in word else word
