"""Expand and contract: what a migration breaks for code and copies that are still there, and the steps that do not."""

from collections.abc import Iterator, Sequence

from medley.gate.findings import ROLES
from medley.gate.findings import Finding as Break
from services.migrator.lint.findings import Finding
from services.migrator.scratch.rehearsal import Step
from services.migrator.sql.directives import Script
from services.migrator.sql.lexer import Lines

_CONTRACT = "first deploy code that does not use it, everywhere; then do this in a later migration"
_INSTEAD = {
    "drop-table": _CONTRACT,
    "drop-column": _CONTRACT,
    "rename-column": "add the new column, write both, copy what is there, move readers over, drop the old one later",
    "rename-table": "leave a view of the old name behind: CREATE VIEW old AS SELECT columns FROM new",
    "add-required-column": "add it nullable or with a default; fill it; SET NOT NULL in a later migration",
    "set-not-null": "first deploy writers that always fill it; fill what is there; then do this",
    "drop-not-null": "first deploy readers, and clients, that know NULL there; then do this",
    "drop-default": "first deploy writers that always fill it; then do this",
    "change-type": "add a column of the new type beside it, write both, move readers over, and drop the old one later",
    "widen-type": "add a column of the new type beside it, write both, move clients over, and drop the old one later",
    "narrow-type": "add a CHECK first, deploy writers that keep it, then do this",
    "add-check": "first deploy writers that keep it; add it NOT VALID, VALIDATE it in a later migration",
    "narrow-check": "first deploy writers that keep it; then do this",
    "widen-check": "first deploy readers, and clients, that know the new values; then do this",
    "add-unique": "first deploy writers that keep it, and clean up duplicates; then do this",
    "drop-unique": "first deploy writers without that ON CONFLICT; then do this",
    "add-foreign-key": "first deploy writers that keep it; add it NOT VALID, VALIDATE it in a later migration",
    "change-primary-key": "make a new table with the new key, write both, move everybody over, drop the old one later",
}
_ELSE = "deploy code that knows it first, then do this; expand, migrate, contract"


def expand_and_contract(steps: Sequence[Step], scripts: Sequence[Script]) -> list[Finding]:
    """What breaks a role and is not accepted by a `-- compat: accept …` of its file."""
    by_name = {script.filename: script for script in scripts}
    return [finding for step in steps for finding in _of(step, by_name[step.migration.filename])]


def _of(step: Step, script: Script) -> Iterator[Finding]:
    for found in step.compat.findings:
        roles = [role for role in ROLES if found.for_role(role) == "breaking" and step.compat.of(role) == "breaking"]
        if roles:
            kinds = ", ".join(f"{role}-breaking" for role in roles)
            accept = f'or accept it: -- compat: accept {roles[0]}-breaking reason="…"'
            instead = f"{_INSTEAD.get(found.rule, _ELSE)}; {accept}"
            yield Finding(script.filename, *_place(script, found), kinds, found.sentence, instead)


def _place(script: Script, found: Break) -> tuple[int, int]:
    """Where the file names the column, or else the table; the file's first statement where it names neither."""
    for name in (found.column, found.table.rpartition(".")[2]):
        for statement in script.statements if name else ():
            for token in statement.tokens():
                if token.text.strip('"').lower() == name.strip('"').lower():
                    return Lines(script.text).at(statement.offset + token.offset)
    return (script.statements[0].line, script.statements[0].column) if script.statements else (1, 1)
