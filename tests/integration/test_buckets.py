"""A bucket is read whole, however busy the bus is: none of its keys is left out."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client
from nats.js.kv import KeyValue

from medley.contracts.streams import Bucket
from medley.runtime import buckets, bus


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    connection = await nats.connect(nats_url)
    yield connection
    await connection.close()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(f"test_{secrets.token_hex(4)}", "<any>")


async def _filled(client: Client, bucket: Bucket, count: int) -> KeyValue:
    made = await bus.ensure_bucket(client.jetstream(), bucket)
    await asyncio.gather(*(made.put(f"key{number}", f"{number}".encode()) for number in range(count)))
    return made


async def test_every_key_for_many_readers_at_once(client: Client, bucket: Bucket) -> None:
    """The library's own list is now and then empty, when the server's answers overtake each other."""
    await _filled(client, bucket, 150)
    wanted = {f"key{number}": f"{number}".encode() for number in range(150)}
    readings = await asyncio.gather(*(buckets.entries(client.jetstream(), bucket) for _ in range(40)))
    assert all(found == wanted for found in readings)


async def test_more_than_one_batch_and_the_newest_of_each(client: Client, bucket: Bucket) -> None:
    made = await _filled(client, bucket, 1_200)
    await made.put("key7", b"again")
    await made.delete("key8")
    await made.purge("key9")
    found = await buckets.entries(client.jetstream(), bucket)
    assert len(found) == 1_198 and found["key7"] == b"again" and not {"key8", "key9"} & found.keys()


async def test_an_empty_bucket(client: Client, bucket: Bucket) -> None:
    await bus.ensure_bucket(client.jetstream(), bucket)
    assert await buckets.entries(client.jetstream(), bucket) == {}
