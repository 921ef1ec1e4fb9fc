"""Reading a key-value bucket whole, and whether it has a key.

The client library's `keys()`, and the end of a watcher's first entries, can come too early: both ask how many messages
are left, when these may have been sent already and not been taken in yet. Then a bucket seems to be empty that is not.
"""

from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from medley.contracts.streams import Bucket

_BATCH = 500
_SECONDS = 5.0
_GONE = "KV-Operation"


async def entries(js: JetStreamContext, bucket: Bucket) -> dict[str, bytes]:
    """Every key that the bucket holds now, with its value. Raises nats.errors.Error when the bus does not answer."""
    prefix = f"$KV.{bucket.name}."
    subscription = await js.pull_subscribe(
        f"{prefix}>",
        stream=f"KV_{bucket.name}",
        config=ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=30,
        ),
    )
    found: dict[str, bytes] = {}
    try:
        # Nothing is sent before it is fetched: so this is all there is, but for what is deleted meanwhile.
        while left := (await subscription.consumer_info()).num_pending:
            while left:
                try:
                    messages = await subscription.fetch(min(left, _BATCH), timeout=_SECONDS)
                except NatsTimeout:
                    break
                left = messages[-1].metadata.num_pending
                for message in messages:
                    deleted = (message.headers or {}).get(_GONE) is not None
                    if deleted:
                        found.pop(message.subject, None)
                    else:
                        found[message.subject] = message.data
    finally:
        await subscription.unsubscribe()
    return {subject.removeprefix(prefix): text for subject, text in found.items()}


async def holds(js: JetStreamContext, bucket: Bucket, key: str) -> bool:
    """Whether it has the key now. Raises nats.errors.Error when the bus does not answer."""
    try:
        last = await js.get_last_msg(f"KV_{bucket.name}", f"$KV.{bucket.name}.{key}")
    except NotFoundError:
        return False
    return (last.headers or {}).get(_GONE) is None
