"""The commands that look at files, or write them; what they need of a server is a scratch database."""

import contextlib
from dataclasses import asdict
from pathlib import Path

import click

from medley.gate.bundle import json_schema
from medley.runtime.errors import ConfigurationError
from medley.runtime.settings import SchemaSettings
from services.migrator import migrations
from services.migrator.commands import template
from services.migrator.commands.group import answer, json_option, migrate, scratch_server
from services.migrator.commands.report import FAILED, OK, Report
from services.migrator.contract import generate
from services.migrator.lint import findings
from services.migrator.lint.advice import expand_and_contract
from services.migrator.lint.locks import find_locks
from services.migrator.lint.revision import migrations_at
from services.migrator.lint.rules import find_unwise
from services.migrator.scratch.compile import Compiled, compile_
from services.migrator.scratch.database import scratch_session
from services.migrator.scratch.rehearsal import on_server
from services.migrator.sql.directives import read_script


@migrate.command()
@click.argument("name")
@json_option
def new(name: str, as_json: bool) -> None:
    """Write a commented template, and print its path."""

    async def work() -> Report:
        path = template.new(SchemaSettings().dir, name)
        return Report(str(path), {"path": str(path)})

    answer(work(), as_json)


@migrate.command("compile")
@click.option("--check", is_flag=True, help="Write nothing; fail if what is there is not what would be written.")
@json_option
def compile_command(check: bool, as_json: bool) -> None:
    """Report every fault as file:line:column; without any, write bundle.json, its JSON Schema and init.sql."""

    async def work() -> Report:
        return await compiled(SchemaSettings().dir, scratch_server(), check)

    answer(work(), as_json)


async def compiled(folder: Path, server_dsn: str, check: bool = False) -> Report:
    """Compile the folder. Raises ConfigurationError for a folder that cannot be read or written."""
    return _written(await compile_(migrations.read(folder), server_dsn), folder, check)


def _written(compiled: Compiled, folder: Path, check: bool) -> Report:
    if compiled.bundle is None:
        faults = [asdict(fault) for fault in compiled.faults]
        return Report("\n".join(str(fault) for fault in compiled.faults), {"faults": faults}, FAILED)
    made = {
        "bundle.json": compiled.bundle.as_json(),
        "bundle.schema.json": json_schema(),
        "init.sql": compiled.init,
    }
    differing = [name for name, text in made.items() if not _is(folder / name, text)]
    value = {"faults": [], "fingerprint": compiled.bundle.fingerprint, "history": compiled.bundle.history}
    if check:
        stale = f"not what the migrations make: {', '.join(differing)} in {folder}; run `medley migrate compile`"
        good = f"{', '.join(made)} are what the migrations make: {compiled.bundle.fingerprint}"
        return Report(stale if differing else good, {**value, "differing": differing}, FAILED if differing else OK)
    for name in differing:
        _write(folder / name, made[name])
    what = f"wrote {', '.join(differing)} into {folder}" if differing else "nothing to write"
    return Report(f"{what}: {compiled.bundle.fingerprint}", {**value, "written": differing})


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text


def _write(path: Path, text: str) -> None:
    """Whole or not at all: whoever reads it meanwhile has the old one."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise ConfigurationError(f"cannot write {path}: {error.strerror}; make it writable, or use --check") from error


@migrate.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a contract is not what the named SQL needs.")
@json_option
def contracts(check: bool, as_json: bool) -> None:
    """Generate what each service reads and writes: services/*/contract.json."""

    async def work() -> Report:
        generated = await generate.generate(scratch_server())
        stale = generate.differing(generated)
        names = [str(path.relative_to(generate.ROOT)) for path in stale]
        if check and stale:
            sentence = f"{', '.join(names)} is not what the named SQL needs; run `make contracts` and commit it"
            return Report(sentence, {"differing": names}, FAILED)
        for path in stale:
            _write(path, generated[path])
        return Report(f"wrote {', '.join(names)}" if stale else "every contract is current", {"written": names})

    answer(work(), as_json)


@migrate.command()
@click.option("--base", metavar="REVISION", help="Also fail files that sort before what this revision has (git).")
@json_option
def lint(base: str | None, as_json: bool) -> None:
    """Say what a migration does that is allowed and unwise: locks, rewrites, what breaks running services."""

    async def work() -> Report:
        return await linted(SchemaSettings().dir, scratch_server(), base)

    answer(work(), as_json)


async def linted(folder: Path, server_dsn: str, base: str | None = None) -> Report:
    """Read the folder's migrations, and try them. Raises ConfigurationError for a revision that git has not."""
    read = migrations.read(folder)
    scripts = [read_script(migration.filename, migration.text) for migration in read]
    late = (
        findings.late_merged(migrations_at(base, folder), [each.filename for each in read]) if base is not None else []
    )
    async with scratch_session(server_dsn) as scratch:
        locks = await find_locks(scratch.connection, scripts, scratch.roles)
    judged = findings.judge([*late, *find_unwise(scripts), *locks], scripts)
    if not any(finding.rule == "does-not-apply" for finding in locks):
        breaks = expand_and_contract(await on_server(server_dsn)(read), scripts)
        judged = findings.Judged(sorted([*judged.open, *breaks.open]), sorted([*judged.accepted, *breaks.accepted]))
    return _linted(judged, len(scripts))


def _linted(judged: findings.Judged, count: int) -> Report:
    accepted = [f"{f.place}: {f.rule}, accepted: {reason}" for f, reason in judged.accepted]
    value = {
        "findings": [asdict(finding) for finding in judged.open],
        "accepted": [{**asdict(finding), "reason": reason} for finding, reason in judged.accepted],
    }
    lines = [*(str(finding) for finding in judged.open), *accepted]
    if not judged.open:
        lines.append(f"{count} migrations, nothing to say against them")
    return Report("\n".join(lines), value, FAILED if judged.open else OK)
