"""Catalogues made by hand, as short as the tests need them."""

from typing import Any

from medley.gate.objects import Catalogue, Entry

NAME = "public.songs"


def table(*parts: Entry, name: str = NAME, oid: int = 1, home: str | None = "here", **facts: Any) -> list[Entry]:
    """A table; its parts are said to be its own."""
    held = {"oid": oid, "home": home, "row_security": False, "forced": False, "partition_of": None, **facts}
    return [Entry("table", name, "", "", held), *(part._replace(relation=name) for part in parts)]


def column(name: str, type_: str = "text", number: int = 1, **facts: Any) -> Entry:
    held = {
        "number": number, "type": type_, "plain_type": type_, "not_null": False, "default": False, "generated": "",
        "identity": "", "expression": None, "updatable": None, **facts,
    }  # fmt: skip
    marks = " ".join(name for name in ("not_null", "default") if held[name])
    return Entry("column", NAME, name, f"{type_} {marks}".strip(), held)


def constraint(name: str, kind: str, definition: str, *columns: str, **facts: Any) -> Entry:
    held = {
        "kind": kind, "validated": True, "action": "a", "update": "a", "deferrable": False, "match": "s",
        "references": None, "referenced": None, "columns": list(columns), **facts,
    }  # fmt: skip
    return Entry("constraint", NAME, name, definition, held)


def index(name: str, *keys: str, where: str | None = None, **facts: Any) -> Entry:
    plain = [key for key in keys if key.isidentifier()]
    held = {
        "unique": True, "valid": True, "partial": where is not None, "where": where, "uses": plain, "keys": list(keys),
        "columns": plain if len(plain) == len(keys) else None, **facts,
    }  # fmt: skip
    rest = f" WHERE {where}" if where else ""
    return Entry(
        "index", NAME, name, f"CREATE UNIQUE INDEX {name} ON {NAME} USING btree ({', '.join(keys)}){rest}", held
    )


def view(*parts: Entry, name: str, reads: dict[str, list[str]], writable: bool = True, oid: int = 9) -> list[Entry]:
    held = {"oid": oid, "kind": "v", "updatable": writable, "writable": writable, "reads": reads}
    return [Entry("view", name, "", " SELECT …", held), *(part._replace(relation=name) for part in parts)]


def catalogue(*groups: list[Entry]) -> Catalogue:
    return Catalogue(tuple(entry for group in groups for entry in group))
