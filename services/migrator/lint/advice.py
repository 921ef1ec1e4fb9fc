"""Expand and contract: what a migration breaks for code and copies that are still there, and the steps that do not."""

from collections.abc import Sequence

from medley.gate.findings import ROLES
from medley.gate.findings import Finding as Break
from medley.sql.lexer import Lines, Token, lex
from services.migrator.lint.findings import Finding, Judged
from services.migrator.scratch.rehearsal import Step
from services.migrator.sql.bodies import deep, name_of
from services.migrator.sql.directives import Script

_CONTRACT = "first deploy code that does not use it, everywhere; then do this in a later migration"
_INSTEAD = {
    "drop-table": _CONTRACT,
    "drop-partition": "first let clients forget its rows: DELETE them, then detach and drop it in a later migration",
    "recreate-table": "change the table in place; or make it under another name, and move everybody over",
    "replace-table": "make it under another name, write both, move everybody over, and drop the old one later",
    "recreate-column": "add the column under another name, fill it, move everybody over, and drop the old one later",
    "replace-column": "add the column under another name, fill it, move everybody over, and drop the old one later",
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
_CHANGING = {"ALTER", "DROP", "CREATE", "DO"}
_BEFORE_WHAT_CHANGES = {"COLUMN", "ALTER", "DROP", "RENAME", "ADD", "EXISTS"}
_ELSE = "deploy code that knows it first, then do this; expand, migrate, contract"


def expand_and_contract(steps: Sequence[Step], scripts: Sequence[Script]) -> Judged:
    """What breaks a role; what a `-- compat: accept …` of its file accepts is kept apart with its reason."""
    by_name, judged = {script.filename: script for script in scripts}, Judged([], [])
    for step in steps:
        reasons, script = dict(step.compat.accepted), by_name[step.migration.filename]
        for found in step.compat.findings:
            kinds = [f"{role}-breaking" for role in ROLES if found.for_role(role) == "breaking"]
            if left := [kind for kind in kinds if kind not in reasons]:
                judged.open.append(_finding(script, found, left))
            judged.accepted.extend(
                (_finding(script, found, [kind]), reasons[kind]) for kind in kinds if kind in reasons
            )
    return judged


def _finding(script: Script, found: Break, kinds: Sequence[str]) -> Finding:
    accept = f'or accept it: -- compat: accept {kinds[0]} reason="…"'
    instead = f"{_INSTEAD.get(found.rule, _ELSE)}; {accept}"
    return Finding(script.filename, *_place(script, found), ", ".join(kinds), found.sentence, instead)


def _place(script: Script, found: Break) -> tuple[int, int]:
    """Where the file names the column, or else the table, in blocks too; where it names neither, its beginning."""
    table, column = plain(found.table), found.column
    changing = sorted(script.statements, key=lambda statement: statement.words(1)[0] not in _CHANGING)
    texts = [(statement, list(deep(statement.text))) for statement in changing]
    for wanted in ([table, column], [column], [table]) if column else ([table],):
        for statement, tokens in texts:
            places = [[at for at, token in enumerate(tokens) if name_of(token) == name] for name in wanted]
            if all(places):
                token = tokens[_likeliest(tokens, places[-1], places[0][0])]
                return Lines(script.text).at(statement.offset + token.offset)
    return (script.statements[0].line, script.statements[0].column) if script.statements else (1, 1)


def _likeliest(tokens: Sequence[Token], places: Sequence[int], table: int) -> int:
    """Of several places, one after the table's name where something is done to it."""
    after = [at for at in places if at >= table]
    done = [at for at in after if tokens[at - 1].upper in _BEFORE_WHAT_CHANGES]
    return (done or after or places)[0]


def plain(name: str) -> str:
    """A name as the catalogue has it, of one that may be qualified and quoted."""
    last = list(lex(name))[-1:]
    return name_of(last[0]) if last else ""
