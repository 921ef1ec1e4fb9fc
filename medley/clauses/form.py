"""The subqueries of a clause, in the text that Postgres writes of it (`pg_get_viewdef`, names qualified). Pure.

There every condition has parentheses of its own, a subquery's comparison among them: `(songs.id IN ( SELECT p.song_id
FROM public.playlist_songs p WHERE (p.playlist_id = 3)))`. What is understood is one plain table, a list of
expressions and a condition; anything else is refused. DISTINCT and ORDER BY mean nothing here, and are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from medley.clauses.text import BRACKETS
from medley.sql.lexer import Token, lex
from medley.sql.quoting import quote_identifier

Kind: TypeAlias = Literal["ANY", "ALL", "EXISTS"]


_DEEPEST = 4  # what is asked after a change grows fourfold with every two
_AROUND = frozenset({"AND", "OR"})


class NotUnderstood(ValueError):
    """A subquery of a form that is not supported; says which."""


@dataclass(frozen=True, slots=True)
class Subquery:
    """`left operator kind (SELECT targets FROM schema.table AS alias WHERE where)`; EXISTS has no left side."""

    kind: Kind
    head: str
    """What stands before the inner SELECT, as it was written: `songs.id IN `."""
    lefts: tuple[str, ...]
    """The left side of IN, a member for each target; empty for any other comparison, and where it is no equality."""
    targets: tuple[str, ...]
    schema: str | None
    """None where the name stands alone: then it is that of the clause's own table."""
    table: str
    alias: str
    where: "Form | None"
    monotone: bool
    """Nothing but AND and OR is around it, so that false and NULL in its place are the same for who asks for rows."""
    required: bool
    """Nothing but AND is around it: it is true wherever the condition is."""

    def write(self, relation: "Relations") -> str:
        """As SQL, with other relations in the place of tables."""
        where = f" WHERE {self.where.write(relation)}" if self.where is not None else ""
        targets = ", ".join(self.targets)
        return f"({self.head}( SELECT {targets} FROM {relation(self)} AS {quote_identifier(self.alias)}{where}))"


Relations: TypeAlias = Callable[[Subquery], str]


@dataclass(frozen=True, slots=True)
class Form:
    """A condition: text, and the subqueries in it."""

    pieces: tuple[str | Subquery, ...]

    def write(self, relation: Relations) -> str:
        return "".join(piece if isinstance(piece, str) else piece.write(relation) for piece in self.pieces)

    @property
    def subqueries(self) -> tuple[Subquery, ...]:
        """Its own, without those that stand inside of them."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Subquery))

    def walk(self) -> Iterator[Subquery]:
        """Every subquery at any depth, the outer ones first."""
        for one in self.subqueries:
            yield one
            if one.where is not None:
                yield from one.where.walk()


def form(sql: str) -> Form:
    """Raises NotUnderstood."""
    found = _Reader(sql).form()
    if _depth(found) > _DEEPEST:
        raise NotUnderstood(f"more than {_DEEPEST} subqueries stand in one another")
    return found


def _depth(found: Form) -> int:
    return max((1 + (_depth(one.where) if one.where is not None else 0) for one in found.subqueries), default=0)


class _Reader:
    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens = list(lex(sql))
        self._closing = _closing(self._tokens)

    def form(self) -> Form:
        return Form(tuple(self._pieces(0, len(self._tokens), _AROUND)))

    def _text(self, start: int, end: int) -> str:
        """The text of the tokens from `start` to before `end`."""
        return self._sql[self._tokens[start].offset : self._tokens[end - 1].end] if start < end else ""

    def _word(self, at: int, end: int) -> str:
        return self._tokens[at].upper if at < end and self._tokens[at].kind == "word" else ""

    def _selects(self, at: int) -> bool:
        return self._tokens[at].text == "(" and self._word(at + 1, len(self._tokens)) == "SELECT"

    def _pieces(self, start: int, end: int, around: frozenset[str]) -> Iterator[str | Subquery]:
        """`around`: the words that may stand beside a condition here, as far as they do not change what is meant."""
        since = at = start
        while at < end:
            close = self._closing.get(at)
            if close is None:
                at += 1
                continue
            if self._selects(at):
                raise NotUnderstood("a subquery stands for a value; use IN or EXISTS")
            inside = around & self._around(start, at, close, end) if self._tokens[at].text == "(" else frozenset()
            inner = self._inner(at, close)
            found = [self._subquery(at, inner, close, inside)] if inner is not None else None
            below = found if found is not None else list(self._pieces(at + 1, close, inside))
            if any(isinstance(piece, Subquery) for piece in below):
                yield self._gap(since, at)
                yield self._tokens[at].text if found is None else ""
                yield from below
                yield self._tokens[close].text if found is None else ""
                since = close + 1
            at = close + 1
        yield self._gap(since, end)

    def _gap(self, start: int, end: int) -> str:
        return f" {self._text(start, end)} " if start < end else ""

    def _around(self, start: int, opened: int, close: int, end: int) -> frozenset[str]:
        """AND when nothing else is around it, OR, too, when nothing but these two is."""
        words = {self._word(opened - 1, end)} if opened > start else set()
        words |= {self._word(close + 1, end)} if close + 1 < end else set()
        if words <= {"AND"}:
            return _AROUND
        return frozenset({"OR"}) if words <= _AROUND else frozenset()

    def _inner(self, opened: int, close: int) -> int | None:
        """Where the SELECT's parentheses open, for the parentheses of a comparison with a subquery."""
        at = opened + 1
        while at < close:
            if self._selects(at) and self._closing[at] == close - 1:
                return at
            at = self._closing.get(at, at) + 1
        return None

    def _subquery(self, opened: int, inner: int, close: int, around: frozenset[str]) -> Subquery:
        how = self._word(inner - 1, close)
        lefts: tuple[str, ...] = ()
        if any(self._selects(at) for at in range(opened, inner)):
            raise NotUnderstood("a subquery stands on the left side of another one")
        if how == "IN":
            lefts = self._list(opened + 1, inner - 1)
        elif how not in ("ANY", "ALL", "EXISTS"):
            raise NotUnderstood("a subquery stands for a value; use IN or EXISTS")
        kind: Kind = "ALL" if how == "ALL" else "EXISTS" if how == "EXISTS" else "ANY"
        head = f"{self._text(opened + 1, inner)} "
        return self._select(inner + 2, close - 1, kind, head, lefts, around)

    def _list(self, start: int, end: int) -> tuple[str, ...]:
        """The members of a row, or the one expression that it is."""
        if self._closing.get(start) == end - 1:
            members = list(self._split(start + 1, end - 1))
            if len(members) > 1:
                return tuple(members)
        return (self._text(start, end),)

    def _split(self, start: int, end: int) -> Iterator[str]:
        since = at = start
        while at <= end:
            if at == end or self._tokens[at].text == ",":
                yield self._text(since, at)
                since = at + 1
            at = self._closing.get(at, at) + 1

    def _select(
        self, start: int, end: int, kind: Kind, head: str, lefts: tuple[str, ...], around: frozenset[str]
    ) -> Subquery:
        """`start` is after SELECT."""
        start += self._word(start, end) == "DISTINCT"
        if self._word(start, end) == "ON":
            raise NotUnderstood("DISTINCT ON is not supported in a subquery")
        places = {word: self._find(word, start, end) for word in ("FROM", "WHERE", "ORDER")}
        for word in ("GROUP", "HAVING", "LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT", "WINDOW", "FOR", "FETCH"):
            if self._find(word, start, end) < end:
                raise NotUnderstood(f"{word} is not supported in a subquery")
        stop = min(places["WHERE"], places["ORDER"])
        if any(self._selects(at) for at in range(start, places["FROM"])):
            raise NotUnderstood("a subquery stands in the list of another one's SELECT")
        if places["FROM"] == end:
            raise NotUnderstood("a subquery that reads no table is not supported in a where clause")
        schema, table, alias = self._table(places["FROM"] + 1, stop)
        where = None
        if places["WHERE"] < end:
            where = Form(tuple(self._pieces(places["WHERE"] + 1, places["ORDER"], _AROUND)))
        targets = tuple(self._target(start, places["FROM"]))
        if "COLLATE" in f"{lefts}{targets}":
            lefts = ()  # as an equality, the two sides' collations would mean something else
        return Subquery(kind, head, lefts, targets, schema, table, alias, where, "OR" in around, "AND" in around)

    def _find(self, word: str, start: int, end: int) -> int:
        """Where the word stands at this depth; the end when it does not."""
        at = start
        while at < end and self._word(at, end) != word:
            at = self._closing.get(at, at) + 1
        return min(at, end)

    def _target(self, start: int, end: int) -> Iterator[str]:
        """Each expression of the list, without the name that it is given."""
        since = at = start
        while at <= end and start < end:
            if at == end or self._tokens[at].text == ",":
                yield self._text(since, self._find("AS", since, at))
                since = at + 1
            at = self._closing.get(at, at) + 1

    def _table(self, start: int, end: int) -> tuple[str | None, str, str]:
        start += self._word(start, end) == "ONLY"
        tokens = [token for token in self._tokens[start:end] if token.upper != "AS"]
        names = [token for token in tokens if token.kind in ("word", "name")]
        dotted = len(names) > 1 and tokens[1].text == "."
        if not names or len(tokens) != len(names) + dotted or len(names) > 2 + dotted:
            raise NotUnderstood("a subquery reads more than one plain table; put one subquery into another")
        folded = [_name(token) for token in names]
        schema = folded.pop(0) if dotted else None
        return schema, folded[0], folded[-1]


def _closing(tokens: Sequence[Token]) -> dict[int, int]:
    """Where each parenthesis or bracket that opens is closed."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.text in BRACKETS.values():
            opened.append(at)
        elif token.text in BRACKETS and opened:
            found[opened.pop()] = at
    return found


def _name(token: Token) -> str:
    return token.text if token.kind == "word" else token.text[1:-1].replace('""', '"')
