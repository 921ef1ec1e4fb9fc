"""Random transactions over several tables, and who commits them; a server that is away is waited for.

Balances of a group are zero together after each transaction, and each update of an account counts its `turn` up by one:
a copy that was torn, or that lacks a change, shows it.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from medley.runtime.postgres import FAILURES, SESSION
from tests.chaos.shapes import ACCOUNTS, GROUPS, ITEMS, PLACES

_RETRY = 0.1
LARGE = 20_000

EMPTIED = {
    "accounts": (
        "TRUNCATE chaos.accounts",
        f"INSERT INTO chaos.accounts SELECT n, n % {GROUPS}, 0, 0 FROM generate_series(0, {ACCOUNTS - 1}) n",
    ),
    "items": ("TRUNCATE chaos.items",),
    "links": ("TRUNCATE chaos.links", "INSERT INTO chaos.links SELECT n, 3, n FROM generate_series(0, 9) n"),
}
"""A table is emptied, with rows that come back in the same transaction."""
LARGE_ONES = (
    f"INSERT INTO chaos.items SELECT n, 'song', n % 40, 'blue ' || n FROM generate_series(1000, {999 + LARGE}) n"
    " ON CONFLICT DO NOTHING",
    "DELETE FROM chaos.items WHERE id BETWEEN 1000 AND 900000",
)


class Statement(NamedTuple):
    """`undone`: a savepoint around it is rolled back."""

    sql: str
    undone: bool = False


def transaction(chance: random.Random) -> list[Statement]:
    """Of two to seven statements. Pure."""
    drawn: list[str] = []
    for _ in range(chance.choice((2, 2, 3, 4, 5))):
        match chance.choice(("transfer", "item", "item", "link", "playlist")):
            case "transfer":
                drawn += _transfer(chance)
            case "item":
                drawn.append(_of_item(chance))
            case "link":
                drawn.append(_of_link(chance))
            case _:
                drawn.append(_of_playlist(chance))
    return [Statement(sql, undone=not _moves(sql) and chance.random() < 0.1) for sql in drawn]


def _moves(sql: str) -> bool:
    """Half a transfer is never undone."""
    return "balance" in sql


def _transfer(chance: random.Random) -> list[str]:
    """Between two accounts of a group; in the order of their ids, so that writers seldom wait for one another."""
    group, amount = chance.randrange(GROUPS), chance.randint(1, 99)
    one, other = sorted(chance.sample(range(group, ACCOUNTS, GROUPS), 2))
    note = chance.choice(("NULL", "'paid'", "'ü'"))
    return [
        f"UPDATE chaos.accounts SET balance = balance - {amount}, turn = turn + 1, note = {note} WHERE id = {one}",
        f"UPDATE chaos.accounts SET balance = balance + {amount}, turn = turn + 1 WHERE id = {other}",
    ]


def _of_item(chance: random.Random) -> str:
    number, other = chance.randrange(ITEMS), chance.randrange(ITEMS)
    values = {
        "kind": chance.choice(("'song'", "'film'", "NULL")),
        "size": chance.choice(("1", "10", "10.0", "12.50", "NULL", "99999999999.5")),
        "title": chance.choice(("'blue'", "'art'", "'Blau'", "''", "NULL", "'bü%'", "repeat('b', 3000)")),
        "tags": chance.choice(("'{live}'", "'{}'", "'{live,studio}'", "NULL")),
        "doc": chance.choice(("""'{"bpm": 120}'""", """'{"bpm": 120.0, "a": [1]}'""", "'{}'", "NULL")),
    }
    match chance.choice(("insert", "insert", "update", "update", "update", "key", "delete", "many")):
        case "insert":
            changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in chance.sample(list(values), 2))
            listed = f"(id, {', '.join(values)}) VALUES ({number}, {', '.join(values.values())})"
            return f"INSERT INTO chaos.items {listed} ON CONFLICT (id) DO UPDATE SET {changed}"
        case "update":
            names = chance.sample(list(values), chance.randint(1, 3))
            return f"UPDATE chaos.items SET {', '.join(f'{n} = {values[n]}' for n in names)} WHERE id = {number}"
        case "key":
            return f"UPDATE chaos.items SET id = {other} WHERE id = {number}"
        case "many":
            return f"UPDATE chaos.items SET size = size + 1 WHERE id < {ITEMS} AND kind = {values['kind']}"
        case _:
            return f"DELETE FROM chaos.items WHERE id = {number}"


def _of_link(chance: random.Random) -> str:
    item, place, other = chance.randrange(ITEMS), chance.randrange(PLACES), chance.randrange(PLACES)
    match chance.choice(("insert", "insert", "update", "key", "delete")):
        case "insert":
            values = f"({item}, {place}, {chance.randrange(9)})"
            conflict = "ON CONFLICT (item, place) DO UPDATE SET weight = EXCLUDED.weight"
            return f"INSERT INTO chaos.links (item, place, weight) VALUES {values} {conflict}"
        case "update":
            return f"UPDATE chaos.links SET weight = {chance.randrange(9)} WHERE place = {place} AND item < {item}"
        case "key":
            return f"UPDATE chaos.links SET place = {other} WHERE item = {item} AND place = {place}"
        case _:
            return f"DELETE FROM chaos.links WHERE item = {item}"


def _of_playlist(chance: random.Random) -> str:
    key = f"'00000000-0000-4000-8000-{chance.randrange(20):012d}'"
    whose, mood = chance.choice(("'ann'", "'bo'", "NULL")), chance.choice(('{"mood": "calm"}', '{"mood": 1}', "{}"))
    match chance.choice(("insert", "insert", "update", "delete")):
        case "insert":
            values = f"({key}, 'list', {whose}, '{mood}')"
            conflict = "ON CONFLICT (id) DO UPDATE SET client_id = EXCLUDED.client_id, metadata = EXCLUDED.metadata"
            return f"INSERT INTO public.playlists (id, title, client_id, metadata) VALUES {values} {conflict}"
        case "update":
            title = f"'list {chance.randrange(9)}'"
            return f"UPDATE public.playlists SET title = {title}, client_id = {whose} WHERE id = {key}"
        case _:
            return f"DELETE FROM public.playlists WHERE id = {key}"


class Database:
    """One session that is opened again when it is lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._session: asyncpg.Connection | None = None

    async def session(self) -> asyncpg.Connection:
        """Raises FAILURES."""
        if self._session is None or self._session.is_closed():
            self._session = await asyncpg.connect(self._dsn, timeout=5, command_timeout=20, server_settings=SESSION)
        return self._session

    async def insist(self, statements: Sequence[str]) -> None:
        """These in one transaction, however often it takes: they may be repeated."""
        while True:
            try:
                session = await self.session()
                async with session.transaction():
                    for sql in statements:
                        await session.execute(sql)
                return
            except FAILURES as error:
                self.lost(error)
                await asyncio.sleep(_RETRY)

    def lost(self, error: Exception) -> None:
        """A statement that was refused leaves the session as it was."""
        refused = isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] not in ("08", "57", "XX")
        if self._session is not None and not refused:
            self._session.terminate()
            self._session = None

    def close(self) -> None:
        if self._session is not None:
            self._session.terminate()


class Writer:
    """Counts what it has committed for certain."""

    def __init__(self, dsn: str, seed: str, pause: float) -> None:
        self._database = Database(dsn)
        self._chance = random.Random(seed)  # noqa: S311
        self._pause = pause
        self.transactions = self.changes = 0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                changes = await self._commit(await self._database.session(), transaction(self._chance))
            except FAILURES as error:
                self._database.lost(error)
                await asyncio.sleep(_RETRY)
            else:
                self.transactions += changes > 0
                self.changes += changes
            await asyncio.sleep(self._chance.uniform(0, 2 * self._pause))
        self._database.close()

    async def _commit(self, session: asyncpg.Connection, statements: list[Statement]) -> int:
        """How many rows it has changed. A statement that is refused is undone by itself."""
        changes = 0
        given_up = self._chance.random() < 0.04
        outer = session.transaction()
        await outer.start()
        try:
            for sql, undone in statements:
                if _moves(sql):
                    changes += _count(await session.execute(sql))
                else:
                    changes += await _within_savepoint(session, sql, undone=undone)
        except FAILURES:
            if not session.is_closed():
                await outer.rollback()
            raise
        await (outer.rollback() if given_up else outer.commit())
        return 0 if given_up else changes


async def _within_savepoint(session: asyncpg.Connection, sql: str, *, undone: bool) -> int:
    savepoint = session.transaction()
    await savepoint.start()
    try:
        count = _count(await session.execute(sql))
    except asyncpg.UniqueViolationError:
        await savepoint.rollback()
        return 0
    await (savepoint.rollback() if undone else savepoint.commit())
    return 0 if undone else count


def _count(tag: str) -> int:
    return int(tag.split()[-1])
