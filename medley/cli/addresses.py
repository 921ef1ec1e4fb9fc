"""Where a command finds the API and the bus: what it was told, else the environment, else the running home."""

from dataclasses import dataclass
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from medley.cli.home import Home
from medley.cli.settings import CliSettings
from medley.runtime.bus import shown
from medley.runtime.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Addresses:
    api: str
    nats: str
    secret: str | None = None


def find(home: Path, api: str | None = None, bus: str | None = None) -> Addresses:
    """Both addresses. Raises ConfigurationError when one is missing and the home does not run."""
    settings = CliSettings()
    api = api or settings.api_url
    bus = bus or (settings.nats_url.get_secret_value() if settings.nats_url else None)
    if api is None or bus is None:
        state = Home(home).running()
        api, bus = api or state["api"], bus or state["nats"]
    secret = settings.api_secret.get_secret_value() if settings.api_secret else None
    return Addresses(api, bus, secret)


async def bus_client(url: str) -> Client:
    """A connection to the bus. Raises Unavailable."""

    async def quiet(error: Exception) -> None:
        """It reconnects by itself; a traceback on the screen helps nobody."""

    try:
        return await nats.connect(url.split(","), name="medley-cli", connect_timeout=3, error_cb=quiet)
    except (OSError, NatsError, TimeoutError) as error:
        raise Unavailable(f"no NATS server at {shown([url])} ({error!r}); start it, or correct --nats") from error
