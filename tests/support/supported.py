"""What where clauses can say, by example: tried on real servers, and shown in sync's README as it was found."""

import random
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "services" / "sync" / "README.md"
BEGIN, END = "<!-- supported: written by `make supported` -->\n", "<!-- end -->\n"

SCHEMA = """
CREATE SCHEMA {s};
SET search_path = {s}, public;
CREATE TYPE mood AS ENUM ('calm', 'glad', 'wild');
CREATE FUNCTION initial(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left($1, 1)';
CREATE TABLE songs (
    id int PRIMARY KEY, title text, artist text, path text COLLATE "C", album uuid, track int, bpm numeric,
    rating float8, live bool, released date, added timestamptz, mood mood, tags text[], metadata jsonb, span int4range,
    words tsvector
);
CREATE TABLE playlists (id int PRIMARY KEY, owner text);
CREATE TABLE playlist_songs (playlist_id int, song_id int, PRIMARY KEY (playlist_id, song_id));
"""
TYPES = {
    **{"title": "text", "artist": "text", "path": "text", "album": "uuid", "track": "int", "bpm": "numeric"},
    **{"rating": "float8", "live": "bool", "released": "date", "added": "timestamptz", "mood": "{s}.mood"},
    **{"tags": "text[]", "metadata": "jsonb", "span": "int4range", "words": "tsvector"},
}
VALUES: dict[str, list[str]] = {
    "title": ["Blue", "blue sky", "100%", "ä", ""],
    "artist": ["Ann", "ANN", "Bo", "O'Brien"],
    "path": ["jazz/1.flac", "jazz/2.flac", "rock/1.flac", "Jazz/3.flac"],
    "album": ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"],
    "track": ["1", "2", "3", "10"],
    "bpm": ["120", "120.0", "99.5", "NaN"],
    "rating": ["0", "-0", "4.5", "NaN", "Infinity"],
    "live": ["t", "f"],
    "released": ["2026-01-01", "1999-12-31", "infinity", "0044-03-15 BC"],
    "added": ["2026-01-01 10:00+02", "2025-12-31 23:30-01", "infinity"],
    "mood": ["calm", "glad", "wild"],
    "tags": ["{}", "{jazz,live}", "{NULL,jazz}", "{{a,b}}"],
    "metadata": ['{"artist": "Ann", "bpm": 120}', '{"artist": null}', "[]", '{"a": {"b": [1, 2.0]}}', '"Ann"'],
    "span": ["empty", "[1,5)", "(,10)"],
    "words": ["'blue':1 'sky':2", "'red'", ""],
}

# What it is, and examples.
SUPPORTED: list[tuple[str, list[str]]] = [
    ("equality, either way round, and AND of such", ["artist = 'Ann'", "1 = track AND live", "bpm = 120.00"]),
    ("lists", ["track IN (1, 2)", "artist = ANY ('{Ann,Bo}')"]),
    ("AND, OR and NOT of them", ["artist = 'Ann' AND (track = 1 OR live)", "NOT live"]),
    (
        "ranges",
        ["track BETWEEN 2 AND 5", "bpm > 99.5", "released < '2000-01-01'", "added >= '2026-01-01'", "rating > 4"],
    ),
    (
        "ranges and prefixes of text in the order of its bytes",
        ["path >= 'jazz/' AND path < 'jazz0'", "path LIKE 'jazz/%'"],
    ),
    ("prefixes", ["title LIKE 'blue%'", "title ^@ 'Bl'", "starts_with(title, 'b')"]),
    ("arrays", ["tags @> '{jazz}'", "'live' = ANY (tags)", "tags && '{jazz,rock}'"]),
    ("jsonb by a key or by containment", ["metadata ->> 'artist' = 'Ann'", """metadata @> '{"bpm": 120.0}'"""]),
    ("enums", ["mood = 'glad'", "mood IN ('calm', 'wild')"]),
    ("any of these AND anything else", ["artist = 'Ann' AND length(title) > 3", "track > 1 AND title ~ '^b'"]),
    ("three-valued logic", ["live IS NOT TRUE", "bpm IS NULL OR bpm <> 120", "artist IS DISTINCT FROM 'Ann'"]),
    ("patterns", ["title ILIKE '%BLUE%'", "title ~ '^[a-z]+ ?'", "title SIMILAR TO '(B|b)%'"]),
    (
        "the rest of jsonb",
        ["metadata ? 'artist'", "metadata #>> '{a,b,0}' = '1'", "(metadata ->> 'bpm')::numeric > 100"],
    ),
    ("JSON paths", ["metadata @? '$.a.b[*] ? (@ > 1)'"]),
    ("arithmetic and functions", ["track % 2 = 1", "lower(artist) = 'ann'", "coalesce(title, artist) = 'Bo'"]),
    ("your own immutable functions", ["{s}.initial(title) = 'B'"]),
    (
        "dates and times",
        ["extract(year FROM added) = 2026", "added::date = '2026-01-01'", "released + 1 = '2000-01-01'"],
    ),
    ("enums in their order, or as text", ["mood > 'calm'", "mood::text LIKE 'g%'"]),
    ("range types, full text", ["span @> 4", "words @@ to_tsquery('simple', 'blue & sky')"]),
    (
        "CASE and rows",
        ["CASE WHEN live THEN track = 1 ELSE bpm > 100 END", "(track, artist) IN ((1, 'Ann'), (2, 'Bo'))"],
    ),
    ("constants", ["true", "1 = 2"]),
    ("songs of a playlist", ["id IN (SELECT song_id FROM {s}.playlist_songs WHERE playlist_id = 3)"]),
    (
        "the same by EXISTS",
        ["EXISTS (SELECT FROM {s}.playlist_songs p WHERE p.song_id = songs.id AND p.playlist_id = 3)"],
    ),
    ("NOT IN, NOT EXISTS", ["id NOT IN (SELECT song_id FROM {s}.playlist_songs WHERE playlist_id = 3)"]),
    ("rows", ["(id, track) IN (SELECT song_id, playlist_id FROM {s}.playlist_songs)"]),
    (
        "one subquery in another",
        [
            "id IN (SELECT song_id FROM {s}.playlist_songs WHERE playlist_id IN"
            " (SELECT id FROM {s}.playlists WHERE owner = 'Ann'))"
        ],
    ),
    ("its own table", ["album IN (SELECT album FROM {s}.songs WHERE artist = 'Ann')"]),
    ("other comparisons", ["track > ALL (SELECT playlist_id FROM {s}.playlist_songs WHERE song_id = 2)"]),
    ("anything with anything", ["live AND NOT (id IN (SELECT song_id FROM {s}.playlist_songs) OR title IS NULL)"]),
]
REFUSED: list[tuple[str, list[str]]] = [
    ("the clock", ["added > now() - interval '1 day'", "added > 'yesterday'", "released = CURRENT_DATE"]),
    ("the session, and settings that are not fixed", ["artist = current_user", "title = current_setting('port')"]),
    ("volatile functions, those that write", ["random() < 0.5", "nextval('numbers') = 1"]),
    ("aggregates, windows, functions of sets", ["count(*) > 1", "generate_series(1, 2) = 1"]),
    ("names of the catalogue", ["'songs'::regclass = 1"]),
    ("subqueries as values", ["track = (SELECT max(playlist_id) FROM {s}.playlist_songs)"]),
    ("joins, GROUP BY, LIMIT, UNION in a subquery", ["id IN (SELECT song_id FROM {s}.playlist_songs LIMIT 1)"]),
    ("views and the catalogue in a subquery", ["id IN (SELECT oid::int FROM pg_class)"]),
]


def statement(chance: random.Random, schema: str) -> str:
    """One random change of one of the tables."""
    song, playlist = chance.randrange(1, 16), chance.randrange(1, 6)
    name = chance.choice(list(TYPES))
    value = "NULL" if chance.random() < 0.15 else "'" + chance.choice(VALUES[name]).replace("'", "''") + "'"
    made = f"{value}::{TYPES[name].format(s=schema)}"
    return chance.choice(
        (
            f"INSERT INTO {schema}.songs (id, {name}) VALUES ({song}, {made}) ON CONFLICT DO NOTHING",
            *[f"UPDATE {schema}.songs SET {name} = {made} WHERE id BETWEEN {song} AND {song + 3}"] * 6,
            f"DELETE FROM {schema}.songs WHERE id = {song}",
            *[f"INSERT INTO {schema}.playlist_songs VALUES ({playlist}, {song}) ON CONFLICT DO NOTHING"] * 2,
            f"DELETE FROM {schema}.playlist_songs WHERE playlist_id = {playlist} AND song_id > {song}",
            f"INSERT INTO {schema}.playlists VALUES ({playlist}, 'Ann') ON CONFLICT (id) DO UPDATE SET owner = 'Bo'",
            f"UPDATE {schema}.playlists SET owner = 'Ann' WHERE id = {playlist}",
        )
    )


def table(found: Sequence[tuple[str, list[tuple[str, str]]]], refused: Sequence[tuple[str, list[str]]]) -> str:
    """As Markdown: what, with each example and its tier; and what is refused."""
    lines = ["| what | for example | tier |", "|---|---|---|"]
    for what, examples in found:
        tiers = dict.fromkeys(tier for _, tier in examples)
        shown = ", ".join(_code(clause) for clause, _ in examples)
        lines.append(f"| {what} | {shown} | {', '.join(tiers)} |")
    lines += ["", "| refused | for example |", "|---|---|"]
    lines += [f"| {what} | {', '.join(_code(clause) for clause in examples)} |" for what, examples in refused]
    return "\n".join(lines) + "\n"


def _code(clause: str) -> str:
    return f"`{clause.replace('{s}.', '').replace('|', chr(92) + '|')}`"


def in_readme() -> str:
    """What stands there now."""
    return README.read_text().split(BEGIN)[1].split(END)[0]


def write_readme(text: str) -> None:
    before, rest = README.read_text().split(BEGIN)
    README.write_text(f"{before}{BEGIN}{text}{END}{rest.split(END)[1]}")
