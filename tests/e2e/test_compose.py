"""The full stack in Docker: `docker compose up --wait`, three workers, a folder in, its rows out."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from medley.cli.embedded.ports import free_port
from medley.cli.settings import environment
from tests.support import stacks

ROOT = stacks.SAMPLES.parent
PROJECT = "medley-test"

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


class Compose:
    """`docker compose …` on a project and ports of our own."""

    def __init__(self) -> None:
        self.api = free_port()
        self.env = {**environment(), "API_PORT": str(self.api), "NATS_PORT": str(free_port()), "API_SECRET": ""}

    def __call__(self, *arguments: str, check: bool = True) -> str:
        command = ["docker", "compose", "--project-name", PROJECT, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=600, check=False)
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine answers `docker info`")
    compose = Compose()
    try:
        compose("up", "--build", "--wait", "--scale", "ingest=3")
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "5", check=False)


def test_everything_is_well_with_three_workers(compose: Compose) -> None:
    assert stacks.is_active(f"http://127.0.0.1:{compose.api}")
    listed = [json.loads(line) for line in compose("ps", "--all", "--format", "json").splitlines()]
    states = {(each["Service"], each["State"], each["ExitCode"]) for each in listed}
    running = {(name, "running", 0) for name in ("postgres", "nats", "s3", "ingest", "sync", "api")}
    assert states == running | {("migrator", "exited", 0)}
    assert [each["Service"] for each in listed].count("ingest") == 3


def test_files_go_in_and_rows_come_out(compose: Compose) -> None:
    asked = compose("exec", "-T", "ingest", "medley", "ingest", "--json", "/media", check=False)
    states = {job["file"].rsplit("/", 1)[-1]: job["state"] for job in json.loads(asked)}
    assert states["night-ferry.mp3"] == "done" and states["broken-tape.flac"] == "failed"
    rows = compose("exec", "-T", "ingest", "medley", "tail", "songs", "--once", "--json")
    songs = [message["value"]["title"] for message in map(json.loads, rows.splitlines()) if "value" in message]
    assert len(songs) == 7 and "Night Ferry" in songs


def test_ports_are_published_on_loopback_only(compose: Compose) -> None:
    published = {
        each["URL"]
        for line in compose("ps", "--format", "json").splitlines()
        for each in json.loads(line)["Publishers"] or []
        if each["PublishedPort"]
    }
    assert published == {"127.0.0.1"}
