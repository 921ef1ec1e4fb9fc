"""Reads a migration file: its statements, what its comments say about it, and what is wrong with either. Pure.

A directive is a `--` comment on a line of its own:

    -- migrate: no-transaction                     the file is one statement that cannot run in a transaction
    -- server-only                                 nothing of the file goes into clients' databases
    -- :electric:txn:start, -- :electric:txn:end   only what stands between them goes into clients' databases
    -- compat: accept <class> reason="…"           the file may break readers, writers or replicas, and why
    -- lint: accept <rule> reason="…"              the file may break this rule, and why

What looks like a directive and is none is a fault: silently ignored, it would do the opposite of what was meant.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from medley.sql.lexer import Lines, Split, Statement, Token, read
from services.migrator.sql.faults import Fault, excerpt
from services.migrator.sql.refused import refusals

CLASSES = ("reader-breaking", "writer-breaking", "replica-breaking")
_NO_TRANSACTION = "-- migrate: no-transaction"
_LOOKS = re.compile(
    r"""\s*(?:(?P<word>migrate|compat|lint)\s*:
    | (?P<marker>:?electric:)
    | (?P<server>server-only\b|server[ _]?only[.!]?\s*$))""",
    re.IGNORECASE | re.VERBOSE,
)
_ACCEPT = re.compile(r"accept\s+(?P<kind>[\w-]+)\s+reason=\"(?P<reason>[^\"]*)\"")
_START, _END = ":electric:txn:start", ":electric:txn:end"


@dataclass(frozen=True, slots=True)
class Accept:
    """What the file is allowed, by name, and the reason that it gives."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Script:
    """One migration file as it was read; with faults, the rest is as far as it could be understood."""

    filename: str
    text: str
    statements: tuple[Statement, ...]
    no_transaction: bool = False
    server_only: bool = False
    accepts: tuple[Accept, ...] = ()
    lint_accepts: tuple[Accept, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_script(filename: str, text: str) -> Script:
    """The whole file; never raises."""
    split, lines = read(text), Lines(text)
    said = _Said()
    for comment in split.comments:
        said.take(comment, text, split.statements)
    found = [*said.wrong, *_unfinished(text, split), *said.unbalanced(), *_alone(said, split)]
    for statement in split.statements:
        found += refusals(statement, said.no_transaction is not None)
    faults = sorted({Fault(filename, *lines.at(offset), what, excerpt(near)) for offset, what, near in found})
    return Script(
        filename,
        text,
        tuple(replace(statement, replicated=said.replicated(statement)) for statement in split.statements),
        said.no_transaction is not None,
        said.server_only is not None,
        tuple(said.accepts["compat"]),
        tuple(said.accepts["lint"]),
        tuple(faults),
    )


Wrong = tuple[int, str, str]


@dataclass(slots=True)
class _Said:
    """What the comments say, so far."""

    no_transaction: Token | None = None
    server_only: Token | None = None
    markers: list[Token] = field(default_factory=list)
    accepts: dict[str, list[Accept]] = field(default_factory=lambda: {"compat": [], "lint": []})
    wrong: list[Wrong] = field(default_factory=list)

    def take(self, comment: Token, text: str, statements: list[Statement]) -> None:
        looks = _LOOKS.match(comment.text[2:])
        if looks is None:
            return
        before = text[text.rfind("\n", 0, comment.offset) + 1 : comment.offset]
        if before.strip() or comment.text.startswith("/*"):
            self._refuse(comment, "a directive is a -- comment on a line of its own; move it there")
            return
        said = comment.text[2:].strip()
        if looks["word"]:
            self._keyed(comment, looks["word"], said[said.index(":") + 1 :].strip())
        elif looks["server"]:
            self.server_only = comment
            if said != "server-only":
                self._refuse(comment, "a file for the server alone says -- server-only, and nothing else on that line")
        else:
            self._marker(comment, said, statements)

    def _keyed(self, comment: Token, word: str, said: str) -> None:
        if (word, said) == ("migrate", "no-transaction"):
            self.no_transaction = comment
            return
        if word.lower() == "migrate":
            self._refuse(comment, f"the only such directive is {_NO_TRANSACTION}")
            return
        accept = _ACCEPT.fullmatch(said)
        if word not in self.accepts or accept is None:
            kind = "<rule>" if word.lower() == "lint" else "<class>"
            self._refuse(comment, f'an exception is written -- {word.lower()}: accept {kind} reason="…"')
        elif word == "compat" and accept["kind"] not in CLASSES:
            self._refuse(comment, f"there is no class {accept['kind']}; the classes are {', '.join(CLASSES)}")
        elif not accept["reason"].strip():
            self._refuse(comment, "an exception needs a reason; write it between the quotes")
        else:
            self.accepts[word].append(Accept(accept["kind"], accept["reason"].strip()))

    def _marker(self, comment: Token, said: str, statements: list[Statement]) -> None:
        if said not in (_START, _END):
            self._refuse(comment, f"the markers are -- {_START} and -- {_END}")
        elif any(statement.offset < comment.offset < statement.end for statement in statements):
            self._refuse(comment, "a marker stands between statements; this one is inside a statement")
        else:
            self.markers.append(comment)

    def unbalanced(self) -> Iterator[Wrong]:
        if self.server_only and self.markers:
            yield _at(self.markers[0], "a file that says -- server-only has nothing to mark; remove one of the two")
        opened: Token | None = None
        for marker in self.markers:
            starts = marker.text.endswith(_START)
            if starts and opened:
                yield _at(marker, f"markers do not nest; end the first with -- {_END}")
            elif not starts and not opened:
                yield _at(marker, f"nothing to end here; begin with -- {_START}")
            opened = marker if starts else None
        if opened:
            yield _at(opened, f"this is never ended; write -- {_END} after the last replicated statement")

    def replicated(self, statement: Statement) -> bool:
        if self.server_only:
            return False
        before = [marker for marker in self.markers if marker.offset < statement.offset]
        return not self.markers or (bool(before) and before[-1].text.endswith(_START))

    def _refuse(self, comment: Token, what: str) -> None:
        self.wrong.append(_at(comment, what))


def _at(comment: Token, what: str) -> Wrong:
    return comment.offset, what, comment.text


def _unfinished(text: str, split: Split) -> Iterator[Wrong]:
    if split.opened is not None:
        yield split.opened.offset, f"this {split.opened.what} is never ended", split.opened.text
    if (nul := text.find("\0")) >= 0:
        yield nul, "a character that Postgres cannot store (NUL); remove it", "\\0"


def _alone(said: _Said, split: Split) -> Iterator[Wrong]:
    directive = said.no_transaction
    if directive is None:
        return
    if not split.statements:
        yield _at(directive, "a file without a transaction is exactly one statement; this one has none")
    for number, statement in enumerate(split.statements[1:], 2):
        yield (
            statement.offset,
            f"a file without a transaction is exactly one statement, this is number {number}; give it its own file",
            statement.text,
        )
