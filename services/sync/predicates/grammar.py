"""A clause as Postgres writes it (`pg_get_expr`, only pg_catalog searched), as nested items. Pure.

There every operator that is not pg_catalog's is `OPERATOR(schema.sign)`, every constant but plain numbers and booleans
has its type, and each AND, OR, NOT and comparison has parentheses of its own. What is not understood is not guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from medley.contracts.shapes import ClauseColumn
from medley.sql.lexer import lex
from services.sync.predicates.template import type_at


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in parentheses, or in brackets."""

    sign: str
    items: tuple["Item", ...]


@dataclass(frozen=True, slots=True)
class Cast:
    type: str


@dataclass(frozen=True, slots=True)
class Text:
    """A string constant, without its quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword or an unquoted name, a number, or an operator's sign."""

    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A quoted name, without its quotes."""

    text: str


Item: TypeAlias = Group | Cast | Text | Word | Name
Items: TypeAlias = Sequence[Item]

_SIGNS = frozenset("+-*/<>=~!@#%^&|`?")


@dataclass(frozen=True, slots=True)
class Constant:
    """`text` is None for NULL."""

    text: str | None
    type: str


def items_of(sql: str) -> tuple[Item, ...]:
    """Raises ValueError for what is not balanced."""
    stack: list[list[Item]] = [[]]
    opened: list[str] = []
    skip = last = 0
    for token in lex(sql):
        if token.offset < skip:
            continue
        into = stack[-1]
        if sql.startswith("::", token.offset):
            kind, skip = type_at(sql, token.offset + 2)
            into.append(Cast(kind))
        elif token.kind == "string" and token.text.startswith("'"):
            into.append(Text(token.text[1:-1].replace("''", "'")))
        elif token.kind == "name":
            into.append(Name(token.text[1:-1].replace('""', '"')))
        elif token.text in ("(", "["):
            opened.append(token.text)
            stack.append([])
        elif token.text in (")", "]"):
            if len(stack) == 1:
                raise ValueError("a clause closes what it did not open")
            closed = Group(opened.pop(), tuple(stack.pop()))
            stack[-1].append(closed)
        elif token.text in _SIGNS and into and token.offset == last and _is_operator(into[-1]):
            into[-1] = Word(_text(into[-1]) + token.text)
        else:
            into.append(Word(token.text))
        last = token.end
    if len(stack) > 1:
        raise ValueError("a clause opens what it does not close")
    return tuple(stack[0])


def _text(item: Item) -> str:
    return item.text if isinstance(item, Word) else ""


def _is_operator(item: Item) -> bool:
    return bool(_text(item)) and set(_text(item)) <= _SIGNS


def split(items: Items, word: str) -> list[Items]:
    """The parts between a word that stands at this depth."""
    parts: list[list[Item]] = [[]]
    for item in items:
        if item == Word(word):
            parts.append([])
        else:
            parts[-1].append(item)
    return [tuple(part) for part in parts]


def unwrapped(items: Items) -> Items:
    """Without parentheses around all of it."""
    while len(items) == 1 and isinstance(items[0], Group) and items[0].sign == "(":
        items = items[0].items
    return items


def column(items: Items, columns: Mapping[str, ClauseColumn]) -> ClauseColumn | None:
    """The column that this is, if it is nothing else; varchars that are looked at as text are themselves."""
    match tuple(items):
        case (Word(text) | Name(text),):
            return columns.get(text)
        case (Group("(", inner), Cast("text" | "text[]" as kind)):
            found = column(inner, columns)
            return found if found is not None and found.type_name == kind.replace("text", "varchar") else None
        case _:
            return None


def document(
    items: Items, columns: Mapping[str, ClauseColumn], sign: str = "->"
) -> tuple[ClauseColumn, tuple[str, ...]] | None:
    """A jsonb column, and the keys by which its inner part is reached; the last one by `sign`."""
    items = unwrapped(items)
    match tuple(items):
        case (*left, Word(found), Text(key), Cast("text")) if found == sign:
            outer = document(left, columns)
            return None if outer is None else (outer[0], (*outer[1], key))
    whole = column(items, columns) if sign == "->" else None
    return (whole, ()) if whole is not None and whole.type_name == "jsonb" else None


def constant(items: Items) -> Constant | None:
    match tuple(items):
        case (Text(text), Cast(kind)) if "(" not in kind:
            return Constant(text, kind)
        case (Word("true" | "false" as text),):
            return Constant(text[0], "boolean")
        case (Word("NULL"), Cast(kind)):
            return Constant(None, kind)
        case (Word(text),) if text.isdigit():
            return Constant(text, "integer")
        case (Word(text),) if text.replace(".", "", 1).isdigit():
            return Constant(text, "numeric")
        case (Group("(", inner), Cast(kind)):
            return _converted(constant(inner), kind)
        case _:
            return None


def _converted(value: Constant | None, kind: str) -> Constant | None:
    """A constant that is cast, where that leaves its text what it is."""
    if value is None or value.text is None:
        return None
    match value.type, kind:
        case ("integer", "numeric" | "bigint" | "smallint") | ("character varying", "text"):
            return Constant(value.text, kind)
        case ("integer", "oid") if value.text.isdigit():
            return Constant(value.text, kind)
        case ("integer" | "numeric", "double precision") if _is_float(value.text):
            return Constant(value.text, kind)
        case _:
            return None


def _is_float(text: str) -> bool:
    """Not one that is out of range: Postgres does not take these for zero, or for infinite."""
    found = float(text)
    if found in (float("inf"), float("-inf")):
        return "Infinity" in text
    return found != 0 or not text.strip("-0.")


def constants(items: Items) -> list[Constant] | None:
    """The members of an array of constants."""
    match tuple(items):
        case (Word("ARRAY"), Group("[", inner)):
            found = [constant(part) for part in split(inner, ",")] if inner else []
            members = [member for member in found if member is not None]
            return members if len(members) == len(found) else None
        case (Group("(", inner), Cast("text[]")):
            return constants(inner)
        case (Text(text), Cast(kind)) if kind.endswith("[]"):
            texts = array(text)
            return None if texts is None else [Constant(member, kind.removesuffix("[]")) for member in texts]
        case _:
            return None


def array(text: str) -> list[str | None] | None:
    """The members of an array of one dimension, as its output function writes it; None for any other."""
    if not text.startswith("{") or not text.endswith("}") or text == "{}":
        return [] if text == "{}" else None
    members: list[str | None] = []
    at, end = 1, len(text) - 1
    while at <= end:
        quoted = text[at] == '"'
        member = ""
        at += quoted
        while text[at] != '"' if quoted else text[at] not in ",}":
            if text[at] == "{" and not quoted:
                return None
            at += text[at] == "\\"
            member += text[at]
            at += 1
        at += quoted + 1
        members.append(None if not quoted and member == "NULL" else member)
    return members
