"""From query strings to definitions, or to the texts that clients know (protocol sections 1.1 and 1.8)."""

from urllib.parse import urlencode

import pytest

from medley.contracts.offsets import BEFORE_ALL, Offset
from services.api.shape.asked import Asked
from services.api.shape.params import Errors, given
from services.api.shape.params import parse as judged


def parse(query: str) -> Asked | Errors:
    return judged(given(query))


def asked(query: str) -> Asked:
    parsed = parse(query)
    assert isinstance(parsed, Asked), parsed
    return parsed


@pytest.mark.parametrize(
    ("text", "schema", "table"),
    [
        ("songs", "public", "songs"),
        ("Songs", "public", "songs"),
        ('"Songs"', "public", "Songs"),
        ("music.songs", "music", "songs"),
        ('music."My songs"', "music", "My songs"),
        ('"a.b"."c""d"', "a.b", 'c"d'),
        ("größe", "public", "größe"),
    ],
)
def test_tables_are_named_as_postgres_names_them(text: str, schema: str, table: str) -> None:
    definition = asked(urlencode({"table": text, "offset": "-1"})).definition
    assert (definition.schema_name, definition.table) == (schema, table)


@pytest.mark.parametrize("text", ["a b", "a.b.c", '"open', "1st", "a;b", '""', "a.", ".a", "x" * 64, "a-b", '"a"b'])
def test_what_is_no_name_of_a_table_is_refused(text: str) -> None:
    parsed = parse(urlencode({"table": text, "offset": "-1"}))
    assert isinstance(parsed, dict)
    assert "table" in parsed


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("offset=-1", {"table": ["can't be blank"]}),
        ("table=t", {"offset": ["can't be blank"]}),
        ("table=t&offset=x", {"offset": ["has invalid format"]}),
        ("table=t&offset=1_", {"offset": ["has invalid format"]}),
        ("table=t&offset=0_0", {"handle": ["can't be blank when offset != -1"]}),
        ("table=t&offset=-1&live=true", {"live": ["can't be true when offset == -1"]}),
        ("table=t&offset=now&live", {"live": ["can't be true when offset == now"]}),
        ("table=t&offset=-1&live_sse=true", {"live_sse": ["can't be true unless live is also true"]}),
        (
            "table=t&offset=-1&params[2]=x",
            {"params": ["Parameters must be numbered sequentially, starting from 1"]},
        ),
        ("table=t&offset=-1&params[a]=x", {"params": ["Parameters can only use numbers as keys"]}),
        ("table=t&offset=-1&params[]=x&params[2]=y", {"params": ["Parameters can only use numbers as keys"]}),
        ("table=t&offset=-1&replica=half", {"replica": ["is invalid: use one of default, full"]}),
    ],
)
def test_refusals(query: str, errors: dict[str, list[str]]) -> None:
    assert parse(query) == errors


def test_a_where_clause_has_a_limit() -> None:
    parsed = parse(urlencode({"table": "t", "offset": "-1", "where": "a = '" + "x" * 65_536 + "'"}))
    assert isinstance(parsed, dict)
    assert "where" in parsed


@pytest.mark.parametrize("value", ["%00", "%ED%A0%80", "%FF"])
@pytest.mark.parametrize("field", ["where", "params[1]"])
def test_text_that_postgres_cannot_hold_is_refused(field: str, value: str) -> None:
    parsed = parse(f"table=t&offset=-1&{field}=a{value}")
    assert isinstance(parsed, dict)
    assert list(parsed) == [field.removesuffix("[1]")]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("columns=" + "id," * 300_000 + "id", "columns"),
        ("columns=" + ",".join(f"c{number}" for number in range(1_601)), "columns"),
        ("queryable_columns=" + "%22" * 300_000, "queryable_columns"),
        ("params[1]=" + "x" * (1024 * 1024 + 1), "params"),
        ("table=" + "t" * 1_000_000, "table"),
    ],
)
def test_nothing_is_larger_than_it_can_be(query: str, field: str) -> None:
    parsed = parse(f"table=t&offset=-1&{query}")
    assert isinstance(parsed, dict)
    assert list(parsed) == [field]


def test_a_column_that_is_named_twice_is_one() -> None:
    assert asked("table=t&offset=-1&columns=id,b,id").definition.columns == ("b", "id")


@pytest.mark.parametrize("offset", ["0_9223372036854775808", "18446744073709551616_0", "0_99999999999999999999"])
def test_an_offset_is_within_what_a_log_can_have(offset: str) -> None:
    assert parse(f"table=t&handle=h&offset={offset}") == {"offset": ["has invalid format"]}


@pytest.mark.parametrize("text", ["[" * 20_000, '{"1":null}', '{"1":{}}', "7", '{"1":"\\ud800"}', "{"])
def test_params_that_are_none_are_refused(text: str) -> None:
    parsed = parse(urlencode({"table": "t", "offset": "-1", "params": text}))
    assert isinstance(parsed, dict)
    assert "params" in parsed


def test_params_in_both_forms_and_any_order_are_one_definition() -> None:
    deep = asked("table=t&where=a%3D%241+AND+b%3D%242&params%5B2%5D=y&offset=-1&params[1]=x&log=full&unknown=1")
    json = asked(urlencode({"table": '"t"', "where": "a=$1 AND b=$2", "params": '{"1":"x","2":"y"}', "offset": "-1"}))
    assert deep.definition == json.definition
    assert deep.definition.params == ("x", "y")
    assert deep.definition.digest() == json.definition.digest()


def test_columns() -> None:
    definition = asked(urlencode({"table": "t", "offset": "-1", "columns": 'id,"Status-Check", Note'})).definition
    assert definition.columns == ("Status-Check", "id", "note")


@pytest.mark.parametrize("name", ["columns", "queryable_columns"])
def test_the_order_of_columns_makes_no_other_shape(name: str) -> None:
    given, other = (asked(f"table=t&offset=-1&{name}={text}").definition for text in ("b,id", 'id,"b",b'))
    assert given == other


def test_what_changes_the_shape_and_what_does_not() -> None:
    def digest(**query: str) -> str:
        return asked(urlencode({"table": "t", "offset": "-1", **query})).definition.digest()

    same = [digest(), digest(offset="5_0", handle="h", live="true", cursor="7"), digest(**{"cache-buster": "x"})]
    assert len(set(same)) == 1
    others = [digest(replica="full"), digest(log="changes_only"), digest(columns="id"), digest(where="a = 1")]
    assert len({*same, *others}) == 5


def test_offsets_and_live() -> None:
    first = asked("table=t&offset=-1&handle=ignored")
    assert (first.offset, first.handle, first.live) == (BEFORE_ALL, None, False)
    now = asked("table=t&offset=now")
    assert now.offset is None
    live = asked("table=t&offset=26800584_4&handle=h&live&cursor=")
    assert (live.offset, live.handle, live.live, live.cursor) == (Offset(26800584, 4), "h", True, None)
    assert not asked("table=t&offset=0_0&handle=h&live=false&cursor=12").live
