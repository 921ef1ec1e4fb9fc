"""What an acked message survives, said at start: JetStream acks before its disk has it (sync_interval of the server).

Sync stands on that being shorter than `confirm_delay`: what a power cut takes of the bus, Postgres then still has.
"""

import structlog
from nats.js import JetStreamContext

from medley.contracts import streams
from medley.runtime.settings import NatsSettings

log = structlog.get_logger()

_SECONDS = 2.0
_DEFAULT = 120.0  # seconds; what a server does that was told nothing


async def told(js: JetStreamContext, nats: NatsSettings, delay: float) -> None:
    """Look, and say it. Where the server's monitoring is not reachable, say what is needed of it."""
    replicas = (await js.stream_info(streams.CHANGES.name)).config.num_replicas or 1
    interval = await _sync_interval(nats.monitoring_url) if nats.monitoring_url else None
    if interval is None:
        log.info(
            "an acked change survives a kill of NATS; a power cut, if its sync_interval is below SYNC_CONFIRM_DELAY",
            confirm_delay=delay,
            replicas=replicas,
            monitoring="NATS_MONITORING_URL does not tell" if nats.monitoring_url else "NATS_MONITORING_URL is not set",
        )
    elif interval < delay:
        log.info(
            "an acked change survives a kill and a power cut of NATS: Postgres keeps what its disk may lack",
            sync_interval=interval,
            confirm_delay=delay,
            replicas=replicas,
        )
    else:
        log.error(
            "a power cut of NATS can take changes that Postgres has forgotten: every shape would start afresh then. "
            "Set sync_interval in the server's jetstream block below SYNC_CONFIRM_DELAY",
            sync_interval=interval,
            confirm_delay=delay,
            replicas=replicas,
        )


async def _sync_interval(url: str) -> float | None:
    """Seconds, as `/varz` of the server's monitoring says; None when it does not answer."""
    import httpx  # a twentieth of what sync imports, and few tell it where the monitoring is

    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
            config = (await http.get(f"{url.rstrip('/')}/varz")).json()["jetstream"]["config"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None
    if config.get("sync_always"):
        return 0.0
    return float(config["sync_interval"]) / 1e9 if "sync_interval" in config else _DEFAULT
