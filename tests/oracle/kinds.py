"""The kinds of values that columns and constants have, each with texts that have gone wrong somewhere before."""

import hashlib
from dataclasses import dataclass

# What every scenario's types, collations and functions are; made once in a database.
SHARED = """
CREATE SCHEMA oracle;
CREATE TYPE oracle.mood AS ENUM ('sad', 'ok', 'it''s "fine"', 'a,b');
CREATE TYPE oracle.pair AS (a int, b text);
CREATE DOMAIN oracle.small AS int CHECK (VALUE < 1000);
CREATE DOMAIN oracle.document AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE COLLATION oracle.loose ({loose});
CREATE COLLATION oracle.german ({german});
CREATE FUNCTION oracle.doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION oracle.shout(text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN RETURN upper($1); END';
CREATE FUNCTION oracle.picky(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN IF $1 = 13 THEN RAISE ''not thirteen''; END IF; RETURN $1 > 2; END';
"""
ICU = ("provider = icu, locale = 'und-u-ks-level2', deterministic = false", "provider = icu, locale = 'de-DE'")
BUILTIN = ("provider = builtin, locale = 'PG_UNICODE_FAST'", "provider = builtin, locale = 'C.UTF-8'")
PLAIN = ("locale = 'C'", "locale = 'C'")

LONG = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(140))
"""Stored out of line, and not shown by an update that leaves it."""

# Those that something might take for one another stand side by side: a column draws its values from a few neighbours.
_TEXTS = (
    *(
        "a",
        "A",
        "a ",
        " a",
        "a b  ",
        "abc",
        "ABC",
        "ab%c",
        "a_c",
        "",
        "%",
        "_",
        "\\",
        "\\x41",
        "'",
        '"q"',
        "o'brien\\x",
    ),
    *(
        "ä",
        "Äpfel",
        "\u00e9",
        "e\u0301",
        "straße",
        "STRASSE",
        "İ",
        "ı",
        "日本",
        "🎵",
        "\u0001\t\n\r",
        "null",
        "NULL",
        "{a,b}",
    ),
    *('{"a": 1}', "true", "1", "12", "-3.5", "$1", "::int", "--x", "/*", "zebra", LONG),
)
_INTS = ("0", "1", "-1", "2", "3", "5", "7", "13", "100", "32767", "-32768")
_WIDE = ("2147483647", "-2147483648")
_HUGE = ("9223372036854775807", "-9223372036854775808", "4294967296")


@dataclass(frozen=True)
class Kind:
    """`sql`: the column's type. `of`: the kind of expression that such a column is; `texts`: values of it."""

    sql: str
    of: str
    texts: tuple[str, ...]
    collation: str = ""

    @property
    def definition(self) -> str:
        return f"{self.sql}{f' COLLATE {self.collation}' if self.collation else ''}"


def _short(most: int) -> tuple[str, ...]:
    return tuple(text for text in _TEXTS if len(text) <= most)


_NUMERICS = (
    "0",
    "0.00",
    "1.50",
    "1.5",
    "1",
    "1.00",
    "-2",
    "NaN",
    "Infinity",
    "-Infinity",
    "12345678901234567890.123",
    "1e-30",
)
_FLOATS = ("0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "0.1", "1e300", "1e-300", "5")
_JSON = (
    *('{"a": 1, "b": [1, 2], "t": "x"}', '{"a": null}', "[]", '"x"', "null", '{"artist": "Ann", "bpm": 120.5}', "1.0"),
    *('{"a": "1"}', '[1, [2, {"a": true}]]', '{"": ""}', '{"a": {"b": {"c": [null, 1e5]}}}', "true", "1", '"\\u00e9"'),
    *('{"b": [], "a": [0]}', '{"bpm": "fast"}', "-0", "{}"),
    *(
        '{"a": 1.0}',
        '{"a": "1.0"}',
        '{"a": [1.00, "x"], "b": {"a": 1}}',
        '{"artist": ["Ann", "Bob"]}',
        '["a", 1, null]',
    ),
)

KINDS: dict[str, Kind] = {
    "bool": Kind("bool", "bool", ("t", "f")),
    "int2": Kind("int2", "int", _INTS),
    "int4": Kind("int4", "int", (*_INTS, *_WIDE)),
    "int8": Kind("int8", "int", (*_INTS, *_WIDE, *_HUGE)),
    "oid": Kind("oid", "oid", ("0", "1", "4294967295")),
    "numeric": Kind("numeric", "num", _NUMERICS),
    "money_like": Kind("numeric(8,2)", "num", ("0", "1.50", "1.5", "-2", "999999.99", "NaN")),
    "float4": Kind("float4", "float", ("0", "-0", "1.5", "NaN", "Infinity", "0.1", "3e38")),
    "float8": Kind("float8", "float", _FLOATS),
    "text": Kind("text", "text", _TEXTS),
    "c_text": Kind("text", "text", _TEXTS, '"C"'),
    "c_varchar": Kind("varchar(12)", "text", _short(12), '"C"'),
    "c_char": Kind("char(4)", "bpchar", _short(4), '"C"'),
    "loose": Kind("text", "text", _short(20), "oracle.loose"),
    "german": Kind("text", "text", _short(20), "oracle.german"),
    "varchar": Kind("varchar(12)", "text", _short(12)),
    "name": Kind("name", "name", _short(12)),
    "bpchar": Kind("char(4)", "bpchar", _short(4)),
    "loose_char": Kind("char(3)", "bpchar", _short(3), "oracle.loose"),
    "uuid": Kind(
        "uuid",
        "uuid",
        tuple(f"{n:08x}-0000-4000-8000-00000000000{n % 10}" for n in (0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFF)),
    ),
    "date": Kind("date", "date", ("2026-01-01", "infinity", "-infinity", "0044-03-15 BC", "2024-02-29", "12026-01-01")),
    "ts": Kind("timestamp", "ts", ("2026-01-01 10:00", "2026-01-01 10:00:00.123456", "infinity", "-infinity")),
    "ts0": Kind("timestamp(0)", "ts", ("2026-01-01 10:00", "2026-01-01 10:00:00.6", "0001-01-01 00:00 BC")),
    "tz": Kind(
        "timestamptz",
        "tz",
        ("2026-01-01 10:00+02", "2025-12-31 23:30-01", "infinity", "1999-01-01 00:00+00", "2026-03-29 01:30+00"),
    ),
    "time": Kind("time", "time", ("00:00", "24:00", "12:34:56.789")),
    "timetz": Kind("timetz", "timetz", ("00:00+00", "12:00+02", "10:00+00")),
    "interval": Kind(
        "interval", "iv", ("1 day", "24:00:00", "1 year 2 mons", "-3 days +1:00", "0", "30 days", "1 mon", "infinity")
    ),
    "jsonb": Kind("jsonb", "jsonb", _JSON),
    "json": Kind("json", "json", (*_JSON, '{"a":  1, "a": 2}')),
    "document": Kind("oracle.document", "jsonb", tuple(text for text in _JSON if text.startswith("{"))),
    "bytea": Kind("bytea", "bytea", ("\\x00ff", "\\x", "\\x41", "\\x27")),
    "mood": Kind("oracle.mood", "mood", ("sad", "ok", 'it\'s "fine"', "a,b")),
    "ints": Kind("int4[]", "ints", ("{}", "{1,2,3}", "{NULL,5}", "{7}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{1}")),
    "texts": Kind(
        "text[]",
        "texts",
        ("{}", "{a,b}", "{NULL}", '{"a b","c\\"d",NULL}', "{{a,b},{c,d}}", '{null,"null"}', '{"",a}', "{a}"),
    ),
    "moods": Kind("oracle.mood[]", "moods", ("{}", "{sad}", "{ok,NULL}", '{"a,b",ok}')),
    "range": Kind("int4range", "range", ("empty", "[1,5)", "(,10)", "[3,)", "(,)", "[5,5]")),
    "ranges": Kind("int4multirange", "spans", ("{}", "{[1,3),[5,9)}", "{(,)}")),
    "numrange": Kind("numrange", "numrange", ("empty", "[1.5,2)", "(,NaN]", "[1.50,2]")),
    "inet": Kind("inet", "inet", ("10.0.0.1", "10.0.0.0/8", "::1", "10.0.0.1/32")),
    "bits": Kind("bit(3)", "bits", ("101", "000")),
    "small": Kind("oracle.small", "int", ("1", "999", "-5", "13")),
    "pair": Kind("oracle.pair", "pair", ("(1,x)", '(,"a,b")', "(2,)", "(,)")),
    "words": Kind("tsvector", "words", ("'blue':1 'sky':2", "'red'", "", "'a''b':3A")),
    "char": Kind('"char"', "char", ("a", "\\377", "")),
}

CONSTANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pattern": (
        "text",
        ("a%", "%b%", "", "%", "_", "ab\\%%", "Ä%", "日%", "a_c", "\\\\%", "%\t%", "A%", "zebra", "a b%"),
    ),
    "regex": ("text", ("^[a-z]+$", "a", "^$", "\\d", "(a|z)", ".", "ä", "^.{2}$", "\\s", "[", "(?i)ABC")),
    "jkey": ("text", ("a", "b", "artist", "bpm", "", "t", "missing")),
    "jkeys": ("text[]", ("{a,b}", "{}", "{artist}", "{a,b,0}", "{b,0}", "{NULL}")),
    "jpath": ("jsonpath", ("$.a", "$.b[*] ? (@ > 1)", "$.a == 1", '$.t == "x"', "$[*]", "strict $.a", "$.bpm > 100")),
    "tsquery": ("text", ("blue & sky", "red", "!blue", "a | sky", "bl:*")),
    "zone": ("text", ("UTC", "Europe/Berlin", "America/New_York", "+03")),
    "field": ("text", ("day", "hour", "month", "year", "century")),
    "few": ("int", ("0", "1", "2", "3")),
}
