"""Shapes and CHANGES are compared with Postgres on a live system: no false alarm, and each sort of damage is named."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
import pytest_asyncio

from medley.contracts import headers, streams, subjects
from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import ConfigurationError, Unavailable
from tests.support.library import Follower, Library, rows_of, until
from tests.support.shapes import OpenShape, Shapes, connected
from tests.support.stacks import medley
from tests.support.verifying import Verifier, kinds

TABLES = """
CREATE TABLE tracks (id int PRIMARY KEY, artist text NOT NULL, title text, bpm numeric, live bool DEFAULT false,
                     tags text[] DEFAULT '{}', metadata jsonb DEFAULT '{}', added timestamptz DEFAULT now(), raw bytea);
CREATE TABLE lists (list int, track int, PRIMARY KEY (list, track));
CREATE TABLE plays (track int, at timestamptz);
CREATE TABLE parted (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (50);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (50) TO (1000000);
INSERT INTO tracks (id, artist, title, bpm, raw)
SELECT n, 'artist ' || n % 5, E'title\t' || n, n / 10.0, decode(to_hex(n + 4096), 'hex')
FROM generate_series(1, 2000) n;
INSERT INTO lists SELECT n % 7, n FROM generate_series(1, 500) n;
INSERT INTO plays SELECT n % 10, '2026-01-01' FROM generate_series(1, 100) n;
INSERT INTO parted SELECT n, n FROM generate_series(1, 100) n;
"""
OPENED: tuple[dict[str, Any], ...] = (
    {"table": "tracks"},
    {"table": "tracks", "where": "artist = 'artist 3'", "columns": ("id", "title")},
    {"table": "tracks", "where": "bpm > 99.5 AND title LIKE 'title%'", "replica": "full"},
    {"table": "tracks", "where": "id IN (SELECT track FROM lists WHERE list = 3)"},
    {"table": "tracks", "log": "changes_only"},
    {"table": "plays"},
    {"table": "parted"},
)


@pytest_asyncio.fixture(scope="module")
async def database(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await library.connect()
    await connection.execute(TABLES)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def shapes(library: Library, database: asyncpg.Connection) -> AsyncIterator[Shapes]:
    async with connected(library.nats_url, database) as opened:
        yield opened


@pytest.fixture
def verify(library: Library) -> Verifier:
    return Verifier(library.dsn, library.nats_url, library.env["SYNC_SLOT"])


async def ready(shape: OpenShape) -> OpenShape:
    """Once the registry says that its snapshot is whole."""
    bucket = await shape.shapes.js.key_value(streams.SHAPES_BUCKET.name)

    async def whole() -> bool:
        return ShapeRecord.model_validate_json((await bucket.get(shape.handle)).value or b"").state == "ready"

    await until(whole, f"{shape.handle} is ready")
    return shape


@pytest_asyncio.fixture
async def opened(shapes: Shapes) -> AsyncIterator[Callable[..., Awaitable[OpenShape]]]:
    """Opens a shape that is dropped after the test."""
    made: list[OpenShape] = []

    async def one(table: str, **asked: Any) -> OpenShape:
        made.append(await ready(await shapes.open(table, **asked)))
        return made[-1]

    yield one
    for shape in made:
        await shapes.drop(shape.handle)


Open = Callable[..., Awaitable[OpenShape]]


async def write(dsn: str, number: int, stop: asyncio.Event) -> int:
    """Transactions of all sorts until told to stop; how many."""
    connection = await asyncpg.connect(dsn)
    count = 0
    try:
        while not stop.is_set():
            key = 10_000 * number + count
            async with connection.transaction():
                await connection.execute("INSERT INTO tracks (id, artist, bpm) VALUES ($1, 'artist 3', 120)", key)
                await connection.execute("UPDATE tracks SET title = $2 WHERE id = $1", key % 500 + 1, f"title {count}")
                await connection.execute("INSERT INTO lists VALUES (3, $1)", key)
                await connection.execute("UPDATE tracks SET id = -id WHERE id = $1", key - 3)
            await connection.execute("DELETE FROM tracks WHERE id = $1", -(key - 40))
            await connection.execute("DELETE FROM lists WHERE list = 3 AND track = $1", key - 5)
            await connection.execute("INSERT INTO plays VALUES ($1, '2026-01-01')", count % 10)
            await connection.execute("DELETE FROM plays WHERE ctid IN (SELECT ctid FROM plays LIMIT 1)")
            low, high = 10 * number + count % 10, 300_000 * number + count
            await connection.execute("INSERT INTO parted VALUES ($1, 0) ON CONFLICT (id) DO UPDATE SET n = 1", low)
            await connection.execute("UPDATE parted SET id = $2 WHERE id = $1", low, high)
            count += 1
            await asyncio.sleep(0.05)  # a rate that sync keeps up with on any machine
    finally:
        await connection.close()
    return count


async def test_a_live_system_under_writes_is_equal_each_time(library: Library, opened: Open, verify: Verifier) -> None:
    for asked in OPENED:
        await opened(**asked)
    stop = asyncio.Event()
    writers = [asyncio.create_task(write(library.dsn, number, stop)) for number in (1, 2)]
    try:
        for _ in range(5):
            report = await verify(shapes=True, changes=True)
            assert [finding.line() for finding in report.findings] == []
            assert report.counts["shapes"] >= len(OPENED)
            assert report.counts["rows and entries"] > 4000
    finally:
        stop.set()
        counts = await asyncio.gather(*writers)
    assert min(counts) > 10
    assert report.notes["retained_bytes"] > 0
    assert not (await verify(shapes=True, changes=True)).findings


async def test_a_log_that_lacks_a_message_is_named(
    shapes: Shapes, database: asyncpg.Connection, opened: Open, verify: Verifier
) -> None:
    shape = await opened("tracks", where="artist = 'gap'")
    for number in (1, 2, 3):
        await database.execute("INSERT INTO tracks (id, artist) VALUES ($1, 'gap')", 900_000 + number)
        await shapes.caught_up()
    stored = await shapes.stored(subjects.shape_log(shape.handle))
    await shapes.js.delete_msg(streams.SHAPES.name, stored[1].seq or 0)
    report = await verify(shapes=True, handle=shape.handle)
    assert kinds(report) == {"gap", "missing row"}
    assert [finding.place for finding in report.findings if finding.kind == "missing row"] == [
        '"public"."tracks"/"900002"'
    ]
    assert {finding.subject for finding in report.findings} == {shape.handle}


async def forge(shape: OpenShape, *changes: tuple[str, int, dict[str, str]]) -> None:
    """Entries that Postgres never wrote, well formed, at the end of the log."""
    last = (await shape.shapes.stored(subjects.shape_log(shape.handle)))[-1]
    entries = []
    for operation, later, value in changes:
        entry = orjson.loads(last.data or b"")[-1]
        entry["headers"] |= {"operation": operation, "op_position": entry["headers"]["op_position"] + later}
        entries.append(entry | {"key": f'"public"."tracks"/"{value["id"]}"', "value": value})
        entry["headers"]["last"] = True
    end = entries[-1]["headers"]
    await shape.shapes.js.publish(
        subjects.shape_log(shape.handle),
        orjson.dumps(entries),
        headers={
            headers.AFTER: (last.headers or {})[headers.OFFSET],
            headers.OFFSET: f"{end['lsn']}_{end['op_position']}",
            headers.LAST: "true",
        },
    )


async def test_rows_changed_behind_our_back_are_named_with_their_columns(
    shapes: Shapes, database: asyncpg.Connection, opened: Open, verify: Verifier
) -> None:
    shape = await opened("tracks", where="artist = 'forged'", columns=("id", "artist", "title"))
    await database.execute(
        "INSERT INTO tracks (id, artist, title) SELECT n, 'forged', 'a' FROM generate_series(910001, 910004) n"
    )
    await shapes.caught_up()
    row = {"artist": "forged", "title": "a"}
    await forge(
        shape,
        ("update", 2, {"id": "910001", "title": "wrong"}),
        ("delete", 4, {"id": "910002"}),
        ("insert", 6, {"id": "910099", **row}),
        ("insert", 8, {"id": "910003", **row}),
        ("update", 10, {"id": "910098", **row}),
    )
    report = await verify(shapes=True, handle=shape.handle)
    told = {(finding.kind, finding.place.rpartition("/")[2]) for finding in report.findings}
    assert told == {
        ("different row", '"910001"'),
        ("missing row", '"910002"'),
        ("extra row", '"910099"'),
        ("extra row", '"910098"'),
        ("doubled entry", '"910003"'),
        ("absent row", '"910098"'),
    }
    different = next(finding for finding in report.findings if finding.kind == "different row")
    assert (different.found, different.needed) == ("title='wrong'", "title='a'")


async def test_offsets_that_go_back_and_an_end_that_lacks_are_named(
    shapes: Shapes, database: asyncpg.Connection, opened: Open, verify: Verifier
) -> None:
    shape = await opened("tracks", where="artist = 'order'")
    await database.execute("INSERT INTO tracks (id, artist) VALUES (920001, 'order')")
    await shapes.caught_up()
    last = (await shape.log())[-1]
    await forge(shape, ("update", 0, {"id": "920001"}))
    assert kinds(await verify(shapes=True, handle=shape.handle)) == {"offsets out of order"}
    body = orjson.dumps([last | {"headers": {**last["headers"], "op_position": 100, "last": False}}])
    lsn = last["headers"]["lsn"]
    named = {
        headers.AFTER: f"{lsn}_{last['headers']['op_position']}",
        headers.OFFSET: f"{lsn}_100",
        headers.LAST: "false",
    }
    await shapes.js.publish(subjects.shape_log(shape.handle), body, headers=named)
    assert "unended transaction" in kinds(await verify(shapes=True, handle=shape.handle))


async def test_a_snapshot_that_lacks_a_part_is_named(shapes: Shapes, opened: Open, verify: Verifier) -> None:
    shape = await opened("tracks", where="id <= 2000 AND bpm > 0", chunk_bytes=50_000)
    parts = await shape.parts()
    assert len(parts) > 3
    await shapes.js.delete_msg(streams.SHAPES.name, parts[1].seq or 0)
    report = await verify(shapes=True, handle=shape.handle)
    assert {"missing part", "missing row"} <= kinds(report)
    assert [finding.place for finding in report.findings if finding.kind == "missing part"] == ["part 1"]
    assert any("more of these" in finding.found for finding in report.findings)


async def test_repair_has_the_shape_made_anew_and_its_client_converges(
    library: Library, shapes: Shapes, database: asyncpg.Connection, verify: Verifier
) -> None:
    where = "artist = 'healed'"
    await database.execute("INSERT INTO tracks (id, artist) VALUES (930001, 'healed')")
    async with Follower(library.api, "tracks", where=where) as follower:
        await follower.reaches(await rows_of(database, "tracks", where))
        await database.execute("UPDATE tracks SET title = 'seen' WHERE id = 930001")
        await follower.reaches(await rows_of(database, "tracks", where))
        shape = await ready(await shapes.open("tracks", where=where))
        await forge(shape, ("update", 2, {"id": "930001", "title": "wrong"}))
        report = await verify(shapes=True, handle=shape.handle, repair=True)
        assert kinds(report) == {"different row"}
        assert report.repaired == [f"shape {shape.handle}: dropped; its clients fetch it again"]
        await database.execute("INSERT INTO tracks (id, artist) VALUES (930002, 'healed')")
        await follower.reaches(await rows_of(database, "tracks", where))
    assert not await shapes.is_open(shape.handle)
    assert not (await verify(shapes=True, table="tracks")).findings


async def test_a_shape_that_is_unknown_and_a_sync_that_is_gone_are_said(library: Library, verify: Verifier) -> None:
    with pytest.raises(ConfigurationError, match="there is no shape 1-1"):
        await verify(shapes=True, handle="1-1")
    with pytest.raises(Unavailable):
        await Verifier("postgresql://postgres@127.0.0.1:1/none", library.nats_url)(shapes=True)


async def test_the_tail_of_changes_and_the_slot(
    library: Library, shapes: Shapes, database: asyncpg.Connection, opened: Open, verify: Verifier
) -> None:
    await opened("tracks")
    for number in range(3):
        await database.execute("INSERT INTO tracks (id, artist) VALUES ($1, 'tail')", 940_000 + number)
    await shapes.caught_up()
    assert not (await verify(changes=True)).findings
    last = (await shapes.js.stream_info(streams.CHANGES.name)).state.last_seq
    await shapes.js.delete_msg(streams.CHANGES.name, last - 1)
    report = await verify(changes=True)
    assert {(finding.part, finding.kind) for finding in report.findings} == {("changes", "gap")}
    assert {finding.place for finding in report.findings} == {"", f"message {last}"}
    nobody = await Verifier(library.dsn, library.nats_url, "nobody")(changes=True)
    assert ("slot", "lost slot") in {(finding.part, finding.kind) for finding in nobody.findings}


async def test_a_copy_of_a_client_is_compared(
    library: Library, database: asyncpg.Connection, verify: Verifier, tmp_path: Path
) -> None:
    where = "id BETWEEN 100 AND 200"
    async with Follower(library.api, "tracks", where=where) as follower:
        await follower.reaches(await rows_of(database, "tracks", where))
        rows = list(follower.copy.rows.values())
    path = tmp_path / "copy.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert not (await verify(copy=path, table="tracks", where=where)).findings
    parsed = [row | {"id": int(row["id"] or 0), "live": row["live"] == "t", "metadata": {}, "tags": []} for row in rows]
    path.write_text(json.dumps(parsed))
    assert not (await verify(copy=path, table="public.tracks", where=where)).findings
    parsed[3]["title"] = None
    path.write_text(json.dumps([*parsed[1:], parsed[5], parsed[6] | {"id": 5_000_000}]))
    report = await verify(copy=path, table="tracks", where=where)
    assert kinds(report) == {"missing row", "extra row", "different row", "doubled entry"}
    with pytest.raises(ConfigurationError, match="lacks id"):
        path.write_text('{"title": "a"}')
        await verify(copy=path, table="tracks")
    with pytest.raises(ConfigurationError, match="Postgres refuses"):
        path.write_text('{"id": 1}')
        await verify(copy=path, table="tracks", where="nothing = 1")


async def test_the_command_ends_with_a_code_for_scripts(
    library: Library, shapes: Shapes, database: asyncpg.Connection, opened: Open
) -> None:
    env = {name: library.env[name] for name in ("POSTGRES_DSN", "NATS_URL", "SYNC_SLOT")} | {"S3_ENDPOINT": ""}
    run = partial(asyncio.to_thread, partial(medley, within=60.0, **env), "verify")
    shape = await opened("tracks", where="artist = 'command'")
    await database.execute("INSERT INTO tracks (id, artist) VALUES (950001, 'command')")
    await shapes.caught_up()
    well = await run("--shape", shape.handle)
    assert (well.returncode, well.stderr) == (0, "")
    assert "1 shapes: all equal" in well.stdout
    await forge(shape, ("delete", 2, {"id": "950001"}))
    told = await run("--shape", shape.handle, "--json")
    answer = json.loads(told.stdout)
    assert (told.returncode, answer["equal"], answer["findings"][0]["kind"]) == (1, False, "missing row")
    lines = await run("--shape", shape.handle)
    assert (
        f'shape {shape.handle} "public"."tracks"/"950001": missing row: found nothing, needed the row' in lines.stdout
    )
    nobody = env | {"POSTGRES_DSN": "postgresql://x@127.0.0.1:1/none"}
    nowhere = await asyncio.to_thread(partial(medley, "verify", within=60.0, **nobody))
    assert nowhere.returncode == 6
    assert "medley: no Postgres at 127.0.0.1:1/none" in nowhere.stderr
    assert (await run("--where", "true")).returncode == 2
