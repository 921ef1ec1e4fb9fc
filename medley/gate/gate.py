"""The gate of a running service: it serves while the schema fits, and says why when it does not.

Postgres is the truth, and is asked: at the start, when the migrator puts its outcome on the bus, every
`SCHEMA_RECHECK_SECONDS`, and after a lost session. So a migrator that dies before it tells anybody, a change by hand
and a restored database are noticed, too.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import asyncpg
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError

from medley.contracts.schema import SchemaState
from medley.contracts.streams import SCHEMA_BUCKET
from medley.gate import catalogue, ledger
from medley.gate.judge import Answer, Build, judge
from medley.gate.records import Ledger
from medley.runtime import bus, postgres
from medley.runtime.errors import Incompatible, MedleyError, Unavailable
from medley.runtime.process import Stopped, unless_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from medley.runtime.together import ended

log = structlog.get_logger()

_TOLD = f"$KV.{SCHEMA_BUCKET.name}.current"  # a bucket's entry is a message, too
_POLL_SECONDS = 0.25
_LOOK_SECONDS = 30.0
_STOP_SECONDS = 30.0


class Look(NamedTuple):
    """What one look found: ledger and catalogue of one moment, and what follows for the build that asked."""

    answer: Answer
    ledger: Ledger
    fingerprint: str


async def ask(connection: asyncpg.Connection, build: Build, failure: str | None = None) -> Look:
    """Look once; again where a migration dropped what was just being read. Raises TimeoutError on a dead session."""
    async with asyncio.timeout(_LOOK_SECONDS):
        for _ in range(5):
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    found, live = await ledger.read(connection), await catalogue.read(connection)
                break
            except catalogue.RACED:
                continue
        else:
            raise TimeoutError("the schema changes faster than it can be read")
    return Look(judge(build, found, live, failure), found, live.fingerprint)


def unreadable(error: BaseException) -> str:
    """Why there is no answer: nobody there, or somebody who refuses."""
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"Postgres refuses: {error}; needed: to read the ledger. GRANT SELECT ON schema_versions to this role"
    return f"Postgres does not answer: {error or type(error).__name__}"


class Gate:
    """The answer for one build, kept true while `keep` runs. `last` is the last look that the database answered."""

    def __init__(self, service: str, build: Build, dsn: PostgresSettings, schema: SchemaSettings) -> None:
        self.answer = Answer("unreachable", "the database has not been asked yet")
        self.last: Look | None = None
        self._service = service
        self._build = build
        self._dsn = dsn
        self._schema = schema
        self._connection: asyncpg.Connection | None = None
        self._failure: str | None = None
        self._told = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def closed(self) -> str | None:
        """Why nothing is served; None while it is open."""
        return None if self.answer.is_open else f"schema {self.answer.verdict}: {self.answer.sentence}"

    async def opened(self, patient: bool = True) -> None:
        """Return once the schema fits. An impatient caller is not kept waiting where waiting does not help.

        Raises Unavailable after `SCHEMA_WAIT_SECONDS` (0: never), and Incompatible to the impatient.
        """
        try:
            async with asyncio.timeout(self._schema.wait_seconds or None):
                while not self.answer.is_open:
                    if self.answer.verdict == "incompatible" and not patient:
                        raise Incompatible(f"the schema is incompatible: {self.answer.sentence}")
                    await self._next()
        except TimeoutError:
            raise Unavailable(f"the schema did not become compatible: {self.answer.sentence}") from None

    async def shut(self) -> None:
        """Return once it does not."""
        while self.answer.is_open:
            await self._next()

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def told(self, state: SchemaState) -> None:
        """A migrator has ended its run: look at once."""
        self._failure = state.reason
        self._told.set()

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._told.clear()
            began = asyncio.get_running_loop().time()
            self._take(await self._look())
            took = asyncio.get_running_loop().time() - began
            # A schema of thousands of tables takes a second to read: no more than a part of the time goes into that.
            pause = max(self._schema.recheck_seconds, 10 * took) if self.answer.is_open else max(_POLL_SECONDS, took)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._told.wait()

    def _take(self, answer: Answer) -> None:
        """A database that does not answer says nothing about its schema: the last answer stands."""
        if answer == self.answer or (answer.verdict == "unreachable" and self.answer.is_open):
            return
        self.answer = answer
        if not answer.is_open:
            log.warning("gate closed", verdict=answer.verdict, reason=answer.sentence)
        elif answer.verdict == "drift":
            log.warning("gate open", verdict=answer.verdict, reason=answer.sentence)
        else:
            log.info("gate open", verdict=answer.verdict, schema=answer.sentence)
        self._changed.set()

    async def _look(self) -> Answer:
        try:
            if self._connection is None or self._connection.is_closed():
                dsn = self._dsn.dsn.get_secret_value()
                self._connection = await postgres.connect(
                    dsn, self._dsn.wait_seconds, f"medley-{self._service}-gate", statement_timeout="30000"
                )
            self.last = await ask(self._connection, self._build, self._failure)
            return self.last.answer
        except (MedleyError, *postgres.FAILURES) as error:
            if isinstance(error, MedleyError) and self.last is None:
                raise  # it never answered at all: what to correct is for the one who starts us
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            return Answer("unreachable", unreadable(error))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()


@asynccontextmanager
async def keeping(
    service: str,
    build: Build,
    dsn: PostgresSettings,
    nats: NatsSettings,
    schema: SchemaSettings,
    stop: asyncio.Event,
) -> AsyncIterator[tuple[Gate, asyncio.Task[None]]]:
    """A gate that is kept, and the task that keeps it (it ends by a failure only). Raises Stopped when `stop` is set
    before the bus is there."""
    gate = Gate(service, build, dsn, schema)
    client = await unless_stopped(stop, bus.connect(nats, f"{service}-gate"))
    keeper: asyncio.Task[None] | None = None
    try:

        async def told(message: Msg) -> None:
            with suppress(ValueError):
                gate.told(SchemaState.model_validate_json(message.data))

        await client.subscribe(_TOLD, cb=told)
        with suppress(NatsError, KeyNotFoundError, TimeoutError, ValueError):
            bucket = await bus.ensure_bucket(client.jetstream(), SCHEMA_BUCKET)
            gate.told(SchemaState.model_validate_json((await bucket.get("current")).value or b""))
        keeper = asyncio.create_task(gate.keep(), name="gate")
        yield gate, keeper
    finally:
        if keeper is not None:
            await ended([keeper])
        gate.close()
        await bus.close(client)


async def guard(
    gate: Gate, keeper: asyncio.Task[None], stop: asyncio.Event, serve: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Serve whenever the gate is open, until `stop`; `serve(closing)` ends in order once `closing` is set.

    A service that starts stops at once where waiting would not help: raises Incompatible. One that runs when its schema
    goes stops serving, and takes up again if the schema comes back.
    """
    patient = False
    while not stop.is_set():
        await unless_stopped(stop, _either(gate.opened(patient), keeper))
        patient = True
        closing = asyncio.Event()
        serving = asyncio.ensure_future(serve(closing))
        shut, stopping = asyncio.ensure_future(gate.shut()), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({serving, shut, stopping, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if keeper.done():
                keeper.result()
            if serving.done():
                return serving.result()
            if shut.done() and not stop.is_set():
                log.error("serving stops: the schema does not fit any more", reason=gate.answer.sentence)
            closing.set()
            await asyncio.wait({serving}, timeout=None if stop.is_set() else _STOP_SECONDS)
            with suppress(Stopped):
                if serving.done():
                    serving.result()
        finally:
            for task in (serving, shut, stopping):
                task.cancel()
            await asyncio.gather(serving, shut, stopping, return_exceptions=True)
    return None


async def _either(work: Awaitable[None], keeper: asyncio.Task[None]) -> None:
    """`work`, unless the keeper fails first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, keeper}, return_when=asyncio.FIRST_COMPLETED)
        if keeper.done():
            keeper.result()
        await task
    finally:
        task.cancel()
