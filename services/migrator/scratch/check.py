"""Every fault of every migration file, found by Postgres itself on an empty scratch database.

A file is run as it will be: its statements in one transaction, in order. When all of it succeeds, that was all. When
it does not, it is rolled back and read again with more patience: first each statement by the server's grammar alone
(in a transaction that has failed already, Postgres parses a statement and refuses to run it), then each one run under a
savepoint, so that no fault hides the next. What a fault would have made is remembered, and what only follows from
its absence is not told.

Statements about the whole server (roles, databases, its settings) are read by the grammar and not run: the scratch
database is thrown away, and they would stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import asyncpg

from medley.sql.lexer import Lines, Statement
from services.migrator.scratch.roles import Roles, is_server_wide
from services.migrator.sql.consequences import Consequences
from services.migrator.sql.directives import Script
from services.migrator.sql.faults import Fault
from services.migrator.sql.locate import Refusal, locate
from services.migrator.sql.mend import Draft, Mend, mends, without

_FAILED_ALREADY = "25P02"
_MOST_MENDS = 50


async def find_faults(
    connection: asyncpg.Connection, scripts: Sequence[Script], roles: Roles | None = None
) -> list[Fault]:
    """All faults, the files' own included, in the order of the files and of their lines.

    The database of `connection` is empty before, and afterwards holds what could be applied.
    """
    faults: list[Fault] = []
    consequences = Consequences()
    for script in scripts:
        check = _Check(connection, script, consequences, roles)
        if script.faults or not await check.applies():
            await check.patiently()
        faults += sorted({*script.faults, *check.faults})
        # As the migrator does after each file: what a file makes for its session is not the next one's.
        await connection.execute("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DISCARD TEMP")
    return faults


@dataclass(frozen=True, slots=True)
class _Piece:
    """A statement as it can be run: mended, if it had to be."""

    statement: Statement
    draft: Draft


class _Check:
    """One file."""

    def __init__(
        self, connection: asyncpg.Connection, script: Script, consequences: Consequences, roles: Roles | None
    ) -> None:
        self._connection = connection
        self._script = script
        self._roles = roles
        self._lines = Lines(script.text)
        self._consequences = consequences
        self.faults: list[Fault] = []

    async def applies(self) -> bool:
        """Apply the file as the migrator will; False, and nothing of it is left, when Postgres refuses."""
        if any(is_server_wide(statement) for statement in self._script.statements):
            return False
        if self._script.no_transaction:
            return all([await self._refusal(statement.text) is None for statement in self._script.statements])
        await self._connection.execute("BEGIN")
        for statement in self._script.statements:
            if await self._refusal(statement.text):
                await self._connection.execute("ROLLBACK")
                return False
        return await self._commit() is None

    async def patiently(self) -> None:
        """Find every fault, and apply what can be applied."""
        pieces = await self._read()
        if self._script.no_transaction:
            for piece in pieces[:1]:
                await self._run(piece, savepoint=False)
            return
        await self._connection.execute("BEGIN")
        for piece in pieces:
            await self._run(piece, savepoint=True)
        if refusal := await self._commit():
            self._at_the_end(refusal, pieces)

    async def _commit(self) -> Refusal | None:
        """As the migrator ends it: deferred constraints are looked at while it can still be said which."""
        refusal = await self._refusal("SET CONSTRAINTS ALL IMMEDIATE")
        if refusal is None and self._roles is not None:
            await self._roles.note(self._connection)
        return await self._refusal("ROLLBACK" if refusal else "COMMIT") or refusal

    async def _read(self) -> list[_Piece]:
        """What the grammar lets through, mended where that was possible."""
        pieces: list[_Piece] = []
        await self._connection.execute("BEGIN")
        await self._refusal("SELECT 1 / 0")
        # A fault of a comment is none of the statement around it.
        places = {
            (fault.line, fault.column) for fault in self._script.faults if not fault.near.startswith(("--", "/*"))
        }
        for statement in self._script.statements:
            if any((statement.line, statement.column) <= place < self._after(statement) for place in places):
                self._consequences.refused(statement.text)
            else:
                pieces += await self._mended(statement)
        await self._connection.execute("ROLLBACK")
        return pieces

    def _after(self, statement: Statement) -> tuple[int, int]:
        return self._lines.at(statement.end)

    async def _mended(self, statement: Statement) -> list[_Piece]:
        draft = Draft(statement.text)
        refusal = await self._refusal(draft.text)
        for _ in range(_MOST_MENDS):
            if refusal is None:
                return [_Piece(statement, draft)]
            offset, near = locate(refusal, draft.text)
            mend, after = await self._mend(draft, offset)
            if mend is None:
                self._add(statement, draft.original(offset), refusal.sentence(), near)
                break
            self._add(
                statement, draft.original(mend.at), f"{refusal.sentence()}; {mend.guess}", near, mend.at == offset
            )
            if mend.splits:
                return [_Piece(statement, Draft(draft.text[: mend.at].rstrip(), draft.edits))] + await self._mended(
                    self._rest(statement, draft.original(mend.at))
                )
            draft, refusal = mend.draft, after
        self._consequences.refused(statement.text)
        return []

    async def _mend(self, draft: Draft, offset: int) -> tuple[Mend | None, Refusal | None]:
        """The first guess with which the grammar reads on, and what it says then."""
        for mend in mends(draft, offset):
            if mend.splits:
                if await self._refusal(draft.text[: mend.at]) is None:
                    return mend, None
                continue
            after = await self._refusal(mend.draft.text)
            if after is None or mend.draft.original(locate(after, mend.draft.text)[0]) > draft.original(mend.beyond):
                return mend, after
        return None, None

    def _rest(self, statement: Statement, offset: int) -> Statement:
        start = statement.offset + offset
        line, column = self._lines.at(start)
        return replace(statement, text=statement.text[offset:], offset=start, line=line, column=column)

    async def _run(self, piece: _Piece, savepoint: bool) -> None:
        if is_server_wide(piece.statement):
            self._consequences.refused(piece.statement.text)
            return
        draft = piece.draft
        refusal = await self._attempt(draft.text, savepoint)
        for _ in range(_MOST_MENDS):
            if refusal is None:
                break
            offset, near = locate(refusal, draft.text)
            if not self._consequences.explain(refusal, draft.text):
                self._add(piece.statement, draft.original(offset), refusal.sentence(), near)
            lesser, refusal = await self._less(draft, offset, refusal)
            if lesser is None:
                self._consequences.refused(draft.text, refusal)
                return
            draft = lesser
        if draft != piece.draft:
            self._consequences.mended(draft.text)

    async def _less(self, draft: Draft, offset: int, refusal: Refusal) -> tuple[Draft | None, Refusal | None]:
        """A table without the column or constraint that was refused: made, or refused for another reason."""
        for lesser in without(draft, offset):
            after = await self._attempt(lesser.text, savepoint=True)
            if after is None or after.message != refusal.message:
                return lesser, after
        return None, refusal

    async def _attempt(self, text: str, savepoint: bool) -> Refusal | None:
        if not savepoint:
            return await self._refusal(text)
        await self._connection.execute("SAVEPOINT attempt")
        refusal = await self._refusal(text)
        end = "ROLLBACK TO attempt; RELEASE attempt" if refusal else "RELEASE attempt"
        await self._connection.execute(end)
        return refusal

    async def _refusal(self, text: str) -> Refusal | None:
        """Run it as psql would, in the simple protocol; a transaction that has failed already is no refusal."""
        try:
            await self._connection.execute(text)
        except asyncpg.PostgresError as error:
            return None if error.sqlstate == _FAILED_ALREADY else refusal_of(error)
        return None

    def _at_the_end(self, refusal: Refusal, pieces: list[_Piece]) -> None:
        """A deferred constraint is broken by an earlier statement: the last one that names its table."""
        about = [piece for piece in pieces if refusal.table and refusal.table in piece.draft.text] or pieces
        statement = about[-1].statement
        self._add(statement, 0, f"at the end of the transaction: {refusal.sentence()}", statement.words(1)[0])

    def _add(self, statement: Statement, offset: int, what: str, near: str, is_near: bool = True) -> None:
        line, column = self._lines.at(statement.offset + offset)
        if not is_near:
            near = next(Statement(statement.text[offset:], 0, 1, 1).tokens()).text
        self.faults.append(Fault(self._script.filename, line, column, what, near))


def refusal_of(error: asyncpg.PostgresError) -> Refusal:
    """What asyncpg makes of an answer, as plain values."""

    def number(value: str | None) -> int | None:
        return int(value) if value else None

    return Refusal(
        sqlstate=error.sqlstate or "",
        message=error.message or str(error),
        position=number(error.position),
        inner_position=number(error.internal_position),
        inner_query=error.internal_query,
        context=error.context or "",
        advice=error.hint or error.detail or "",
        table=error.table_name,
    )
