"""Which templates are one comparison of what a row computes with a constant."""

import pytest

from medley.contracts.shapes import ClauseColumn
from services.sync.predicates.sides import Sides, sides
from services.sync.predicates.template import template


def column(name: str, type_sql: str) -> ClauseColumn:
    kind = type_sql.partition(" ")[0]
    return ClauseColumn(
        name=name, type_oid=1, modifier=-1, type_sql=type_sql, type_name=kind, made_of_text=False, deterministic=True
    )


COLUMNS = (column("j", "jsonb"), column("n", "numeric"), column("t", 'text COLLATE pg_catalog."default"'))
GERMAN = (*COLUMNS, column("g", "text COLLATE s.german"))


def found(sql: str, columns: tuple[ClauseColumn, ...] = COLUMNS) -> tuple[Sides | None, tuple[str, ...]]:
    whole, constants = template(sql)
    return sides(whole, columns), constants


def shown(sql: str, columns: tuple[ClauseColumn, ...] = COLUMNS) -> tuple[str, str, str | None] | None:
    """What is computed, the comparison with it, and the order that it is about; constants in braces."""
    one, constants = found(sql, columns)
    if one is None:
        return None
    own, compared = one.split(constants)
    computed = one.computed.filled(tuple(f"{{{text}}}" for text in own)).strip()
    clause = one.clause("_", one.compared.filled((f"{{{compared}}}",)).strip())
    return computed, " ".join(clause.split()), one.range


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "((((j ->> 'bpm'::text))::numeric > '100'::numeric))",
            ("((j ->> {bpm}))::numeric", "_ > {100}", ">"),
        ),
        ("((j ->> 'n'::text))::numeric > (100)::numeric", ("((j ->> {n}))::numeric", "_ > ({100})::numeric", ">")),
        ("(((j ->> 'bpm'::text))::numeric <= 99.5)", ("((j ->> {bpm}))::numeric", "_ <= {99.5}", "<=")),
        ("('100'::numeric > ((j ->> 'bpm'::text))::numeric)", ("((j ->> {bpm}))::numeric", "{100} > _", "<")),
        ("(((j ->> 'bpm'::text))::integer > '100'::bigint)", ("((j ->> {bpm}))::integer", "_ > {100}", None)),
        ("((n % (2)::numeric) = (1)::numeric)", ("(n % ({2})::numeric)", "_ = ({1})::numeric", None)),
        ("(lower(t) = 'ann'::text)", ("lower(t)", "_ = {ann}", None)),
        (
            "(CASE WHEN (n > 1.0) THEN t ELSE 'x'::text END <> 'y'::text)",
            ("CASE WHEN (n > {1.0}) THEN t ELSE {x} END", "_ <> {y}", None),
        ),
        ("(s.doubled(n) > (5)::numeric)", ("s.doubled(n)", "_ > ({5})::numeric", None)),
    ],
)  # fmt: skip
def test_one_comparison_has_sides(sql: str, expected: tuple[str, str, str | None]) -> None:
    assert shown(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "(n > '1'::numeric)",
        "((lower(t) = 'a'::text) AND (n > 1.0))",
        "(NOT (lower(t) = 'a'::text))",
        "((lower(t) = 'a'::text) IS TRUE)",
        "CASE WHEN (n > 1.0) THEN (lower(t) = 'a'::text) ELSE false END",
        "('a'::text = ANY (string_to_array(t, ','::text)))",
        "(lower(t) = ANY ('{a,b}'::text[]))",
        "(lower(t) OPERATOR(s.=) 'a'::text)",
        "(lower(t) ~~ 'a%'::text)",
        "(lower(t) = upper('a'::text))",
        "(ROW(n, t) > ROW(1.0, 'a'::text))",
        "(lower(t) IS DISTINCT FROM 'a'::text)",
        "((lower(t) = 'a'::text) = (n > 1.0))",
        "(lower(t) = NULL::text)",
    ],
)
def test_anything_else_has_none(sql: str) -> None:
    assert shown(sql) is None


def test_text_is_compared_alone_only_where_it_keeps_its_collation() -> None:
    """Of two collations that differ nothing is known any more, once their value stands alone."""
    assert shown("((t || g) = 'a'::text)", GERMAN) is None
    for sql in (
        "(lower((t COLLATE \"C\")) = 'a'::text)",
        "(s.doubled(t) = 'a'::text)",
        "(((t)::s.word || t) = 'a'::text)",
    ):
        assert shown(sql) is None
    assert shown("(length((t || g)) = 3)", GERMAN) == ("length((t || g))", "_ = {3}", None)


def test_what_a_text_says_is_no_sign() -> None:
    assert shown("(concat(t, '$1 = $0'::text, '(('::text) = 'a > b'::text)") == (
        "concat(t, {$1 = $0}, {((})",
        "_ = {a > b}",
        None,
    )
