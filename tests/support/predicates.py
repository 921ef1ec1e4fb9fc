"""A table of many types, random transactions of it, and clauses of every kind: what a shape holds is compared with
SELECT … WHERE."""

import asyncio
import random
from dataclasses import dataclass

import asyncpg
import orjson

from medley.client import Copy
from tests.support.shapes import OpenShape, Shapes

SCHEMA = """
CREATE SCHEMA {s};
CREATE TYPE {s}.mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE TYPE {s}.pair AS (a int, b text);
CREATE DOMAIN {s}.small AS int CHECK (VALUE < 1000);
CREATE DOMAIN {s}.document AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE COLLATION {s}.loose ({loose});
CREATE COLLATION {s}.german ({german});
CREATE FUNCTION {s}.doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE {s}.t (
    id int PRIMARY KEY, n numeric, f float8, b bool, big int8, title text, code char(3), word varchar(40),
    loose text COLLATE {s}.loose, german text COLLATE {s}.german, "C" text COLLATE "C", "Odd ""Name" text, u uuid,
    mood {s}.mood, d date, ts timestamp, tz timestamptz, time time, iv interval, j jsonb, plain json, doc {s}.document,
    tags text[], nums int[], moods {s}.mood[], span int4range, spans int4multirange, words tsvector, bits bit(3),
    raw bytea, pair {s}.pair, small {s}.small, "char" "char", ip inet
)
"""

# (loose, german), where the server is built with ICU and where it is not.
_ICU = ("provider = icu, locale = 'und-u-ks-level2', deterministic = false", "provider = icu, locale = 'de-DE'")
_NO_ICU = ("locale = 'C'", "locale = 'C'")

_TEXTS = [
    "a",
    "A",
    "abc",
    "ab%c",
    "",
    "ä",
    "Äpfel",
    "straße",
    "o'brien\\x",
    "日本",
    "a b  ",
    "zebra",
    '"q"',
    "\u0001\t\n",
    "null",
]
VALUES: dict[str, list[str | None]] = {
    "n": ["0", "1.50", "1.5", "-2", "NaN", "Infinity", "12345678901234567890.123"],
    "f": ["0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "0.1", "1e300"],
    "b": ["t", "f"],
    "big": ["9223372036854775807", "-9223372036854775808", "0", "5"],
    **dict.fromkeys(("title", "word", "loose", "german", "C", 'Odd "Name'), _TEXTS),  # type: ignore[arg-type]
    "code": ["a", "ab", "abc", " a"],
    "u": ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000002"],
    "mood": ["sad", "ok", 'it\'s "fine"'],
    "d": ["2026-01-01", "infinity", "-infinity", "0044-03-15 BC", "2024-02-29", "12026-01-01"],
    "ts": ["2026-01-01 10:00", "2026-01-01 10:00:00.123456", "infinity", "-infinity"],
    "tz": ["2026-01-01 10:00+02", "2025-12-31 23:30-01", "infinity", "1999-01-01 00:00+00"],
    "time": ["00:00", "24:00", "12:34:56.789"],
    "iv": ["1 day", "24:00:00", "1 year 2 mons", "-3 days +1:00", "0"],
    "j": [
        '{"a": 1, "b": [1, 2], "t": "x"}',
        '{"a": null}',
        "[]",
        '"x"',
        "null",
        '{"artist": "Ann", "bpm": 120.5}',
        "1.0",
    ],
    "plain": ['{"a":  1, "a": 2}', '"str"', "[1,2]", '{"artist":"Ann"}'],
    "doc": ['{"k": "v"}', "{}", '{"k": {"deep": [true]}}'],
    "tags": ["{}", "{a,b}", "{NULL}", '{"a b","c\\"d",NULL}', "{{a,b},{c,d}}", '{null,"null"}'],
    "nums": ["{}", "{1,2,3}", "{NULL,5}", "{7}"],
    "moods": ["{}", "{sad}", "{ok,NULL}"],
    "span": ["empty", "[1,5)", "(,10)", "[3,)", "(,)"],
    "spans": ["{}", "{[1,3),[5,9)}"],
    "words": ["'blue':1 'sky':2", "'red'", ""],
    "bits": ["101", "000"],
    "raw": ["\\x00ff", "\\x", "\\x41"],
    "pair": ["(1,x)", '(,"a,b")', "(2,)"],
    "small": ["1", "999", "-5"],
    "char": ["a", "\\377", ""],
    "ip": ["10.0.0.1", "10.0.0.0/8", "::1"],
}

# Each is a clause and its parameters; {s} is the schema.
CLAUSES: list[tuple[str, tuple[str, ...]]] = [
    (clause.strip(), ())
    for line in """
n > 1 | n = 'NaN' | n >= 'Infinity' | n IS NULL | n <> 1.5 OR n IS NULL | f = 'NaN' | f > 1 | f = 0 | f <> f | b
NOT b | b IS NOT TRUE | b IS UNKNOWN | big = 9223372036854775807 | big < 0 | id % 3 = 0 | id BETWEEN 5 AND 12
id IN (1, 5, 9) | id NOT IN (1, 5, 9) | id = ANY ('{{2,4,6}}') | id <> ALL (ARRAY[2, 4])
big % 5 = 0 AND id * 2 < 30 | title = 'a' OR title = 'ä' | title LIKE 'a%' | title ILIKE 'Ä%' | title LIKE 'ab\\%%'
title NOT LIKE '%b%' | title ~ '^[a-z]+$' | title !~* 'a' | title SIMILAR TO '(a|z)%' | lower(title) = 'a'
length(title) > 3 | title || word = 'aa' | title < 'b' | "C" < 'a' | "C" >= 'Z' AND "C" <= 'z' | german < 'b'
german COLLATE "C" < 'b' | loose = 'A' | loose IN ('ABC', 'Ä') | loose <> 'a' | "Odd ""Name" = 'o''brien\\x'
code = 'ab' | code < 'b' | word = 'a b  ' | coalesce(title, word, 'none') = 'none' | title IS DISTINCT FROM word
title IS NOT DISTINCT FROM word | u = '00000000-0000-0000-0000-000000000001'
u > '80000000-0000-0000-0000-000000000000' | mood = 'ok' | mood > 'sad' | mood::text LIKE '%fine%'
mood IN ('sad', 'ok') | d = '2026-01-01' | d > '2025-01-01' | d < '0001-01-01'
isfinite(d) AND d + 1 = '2024-03-01' | ts >= '2026-01-01' | ts::date = '2026-01-01' | tz = '2026-01-01 08:00+00'
tz::date = d | date_trunc('day', tz) = tz | extract(year FROM tz) = 2025
tz AT TIME ZONE 'Europe/Berlin' < '2026-01-01 09:30' | time >= '12:00' | iv > '23 hours' | iv = '1 day'
j ->> 'artist' = 'Ann' | j @> '{{"a": 1}}' | j ? 'a' | j ?| ARRAY['a', 'artist'] | j #> '{{b,0}}' = '1'
j @? '$.b[*] ? (@ > 1)' | (j ->> 'bpm')::numeric > 100 | jsonb_typeof(j) = 'array' | j = '1' | plain ->> 'a' = '2'
plain::text LIKE '%  %' | doc ->> 'k' = 'v' | doc @> '{{"k": {{"deep": [true]}}}}' | tags @> ARRAY['a']
'a' = ANY (tags) | tags && '{{b,x}}' | tags = '{{}}' | cardinality(tags) > 1 | tags[1] IS NULL | nums @> '{{2}}'
5 = ANY (nums) | 3 < ALL (nums) | 'ok' = ANY (moods) | span @> 4 | span && int4range(8, 20) | isempty(span)
spans @> 5 | words @@ to_tsquery('simple', 'blue & sky') | to_tsvector('english', title) @@ 'zebra' | bits = B'101'
raw = '\\x00ff' | pair = ROW(1, 'x')::{s}.pair | (pair).a = 1 | pair IS NULL | small > 0 | small::int + 1 = 0
"char" = 'a' | ip << '10.0.0.0/8' | {s}.doubled(id) = 10
CASE WHEN b THEN id > 5 WHEN NOT b THEN title = 'a' ELSE n > 0 END | t IS NOT NULL | t.id > 3 AND (t.b OR t.n = 1.5)
(id, title) > (5, 'a') | (id, mood) IN ((1, 'ok'), (2, 'sad')) | nullif(title, 'a') IS NULL | greatest(id, big) = id
b AND title = 'a' | title = 'a' AND n > 1 | (title = 'a' AND b) OR id = 3 | id > 3 AND id <= 9 AND b
tz >= '2026-01-01' AND tz < '2027-01-01' | title LIKE 'a%' AND NOT b | title LIKE '日%'
big IN (5, 0) OR mood = 'ok' | 1 = 2 | true | NULL | id = 7 | title = 'a' AND b
""".strip().split("\n")
    for clause in line.split(" | ")
] + [
    ("title = $1", ("o'brien\\x",)),
    ("j ->> $1 = $2 AND id > $3", ("artist", "Ann", "2")),
    ("id = ANY ($1)", ("{3,4,NULL}",)),
    ("n = $1 OR f = $1", ("1.5",)),
    ("tags @> $1", ('{"a b"}',)),
    ("title = ANY ($1) AND b", ("{a,ä,abc}",)),
    *((f"n > $1 AND id <> {number}", (str(number),)) for number in range(-2, 3)),
]  # fmt: skip


def literal(clause: str, params: tuple[str, ...]) -> str:
    """The clause with its parameters written into it."""
    for number, value in enumerate(params, 1):
        clause = clause.replace(f"${number}", "'" + value.replace("'", "''") + "'")
    return clause


@dataclass
class Writer:
    """Random transactions of one table; a seed gives the same ones again. `types` are the columns', as SQL."""

    connection: asyncpg.Connection
    table: str
    types: dict[str, str]
    chance: random.Random
    keys: int = 24

    async def transaction(self) -> None:
        async with self.connection.transaction():
            for _ in range(self.chance.randint(1, 6)):
                await self._write()

    async def _write(self) -> None:
        key, other = self.chance.randrange(self.keys), self.chance.randrange(self.keys)
        columns = self.chance.sample(list(VALUES), self.chance.randint(1, len(VALUES)))
        values = [None if self.chance.random() < 0.15 else self.chance.choice(VALUES[name]) for name in columns]
        # Through JSON, so that every value is made of its text.
        row = orjson.dumps(dict(zip(columns, values, strict=True))).decode()
        names = ", ".join(_quoted(name) for name in columns)
        source = ", ".join(f"{_quoted(name)} text" for name in columns)
        made = ", ".join(f"r.{_quoted(name)}::{self.types[name]}" for name in columns)
        source = f"json_to_record($2::json) AS r ({source})"
        table = self.table
        insert = f"INSERT INTO {table} (id, {names}) SELECT $1::int, {made} FROM {source} ON CONFLICT DO NOTHING"
        update = f"UPDATE {table} SET ({names}) = ROW({made}) FROM {source} WHERE id = $1"
        rekey = f"UPDATE {table} SET id = $2 WHERE id = $1 AND NOT EXISTS (SELECT FROM {table} WHERE id = $2)"
        match self.chance.choice(["insert", "insert", "update", "update", "update", "delete", "rekey"]):
            case "delete":
                await self.connection.execute(f"DELETE FROM {table} WHERE id = $1", key)
            case "rekey":
                await self.connection.execute(rekey, key, other)
            case operation:
                await self.connection.execute(insert if operation == "insert" else update, key, row)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def make_table(connection: asyncpg.Connection, schema: str) -> None:
    icu = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')")
    loose, german = _ICU if icu else _NO_ICU
    await connection.execute(SCHEMA.format(s=schema, loose=loose, german=german))


async def writer(connection: asyncpg.Connection, schema: str, seed: int) -> Writer:
    rows = await connection.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0",
        f"{schema}.t",
    )
    types = {row["attname"]: row["type"] for row in rows}
    return Writer(connection, f"{schema}.t", types, random.Random(seed))  # noqa: S311


async def differences(shapes: Shapes, opened: list[tuple[OpenShape, str]], table: str) -> list[str]:
    """Which of the shapes are not what SELECT says, once all that is committed was sent."""
    await shapes.caught_up()
    gate = asyncio.Semaphore(16)

    async def held(shape: OpenShape) -> Copy:
        copy = Copy()
        async with gate:
            copy.apply(await shape.snapshot())
            copy.apply(await shape.log())
        return copy

    copies = await asyncio.gather(*(held(shape) for shape, _ in opened))
    shown = ["id", *VALUES]
    # IS NULL would say so of a composite whose parts are.
    columns = ", ".join(f"CASE WHEN num_nulls({_quoted(c)}) = 0 THEN format('%s', {_quoted(c)}) END" for c in shown)
    found = []
    for (_, where), copy in zip(opened, copies, strict=True):
        rows = await shapes.database.fetch(f"SELECT {columns} FROM {table} WHERE {where}")
        wanted = {row[0]: dict(zip(shown, row, strict=True)) for row in rows}
        have = {row["id"]: row for row in copy.rows.values()}
        if copy.faults or have != wanted:
            found.append(f"{where}: {sorted(have.keys() ^ wanted.keys(), key=str) or 'values'} {copy.faults[:3]}")
    return found
