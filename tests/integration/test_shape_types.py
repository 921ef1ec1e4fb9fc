"""Every type: byte-identical in snapshot and log, and described by the electric-schema header (protocol section 3)."""

import secrets
from typing import Any

import asyncpg

from tests.support.shapes import Shapes

Case = tuple[str, str, str | None, dict[str, Any]]

TYPES = """
CREATE TYPE mood AS ENUM ('so so', 'fine');
CREATE TYPE "Odd Mood" AS ENUM ('Ünsure', 'a"b', 'c,d');
CREATE DOMAIN short_text AS varchar(9) CHECK (length(value) < 9);
CREATE DOMAIN "Short Text" AS short_text NOT NULL DEFAULT 'x';
CREATE DOMAIN numbers AS int[] CHECK (cardinality(value) < 9);
CREATE TYPE pair AS (n int, t text);
CREATE TYPE nest AS (p pair, ps pair[], m mood);
CREATE DOMAIN whole_pair AS pair CHECK ((value).n <> 9);
CREATE TYPE span AS RANGE (subtype = float8);
"""

# (type, literal, text that clients get, description). The text is Postgres's own, so None means: as SELECT says.
CASES: list[Case] = [
    ("bool", "true", "t", {"type": "bool"}),
    ("int2", "'-32768'", "-32768", {"type": "int2"}),
    ("int4", "'2147483647'", "2147483647", {"type": "int4"}),
    ("int8", "'9223372036854775807'", "9223372036854775807", {"type": "int8"}),
    ("oid", "'4294967295'", "4294967295", {"type": "oid"}),
    ("float4", "'0.1'", "0.1", {"type": "float4"}),
    ("float8", "'-Infinity'", "-Infinity", {"type": "float8"}),
    ("float8", "'NaN'", "NaN", {"type": "float8"}),
    ("float8", "'1e-300'", "1e-300", {"type": "float8"}),
    ("float8", "'0.30000000000000004'", "0.30000000000000004", {"type": "float8"}),
    ("numeric", "'1234567890.12345678901234567890'", "1234567890.12345678901234567890", {"type": "numeric"}),
    ("numeric", "'NaN'", "NaN", {"type": "numeric"}),
    ("numeric", "'-Infinity'", "-Infinity", {"type": "numeric"}),
    ("numeric(8,2)", "'1.5'", "1.50", {"type": "numeric", "precision": 8, "scale": 2}),
    ("numeric(5)", "'7.5'", "8", {"type": "numeric", "precision": 5, "scale": 0}),
    ("numeric(2,-3)", "'12345'", "12000", {"type": "numeric", "precision": 2, "scale": -3}),
    ("numeric(3,5)", "'0.00123'", "0.00123", {"type": "numeric", "precision": 3, "scale": 5}),
    ("money", "'12.34'", None, {"type": "money"}),
    ("text", "E'tab\\t line\\n cr\\r \\\\N \\\\ \" ü 🎵 \\x01'", "tab\t line\n cr\r \\N \\ \" ü 🎵 \x01",
     {"type": "text"}),
    ("text", "'\\N'", "\\N", {"type": "text"}),
    ("text", "'\\.'", "\\.", {"type": "text"}),
    ("text", "''", "", {"type": "text"}),
    ("varchar", "'ab'", "ab", {"type": "varchar"}),
    ("varchar(5)", "'ab'", "ab", {"type": "varchar", "max_length": 5}),
    ("char(5)", "'ab'", "ab   ", {"type": "bpchar", "length": 5}),
    ("char", "'a'", "a", {"type": "bpchar", "length": 1}),
    ('"char"', "'a'", "a", {"type": "char"}),
    ("name", "'a name'", "a name", {"type": "name"}),
    ("bytea", "'\\x0001feff'", "\\x0001feff", {"type": "bytea"}),
    ("uuid", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", {"type": "uuid"}),
    ("bit(4)", "B'1010'", "1010", {"type": "bit", "length": 4}),
    ("bit", "B'1'", "1", {"type": "bit", "length": 1}),
    ("varbit(9)", "B'101'", "101", {"type": "varbit", "length": 9}),
    ("varbit", "B'101'", "101", {"type": "varbit"}),
    ("date", "'2026-01-02'", "2026-01-02", {"type": "date"}),
    ("date", "'-infinity'", "-infinity", {"type": "date"}),
    ("date", "'0044-03-15 BC'", "0044-03-15 BC", {"type": "date"}),
    ("time", "'23:59:59.999999'", "23:59:59.999999", {"type": "time"}),
    ("time(0)", "'24:00'", "24:00:00", {"type": "time", "precision": 0}),
    ("timetz(2)", "'12:00:00.129+02'", "12:00:00.13+02", {"type": "timetz", "precision": 2}),
    ("timestamp(3)", "'2026-01-02 03:04:05.678901'", "2026-01-02 03:04:05.679", {"type": "timestamp", "precision": 3}),
    ("timestamp", "'infinity'", "infinity", {"type": "timestamp"}),
    ("timestamptz", "'2026-01-02 03:04:05.6+02'", "2026-01-02 01:04:05.6+00", {"type": "timestamptz"}),
    ("timestamptz(0)", "'-infinity'", "-infinity", {"type": "timestamptz", "precision": 0}),
    ("interval", "'1 year 2 days 03:04:05.6'", "P1Y2DT3H4M5.6S", {"type": "interval"}),
    ("interval", "'-1 day'", "P-1D", {"type": "interval"}),
    ("interval(3)", "'1.23456 s'", "PT1.235S", {"type": "interval", "precision": 3}),
    ("interval year", "'2 years 3 months'", "P2Y", {"type": "interval", "fields": "YEAR"}),
    ("interval month", "'3 months'", "P3M", {"type": "interval", "fields": "MONTH"}),
    ("interval day", "'3 days'", "P3D", {"type": "interval", "fields": "DAY"}),
    ("interval hour", "'3 hours'", "PT3H", {"type": "interval", "fields": "HOUR"}),
    ("interval minute", "'3 min'", "PT3M", {"type": "interval", "fields": "MINUTE"}),
    ("interval second", "'3 s'", "PT3S", {"type": "interval", "fields": "SECOND"}),
    ("interval second(2)", "'3.456 s'", "PT3.46S", {"type": "interval", "fields": "SECOND", "precision": 2}),
    ("interval year to month", "'14 months'", "P1Y2M", {"type": "interval", "fields": "YEAR TO MONTH"}),
    ("interval day to hour", "'1 day 2:00'", "P1DT2H", {"type": "interval", "fields": "DAY TO HOUR"}),
    ("interval day to minute", "'1 day 2:03'", "P1DT2H3M", {"type": "interval", "fields": "DAY TO MINUTE"}),
    ("interval day to second(1)", "'1 day 0.25 s'", None,
     {"type": "interval", "fields": "DAY TO SECOND", "precision": 1}),
    ("interval hour to minute", "'2:03'", "PT2H3M", {"type": "interval", "fields": "HOUR TO MINUTE"}),
    ("interval hour to second", "'2:03:04'", "PT2H3M4S", {"type": "interval", "fields": "HOUR TO SECOND"}),
    ("interval minute to second", "'3:04' ", None, {"type": "interval", "fields": "MINUTE TO SECOND"}),
    ("json", "'{\"a\" : [1,  null]}'", '{"a" : [1,  null]}', {"type": "json"}),
    ("jsonb", '\'{"b": "\\u00fc", "a": 1.0}\'', '{"a": 1.0, "b": "ü"}', {"type": "jsonb"}),
    ("jsonb", "'null'", "null", {"type": "jsonb"}),
    ("jsonpath", "'$.a[*] ? (@ > 1)'", '$."a"[*]?(@ > 1)', {"type": "jsonpath"}),
    ("inet", "'10.0.0.1/8'", "10.0.0.1/8", {"type": "inet"}),
    ("cidr", "'10.0.0.0/8'", "10.0.0.0/8", {"type": "cidr"}),
    ("macaddr", "'08002b010203'", "08:00:2b:01:02:03", {"type": "macaddr"}),
    ("macaddr8", "'08002b0102030405'", "08:00:2b:01:02:03:04:05", {"type": "macaddr8"}),
    ("point", "'(1.5,-2)'", "(1.5,-2)", {"type": "point"}),
    ("line", "'{1,2,3}'", "{1,2,3}", {"type": "line"}),
    ("lseg", "'[(0,0),(1,1)]'", "[(0,0),(1,1)]", {"type": "lseg"}),
    ("box", "'((0,0),(1,1))'", "(1,1),(0,0)", {"type": "box"}),
    ("path", "'[(0,0),(1,1)]'", "[(0,0),(1,1)]", {"type": "path"}),
    ("polygon", "'((0,0),(1,1))'", "((0,0),(1,1))", {"type": "polygon"}),
    ("circle", "'<(0,0),1>'", "<(0,0),1>", {"type": "circle"}),
    ("tsvector", "'fat:2A cat'", "'cat' 'fat':2A", {"type": "tsvector"}),
    ("tsquery", "'fat & !cat'", "'fat' & !'cat'", {"type": "tsquery"}),
    ("pg_lsn", "'16/B374D848'", "16/B374D848", {"type": "pg_lsn"}),
    ("xid8", "'7'", "7", {"type": "xid8"}),
    ("pg_snapshot", "'10:20:10,14,15'", "10:20:10,14,15", {"type": "pg_snapshot"}),
    ("regclass", "'pg_class'", "pg_class", {"type": "regclass"}),
    ("int4range", "'[1,5)'", "[1,5)", {"type": "int4range"}),
    ("tstzrange", "'[2026-01-01 02:00+02,)'", '["2026-01-01 00:00:00+00",)', {"type": "tstzrange"}),
    ("numrange", "'empty'", "empty", {"type": "numrange"}),
    ("int8multirange", "'{[1,3),[5,7)}'", "{[1,3),[5,7)}", {"type": "int8multirange"}),
    ("span", "'[0.5,1]'", "[0.5,1]", {"type": "span"}),
    ("int4[]", "'{1,NULL,3}'", "{1,NULL,3}", {"type": "int4", "dims": 1}),
    ("int4[][]", "'{{1,2},{NULL,4}}'", "{{1,2},{NULL,4}}", {"type": "int4", "dims": 2}),
    ("int4[3]", "'[0:2]={1,2,3}'", "[0:2]={1,2,3}", {"type": "int4", "dims": 1}),
    ("text[]", "ARRAY['a b', NULL, '\"', '', '\\', 'NULL', '{', ',']", None, {"type": "text", "dims": 1}),
    ("text[]", "'{}'", "{}", {"type": "text", "dims": 1}),
    ("varchar(5)[]", "'{ab}'", "{ab}", {"type": "varchar", "dims": 1, "max_length": 5}),
    ("numeric(8,2)[]", "'{1.5}'", "{1.50}", {"type": "numeric", "dims": 1, "precision": 8, "scale": 2}),
    ("char(3)[]", "'{a}'", '{"a  "}', {"type": "bpchar", "dims": 1, "length": 3}),
    ("bool[]", "'{true,f}'", "{t,f}", {"type": "bool", "dims": 1}),
    ("bytea[]", "ARRAY['\\x00ff'::bytea]", '{"\\\\x00ff"}', {"type": "bytea", "dims": 1}),
    ("uuid[]", "'{6F9619FF-8B86-D011-B42D-00CF4FC964FF}'", None, {"type": "uuid", "dims": 1}),
    ("timestamptz[]", "'{2026-01-02 03:04:05+02}'", '{"2026-01-02 01:04:05+00"}', {"type": "timestamptz", "dims": 1}),
    ("interval[]", "'{1 day}'", "{P1D}", {"type": "interval", "dims": 1}),
    ("jsonb[]", "ARRAY['{\"a\": [1]}'::jsonb]", '{"{\\"a\\": [1]}"}', {"type": "jsonb", "dims": 1}),
    ("point[]", "ARRAY['(1.1,2.2)'::point]", '{"(1.1,2.2)"}', {"type": "point", "dims": 1}),
    ("box[]", "ARRAY['(1,1),(0,0)'::box]", "{(1,1),(0,0)}", {"type": "box", "dims": 1}),
    ("int4range[]", "ARRAY['[1,5)'::int4range]", '{"[1,5)"}', {"type": "int4range", "dims": 1}),
    ("oidvector", "'1 2'", "1 2", {"type": "oidvector"}),
    ("int2vector", "'1 2'", "1 2", {"type": "int2vector"}),
    ("mood", "'so so'", "so so", {"type": "mood"}),
    ("mood[]", "'{so so,fine}'", '{"so so",fine}', {"type": "mood", "dims": 1}),
    ('"Odd Mood"', "'a\"b'", 'a"b', {"type": "Odd Mood"}),
    ('"Odd Mood"[]', "ARRAY['Ünsure','c,d']::\"Odd Mood\"[]", '{Ünsure,"c,d"}', {"type": "Odd Mood", "dims": 1}),
    ("short_text", "'abc'", "abc", {"type": "short_text"}),
    ("short_text[]", "'{abc}'", "{abc}", {"type": "short_text", "dims": 1}),
    ('"Short Text"', "'abc'", "abc", {"type": "Short Text"}),
    # A client splits an array by `dims` and parses each element by `type`. A domain over an array has a name of its
    # own, which is the whole value's and not an element's: so it has no dims, and clients may parse it by its name.
    ("numbers", "'{1,2}'", "{1,2}", {"type": "numbers"}),
    ("numbers[]", "ARRAY['{1,2}'::numbers]", '{"{1,2}"}', {"type": "numbers", "dims": 1}),
    ("pair", "'(1,\"x y\")'", '(1,"x y")', {"type": "pair"}),
    ("pair", "'(,)'", "(,)", {"type": "pair"}),
    ("pair[]", "ARRAY['(1,)'::pair, NULL]", '{"(1,)",NULL}', {"type": "pair", "dims": 1}),
    ("nest", "ROW(ROW(1,'a')::pair, ARRAY[ROW(2,'b c')::pair], 'fine'::mood)::nest", None, {"type": "nest"}),
    ("nest[]", "ARRAY[ROW(ROW(1,'a')::pair, NULL::pair[], 'so so'::mood)::nest]", None, {"type": "nest", "dims": 1}),
    ("whole_pair", "'(1,)'", "(1,)", {"type": "whole_pair"}),
]  # fmt: skip
EXTENSIONS: list[Case] = [
    ("hstore", "'a=>1, b=>NULL'", '"a"=>"1", "b"=>NULL', {"type": "hstore"}),
    ("citext", "'MiXed'", "MiXed", {"type": "citext"}),
    ("citext[]", "'{MiXed}'", "{MiXed}", {"type": "citext", "dims": 1}),
]
XML: list[Case] = [("xml", "'<a b=\"1\">ü</a>'", '<a b="1">ü</a>', {"type": "xml"})]


async def available(database: asyncpg.Connection) -> list[Case]:
    """What this server was built with, too."""
    cases = list(CASES)
    for case in EXTENSIONS:
        name = case[0].removesuffix("[]")
        if await database.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = $1", name):
            await database.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
            cases.append(case)
    try:
        await database.execute("SELECT '<a/>'::xml")
    except asyncpg.FeatureNotSupportedError:
        return cases
    return cases + XML


async def test_every_type_is_the_same_in_snapshot_and_log_and_described(shapes: Shapes) -> None:
    database = shapes.database
    await database.execute(TYPES)
    cases = await available(database)
    table = f"t_{secrets.token_hex(4)}"
    columns = ", ".join(f"c{number} {case[0]}" for number, case in enumerate(cases))
    values = ", ".join(case[1] for case in cases)
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, {columns})")
    insert = f"INSERT INTO {table} SELECT $1, {values}"
    await database.execute(insert, 1)
    shape, full = await shapes.open(table), await shapes.open(table, replica="full")
    [first] = await shape.snapshot()
    await full.parts()
    assert shape.record.protocol_schema.pop("id") == {"type": "int4", "pk_index": 0, "not_null": True}

    shown = ", ".join(f"concat(c{number})" for number in range(len(cases)))
    texts = await database.fetchrow(f"SELECT {shown} FROM {table}")
    assert texts is not None
    wanted = [text if text is not None else texts[number] for number, (_, _, text, _) in enumerate(cases)]
    assert told(cases, [first["value"][f"c{number}"] for number in range(len(cases))]) == told(cases, wanted)
    described = [shape.record.protocol_schema[f"c{number}"] for number in range(len(cases))]
    assert told(cases, described) == told(cases, [case[3] for case in cases])

    await database.execute(insert, 2)
    await database.execute(f"UPDATE {table} SET id = 3 WHERE id = 2")
    await database.execute(f"DELETE FROM {table} WHERE id = 3")
    await shapes.caught_up()
    inserted, _, moved, _ = await shape.log()
    assert inserted["value"] == {**first["value"], "id": "2"}
    assert moved["value"] == {**first["value"], "id": "3"}
    assert (await full.log())[-1]["value"] == {**first["value"], "id": "3"}, "the old row, whole"


def told(cases: list[Case], what: list[Any]) -> list[tuple[str, Any]]:
    return [(f"{case[0]} {case[1]}", each) for case, each in zip(cases, what, strict=True)]


async def test_null_in_every_type(shapes: Shapes) -> None:
    table = f"t_{secrets.token_hex(4)}"
    types = dict.fromkeys(case[0] for case in CASES if case[0] != '"Short Text"')
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(types))
    await shapes.database.execute(
        f"CREATE TABLE {table} (id int PRIMARY KEY, {columns}); INSERT INTO {table} VALUES (1)"
    )
    shape = await shapes.open(table)
    [first] = await shape.snapshot()
    assert set(first["value"].values()) == {"1", None}
    await shapes.database.execute(f"INSERT INTO {table} VALUES (2)")
    await shapes.caught_up()
    [inserted] = await shape.log()
    assert inserted["value"] == {**first["value"], "id": "2"}


async def test_not_null_and_the_place_in_a_composite_key(shapes: Shapes) -> None:
    table = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {table} (a text, b int, c text NOT NULL, d text, PRIMARY KEY (b, a))")
    shape = await shapes.open(table)
    assert shape.record.protocol_schema == {
        "a": {"type": "text", "pk_index": 1, "not_null": True},
        "b": {"type": "int4", "pk_index": 0, "not_null": True},
        "c": {"type": "text", "not_null": True},
        "d": {"type": "text"},
    }
