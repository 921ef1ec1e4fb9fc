"""What has become of each table and column: several renames at once, and a database that was restored from a dump."""

import dataclasses

from medley.gate.compatibility import compare
from medley.gate.findings import Finding
from medley.gate.objects import Catalogue, Entry
from tests.unit.gate.made import catalogue, column, constraint, index, table, view

A, B = "public.a", "public.b"


def found(findings: list[Finding]) -> list[str]:
    return [f"{each.rule} {each.table}.{each.column}".rstrip(".") for each in findings]


def two(a: str, b: str, *parts: Entry) -> Catalogue:
    """Object 1 under one name, object 2 under the other."""
    return catalogue(table(column("x"), *parts, name=a, oid=1), table(column("x"), name=b, oid=2))


def test_tables_that_swap_names_are_not_what_they_were() -> None:
    assert found(compare(two(A, B), two(B, A))) == ["replace-table public.a", "replace-table public.b"]


def test_tables_that_are_renamed_round_about() -> None:
    before = catalogue(*(table(column("x"), name=f"public.{name}", oid=n) for n, name in enumerate("abc")))
    after = catalogue(*(table(column("x"), name=f"public.{name}", oid=n) for n, name in enumerate("bca")))
    assert found(compare(before, after)) == [f"replace-table public.{name}" for name in "abc"]


def test_a_name_that_moves_on() -> None:
    """a becomes b, b becomes c: b is another table now, and a has no name of its own."""
    findings = compare(two(A, B), two(B, "public.c"))
    assert found(findings) == ["rename-table public.a", "replace-table public.b"]
    assert "renamed to public.b" in findings[0].sentence and "was public.a" in findings[1].sentence


def columns(**numbers: int) -> Catalogue:
    return catalogue(table(*(column(name, number=number) for name, number in numbers.items())))


def test_columns_that_swap_names() -> None:
    findings = compare(columns(a=1, b=2, c=3), columns(a=2, b=1, c=3))
    assert found(findings) == ["replace-column public.songs.a", "replace-column public.songs.b"]
    assert findings[0].sentence.endswith("(it is b now, and b took its name)")


def test_a_column_that_takes_the_name_of_one_that_goes() -> None:
    findings = compare(columns(a=1, b=2), columns(a=2))
    assert found(findings) == ["replace-column public.songs.a", "rename-column public.songs.b"]
    assert findings[0].sentence.endswith("(it is dropped, and b took its name)")


def test_a_column_that_makes_room_for_another() -> None:
    findings = compare(columns(a=1), columns(a=2, old=1))
    assert found(findings) == ["replace-column public.songs.a"]
    assert findings[0].sentence.endswith("(it is old now, and one is added)")


def test_a_rename_alone_changes_no_guard() -> None:
    def state(name: str) -> Catalogue:
        checks = constraint("c", "c", f"CHECK ((char_length({name}) > 0))", name)
        unique = index("i", f"lower({name})", uses=[name])
        return catalogue(table(column(name), checks, constraint("u", "u", f"UNIQUE ({name})", name), unique))

    assert found(compare(state("title"), state("name"))) == ["rename-column public.songs.title"]


# --- after a restore every object has another id, and perhaps that of another one


def restored(state: Catalogue, by: int, home: str | None = "elsewhere") -> Catalogue:
    """Other object ids, and columns numbered anew."""

    def moved(entry: Entry) -> Entry:
        facts = dict(entry.facts)
        if "oid" in facts:
            facts["oid"] += by
        if entry.kind == "table":
            facts["home"] = home
        if entry.kind == "column":
            facts["number"] += 7
        return entry._replace(facts=facts)

    return dataclasses.replace(state, entries=tuple(map(moved, state.entries)))


def test_a_restored_database_is_what_it_was() -> None:
    state = two(A, B)
    assert compare(state, restored(state, by=100)) == []
    assert compare(state, restored(state, by=1)) == [], "a table has the id that another one had"
    assert compare(state, restored(state, by=0)) == [], "columns have other numbers"
    assert compare(state, restored(state, by=100, home="here")) == [], "into the same database, emptied before"


def test_what_is_changed_after_a_restore_is_found() -> None:
    state = two(A, B)
    after = catalogue(table(column("y"), name=A, oid=1, home="elsewhere"))
    assert found(compare(state, after)) == ["drop-column public.a.x", "drop-table public.b"]


def test_one_table_of_several_that_is_made_anew_is_found() -> None:
    after = catalogue(table(column("x"), name=A, oid=1), table(column("x"), name=B, oid=3))
    findings = compare(two(A, B), after)
    assert found(findings) == ["recreate-table public.b"]
    assert "made anew" in findings[0].sentence


def test_a_view_of_a_view_passes_on() -> None:
    def state(not_null: bool) -> Catalogue:
        return catalogue(
            table(column("x", not_null=not_null), column("y", number=2), name=A),
            view(column("x"), name="public.v", reads={A: ["x"]}, oid=8),
            view(column("z"), name="public.w", reads={"public.v": ["x"]}, oid=9),
            view(column("x"), name="public.other", reads={A: ["y"]}, writable=False, oid=10),
        )

    assert found(compare(state(True), state(False))) == [
        "drop-not-null public.a.x",
        "drop-not-null public.v.x",
        "drop-not-null public.w",
    ]


def test_nothing_is_found_in_the_same() -> None:
    assert compare(two(A, B), two(A, B)) == []
