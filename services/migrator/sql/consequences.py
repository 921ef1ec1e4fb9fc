"""Which faults only follow from an earlier one: what a refused statement would have made is missed later. Pure."""

import re
from collections.abc import Iterator

from medley.sql.lexer import Token
from services.migrator.sql.bodies import deep, name_of
from services.migrator.sql.locate import Refusal
from services.migrator.sql.mend import VERBS

_ABSENT = {"42P01", "42703", "42704", "42883", "3F000"}
# What goes wrong around a table that lacks a constraint or rows, and around one whose columns have other types.
_WITHOUT_IT = {"42830", "42P10", "23502", "23503", "23514"}
_OTHER_TYPES = {"42804", "42846", "42883"}
_DUPLICATE = {"42P07", "42710", "42723", "42P06"}
_KINDS = {
    *("TABLE", "INDEX", "VIEW", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "AGGREGATE", "SEQUENCE", "SCHEMA", "POLICY"),
    *("EXTENSION", "TRIGGER", "ROLE", "USER", "GROUP", "COLLATION", "PUBLICATION", "SUBSCRIPTION", "SERVER", "RULE"),
    *("STATISTICS", "CONFIGURATION", "DICTIONARY", "DATABASE", "TABLESPACE", "CLASS", "FAMILY"),
}
_SKIPPED = {"CONCURRENTLY", "IF", "NOT", "EXISTS", "COLUMN", "ONLY"}
_OF_A_TABLE = re.compile(r"_(pkey|\w*key|\w*idx|\w*fkey|\w*check|\w*seq|\w*excl)")


class Consequences:
    """What refused statements would have made, and the tables that they would have changed."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._lacking: set[str] = set()
        self._mended: set[str] = set()

    def refused(self, text: str, refusal: Refusal | None = None) -> None:
        """This statement was not done, or (a table that was mended) not as it is written."""
        tokens = list(deep(text))
        if refusal is not None and refusal.sqlstate in _DUPLICATE and tokens and tokens[0].upper == "CREATE":
            return  # it exists: what is missed later is missed for another reason
        self._missing.update(_made(tokens))
        if tokens and tokens[0].upper not in VERBS:  # misspelt: one of the first words is the name
            self._missing.update(name_of(token) for token in tokens[:6])
        self._lacking.update(_touched(tokens))

    def mended(self, text: str) -> None:
        """This table was made, but not as it is written."""
        self._mended.update(_made(list(deep(text))))

    def explain(self, refusal: Refusal, text: str) -> bool:
        """Whether a refusal of `text` only follows from an earlier one."""
        if refusal.sqlstate in _ABSENT and any(self._missed(name) for name in refusal.names()[:1]):
            return True
        damaged = self._mended if refusal.sqlstate in _WITHOUT_IT | _OTHER_TYPES else set()
        damaged = damaged | self._lacking if refusal.sqlstate in _WITHOUT_IT else damaged
        return any(name_of(token) in damaged for token in deep(text)) if damaged else False

    def _missed(self, name: str) -> bool:
        if name in self._missing:
            return True
        return any(name.startswith(made) and _OF_A_TABLE.fullmatch(name[len(made) :]) for made in self._missing)


def _made(tokens: list[Token]) -> Iterator[str]:
    """The names after CREATE, ADD, CONSTRAINT and RENAME … TO."""
    for index, token in enumerate(tokens):
        if token.upper == "CREATE":
            head = range(index + 1, min(index + 6, len(tokens)))
            kind = next((i for i in head if tokens[i].upper in _KINDS), None)
            if kind is not None:
                yield from _name(tokens, kind + 1)
            else:  # misspelt: one of these is the name
                yield from (name_of(tokens[i]) for i in head)
        elif token.upper in ("ADD", "CONSTRAINT") or (token.upper == "TO" and "RENAME" in _words(tokens, index)):
            yield from _name(tokens, index + 1)


def _touched(tokens: list[Token]) -> Iterator[str]:
    for index, token in enumerate(tokens):
        if token.upper in ("TABLE", "ON", "INTO", "UPDATE"):
            yield from _name(tokens, index + 1)


def _words(tokens: list[Token], index: int) -> list[str]:
    return [token.upper for token in tokens[max(0, index - 4) : index]]


def _name(tokens: list[Token], index: int) -> Iterator[str]:
    """The name that begins at `index`, without its schema."""
    while index < len(tokens) and tokens[index].upper in _SKIPPED:
        index += 1
    while index + 2 < len(tokens) and tokens[index + 1].text == ".":
        index += 2
    if index < len(tokens) and tokens[index].kind in ("word", "name"):
        yield name_of(tokens[index])
