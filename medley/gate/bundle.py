"""The bundle: a schema as its clients need it. A browser replays `migrations` into its own Postgres (PGlite), knows
`tables` and `relations` without asking (those that it gets), and says with `history` which schema it has.

`fingerprint` is that of the server. Where parts are for the server alone, `replica_fingerprint` is what a client ends
with; otherwise the two are equal. `fingerprint_sql` computes it anywhere: run the statements in order on one session;
the last one gives one row with the column `fingerprint`.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from medley.gate import catalogue
from medley.gate.findings import Class
from medley.gate.objects import Catalogue, Table
from medley.runtime.errors import ConfigurationError

Action = Literal["no action", "restrict", "cascade", "set null", "set default"]
Kind = Literal["enum", "domain", "range"]
_KINDS: dict[str, Kind] = {"enum": "enum", "domain": "domain", "range": "range"}
_ACTIONS: dict[str, Action] = {
    "a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default",
}  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleMigration(_Part):
    """One migration: `statements` are those that clients replay, in this order, each as a command of its own: all of
    them in one transaction, or (`transaction` is false) without one."""

    filename: str
    checksum: str
    history: str
    reader: Class
    writer: Class
    replica: Class
    transaction: bool
    statements: tuple[str, ...]


class BundleColumn(_Part):
    """`type` as `format_type` names it; `default` is an expression of SQL."""

    name: str
    type: str
    nullable: bool
    default: str | None = None
    generated: bool = False
    identity: bool = False


class BundleTable(_Part):
    """`name` is `schema.table`, each quoted where Postgres would quote it."""

    name: str
    columns: tuple[BundleColumn, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()


class Relation(_Part):
    """A foreign key."""

    name: str
    table: str
    columns: tuple[str, ...]
    references: str
    referenced: tuple[str, ...]
    on_delete: Action


class BundleType(_Part):
    """A type of the schema's own. An enum has `labels`, in order; a domain is made `of` another type."""

    name: str
    kind: Kind
    labels: tuple[str, ...] = ()
    of: str | None = None
    nullable: bool = True
    checks: tuple[str, ...] = ()


class Bundle(_Part):
    version: Literal[1] = 1
    fingerprint: str
    replica_fingerprint: str
    history: str
    migrations: tuple[BundleMigration, ...]
    types: tuple[BundleType, ...]
    tables: tuple[BundleTable, ...]
    relations: tuple[Relation, ...]
    fingerprint_sql: tuple[str, ...]

    def as_json(self) -> str:
        """Stable: the same schema is the same text."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> Bundle:
    """A compiled bundle. Raises ConfigurationError when there is none, or it is not one."""
    try:
        return Bundle.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"no bundle at {path} ({error}); make it with `medley migrate compile`") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not a bundle: {error}; make it with `medley migrate compile`") from error


def json_schema() -> str:
    """The JSON Schema of a bundle, as a file."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Bundle.model_json_schema()}
    return json.dumps({**schema, "title": "Medley schema bundle"}, indent=1) + "\n"


def fingerprint_sql() -> tuple[str, ...]:
    """Statements that compute the fingerprint on Postgres 16 and later, PGlite included."""
    quoted = ((name, value.replace("'", "''")) for name, value in catalogue.SESSION.items())
    return (
        *(f"SET {name} = '{value}'" for name, value in quoted),
        "SELECT 'v1:' || encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), ''),"
        " 'UTF8')), 'hex') AS fingerprint FROM (SELECT concat(kind, E'\\t', relation, E'\\t', name, E'\\t', definition)"
        f" AS line FROM (\n{_code(catalogue.SQL['catalogue'])}\n) AS object) AS lines",
    )


def _code(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("--"))


def types(live: Catalogue) -> tuple[BundleType, ...]:
    """Enums, domains and ranges by name. (What a composite type holds is in its statement.)"""
    return tuple(
        BundleType(
            name=entry.name,
            kind=_KINDS[entry.kind],
            labels=tuple(entry.facts["labels"] or ()),
            of=entry.facts["base"] if entry.kind == "domain" else None,
            nullable=not entry.facts["not_null"],
            checks=tuple(sorted((entry.facts["checks"] or {}).values())),
        )
        for entry in sorted(live.entries, key=lambda entry: entry.key)
        if entry.kind in _KINDS
    )


def tables(live: Catalogue) -> tuple[BundleTable, ...]:
    return tuple(_table(table) for _, table in sorted(live.tables.items()) if not table.is_view)


def _table(table: Table) -> BundleTable:
    columns = sorted(table.columns.values(), key=lambda column: column.facts["number"])
    keys = [c.facts for _, c in sorted(table.constraints.items()) if c.facts["kind"] in ("p", "u")]
    return BundleTable(
        name=table.name,
        columns=tuple(
            BundleColumn(
                name=column.name,
                type=column.facts["type"],
                nullable=not column.facts["not_null"],
                default=column.facts["expression"] if column.facts["default"] else None,
                generated=bool(column.facts["generated"]),
                identity=bool(column.facts["identity"]),
            )
            for column in columns
        ),
        primary_key=next((tuple(facts["columns"]) for facts in keys if facts["kind"] == "p"), ()),
        unique=tuple(tuple(facts["columns"]) for facts in keys if facts["kind"] == "u"),
    )


def relations(live: Catalogue) -> tuple[Relation, ...]:
    return tuple(
        Relation(
            name=name,
            table=table.name,
            columns=tuple(entry.facts["columns"]),
            references=entry.facts["references"],
            referenced=tuple(entry.facts["referenced"]),
            on_delete=_ACTIONS[entry.facts["action"]],
        )
        for _, table in sorted(live.tables.items())
        for name, entry in sorted(table.constraints.items())
        if entry.facts["kind"] == "f"
    )
