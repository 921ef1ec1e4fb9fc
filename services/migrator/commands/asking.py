"""`gate`: the answer that a service would get, for people, probes and deployment scripts."""

import asyncio
import json
from pathlib import Path

from medley.gate.findings import Role
from medley.gate.gate import ask, unreadable
from medley.gate.judge import EXIT_CODES, Answer, Build
from medley.gate.needs import load
from medley.gate.shipped import Shipped, shipped
from medley.runtime import postgres
from medley.runtime.errors import ConfigurationError, Unavailable
from medley.runtime.settings import PostgresSettings
from services.migrator.commands.report import Report

SERVICES = Path(__file__).resolve().parents[2]


def build_of(folder: Path, service: str | None, contract: Path | None, role: Role | None) -> Build:
    """Who asks: a service or a contract with both its roles or one of them; a bundle; or a role alone."""
    if service is not None:
        contract = SERVICES / service / "contract.json"
        if not contract.is_file():
            names = ", ".join(sorted(path.parent.name for path in SERVICES.glob("*/contract.json")))
            raise ConfigurationError(f"{service} has no contract; those that have one are {names}")
    roles: tuple[Role, ...] = (role,) if role else ("reader", "writer")
    if contract is None:
        return Build(shipped(folder), None, roles)
    history = _history_of_bundle(contract)
    if history is not None:
        return Build(history, None, (role or "replica",))
    return Build(shipped(folder), load(contract), roles)


def _history_of_bundle(path: Path) -> tuple[Shipped, ...] | None:
    try:
        value = json.loads(path.read_bytes())
        return tuple(Shipped(each["filename"], each["checksum"]) for each in value["migrations"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def answer(settings: PostgresSettings, build: Build, timeout: float) -> Answer:
    """The first answer that waiting would not change, or the last one after `timeout` seconds (0: the first)."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        left = deadline - loop.time()
        given = await _once(settings, build, max(left, 1))
        if given.verdict not in ("behind", "unreachable") or left <= 0:
            return given
        await asyncio.sleep(min(0.25, left))


async def _once(settings: PostgresSettings, build: Build, within: float) -> Answer:
    try:
        connection = await postgres.connect(settings.dsn.get_secret_value(), within, "medley-gate")
        try:
            return (await ask(connection, build)).answer
        finally:
            await connection.close()
    except Unavailable as error:
        return Answer("unreachable", str(error))
    except ConfigurationError as error:
        return Answer("unreachable", str(error))
    except postgres.FAILURES as error:
        return Answer("unreachable", unreadable(error))


def report(given: Answer) -> Report:
    """`verdict: sentence`, and the verdict's exit code."""
    value = {"verdict": given.verdict, "sentence": given.sentence, "open": given.is_open}
    return Report(f"{given.verdict}: {given.sentence}", value, EXIT_CODES[given.verdict])
