"""Makes the contracts of the services: what the named SQL of each reads and writes, as Postgres itself understands it.

`make contracts` writes `services/<name>/contract.json`.

A contract holds what its statements ask a privilege for: columns of SELECT are read, of INSERT and UPDATE written. The
columns of a WHERE, a RETURNING or an ON CONFLICT are therefore among the reads.

Not in a contract: the catalogues of Postgres, the ledger (a gate reads it before it can judge anything), utility
statements, and SQL that is made while running. With tables of users sync does nothing else: it reads whichever one a
shape names, and asks the catalogue what that one is. Its contract is empty, and stands there to show it when that
changes.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from medley.gate.needs import Column, Needs, Write
from services.migrator import ledger, migrations
from services.migrator.contract.analysis import Analysed, Relation, Use, analyse, relations_of
from services.migrator.contract.reach import named_statements
from services.migrator.scratch.database import scratch_database

SERVICES = ("api", "ingest", "sync")
ROOT = Path(__file__).resolve().parents[3]
# They have no plan: nothing that Postgres would analyse.
UTILITY = ("CREATE ", "ALTER ", "DROP ", "SET ", "LOCK ")
_INNERMOST = re.compile(r"(?<=: )\{[^{}]*\}|\[[^\[\]]*\]")


def needs(service: str, statements: Sequence[Analysed], relations: Mapping[str, Relation]) -> Needs:
    """The contract of all these statements together, in a stable order."""
    uses: dict[str, list[Use]] = {}
    for use in (use for statement in statements for use in statement.uses):
        uses.setdefault(use.table, []).append(use)
    arbiters: dict[str, set[tuple[str, ...]]] = {}
    for table, keys in (arbiter for statement in statements for arbiter in statement.arbiters):
        arbiters.setdefault(table, set()).add(keys)
    reads, writes = {}, {}
    for table, found in sorted(uses.items()):
        columns = {name: column for _, (name, column) in sorted(relations[table].columns.items())}
        if any(use.reads is not None for use in found):
            reads[table] = _some(columns, *(use.reads for use in found))
        if any(use.inserts is not None or use.updates is not None or use.deletes for use in found):
            writes[table] = _write(found, columns, arbiters.get(table, set()))
    return Needs(service=service, reads=reads, writes=writes)


def _some(columns: dict[str, Column], *names: frozenset[str] | None) -> dict[str, Column]:
    return {name: columns[name] for name in sorted(frozenset[str]().union(*(some for some in names if some)))}


def _write(uses: list[Use], columns: dict[str, Column], arbiters: set[tuple[str, ...]]) -> Write:
    return Write(
        columns=_some(columns, *(use.inserts for use in uses), *(use.updates for use in uses)),
        inserts=tuple(sorted({tuple(sorted(use.inserts)) for use in uses if use.inserts is not None})),
        updates=tuple(_some(columns, *(use.updates for use in uses))),
        deletes=any(use.deletes for use in uses),
        arbiters=tuple(sorted(arbiters)),
    )


async def contract_of(connection: asyncpg.Connection, service: str, root: Path = ROOT) -> Needs:
    """The contract of one service, analysed on a migrated database, which is left as it was.

    Raises Permanent for a statement that Postgres refuses, or that does what a contract cannot hold.
    """
    relations = await relations_of(connection)
    analysed = [
        await analyse(connection, relations, name, text)
        for name, text in named_statements(service, root).items()
        if not is_utility(text)
    ]
    return needs(service, analysed, {relation.name: relation for relation in relations.values()})


def is_utility(text: str) -> bool:
    """Whether this statement has no plan. Comments before it do not count."""
    code = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return next(code, "").lstrip().upper().startswith(UTILITY)


def text_of(contract: Needs) -> str:
    """The text of `contract.json`: sorted, a column a line."""
    text = json.dumps(contract.model_dump(mode="json"), indent=2, ensure_ascii=False, sort_keys=True)
    # JSON has no line feed inside a string, so only those between values are taken out.
    return _INNERMOST.sub(lambda match: re.sub(r"\s*\n\s*", " ", match.group()), text) + "\n"


async def generate(server_dsn: str, root: Path = ROOT) -> dict[Path, str]:
    """The text of every contract by its file, made on a database that is thrown away."""
    async with scratch_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            await ledger.prepare(connection)
            await connection.execute(ledger.SQL["create_started"])  # there only when it is needed, and read by a gate
            for migration in migrations.read(root / "schema"):
                await connection.execute(migration.text)
            contracts = [await contract_of(connection, service, root) for service in SERVICES]
        finally:
            await connection.close()
    return {root / "services" / contract.service / "contract.json": text_of(contract) for contract in contracts}


def differing(generated: dict[Path, str]) -> list[Path]:
    """The files that do not hold what was generated, or are not there."""
    return [path for path, text in generated.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
