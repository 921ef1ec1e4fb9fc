"""Fresh databases on a test server, and a bus with nothing on it."""

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats

MakeDatabase = Callable[[], Awaitable[str]]


async def make_database(server: str) -> str:
    """The owner's address of a new, empty database."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(server)
    try:
        # Its files are copied: pages by way of the log are 7 MB of shared memory and 7 MB of log, for each of hundreds.
        await connection.execute(f'CREATE DATABASE "{name}" STRATEGY FILE_COPY')
    finally:
        await connection.close()
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


async def drop_database(dsn: str) -> None:
    """Drop it with its replication slots and whoever is still connected."""
    name = urlsplit(dsn).path.lstrip("/")
    connection = await asyncpg.connect(urlunsplit(urlsplit(dsn)._replace(path="/postgres")))
    try:
        slots = await connection.fetch(
            "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = $1", name
        )
        for slot in slots:
            if slot["active_pid"]:
                await connection.execute("SELECT pg_terminate_backend($1, 5000)", slot["active_pid"])
            await connection.execute("SELECT pg_drop_replication_slot($1)", slot["slot_name"])
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def clear_bus(url: str) -> None:
    """Delete every stream, and with them every bucket and consumer."""
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        for stream in await js.streams_info():
            await js.delete_stream(stream.config.name or "")
    finally:
        await client.close()
