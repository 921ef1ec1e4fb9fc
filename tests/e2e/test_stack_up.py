"""`medley up`, and what the other commands say about it."""

import asyncio
import json
import socket
from pathlib import Path

import asyncpg
import nats
import psutil

from tests.support import stacks

PIDS = {"postgres", "nats", "s3", "ingest", "sync", "api"}


def test_info_says_where_everything_is(stack: stacks.Up) -> None:
    info = stack.info()
    assert set(info["pids"]) == PIDS
    assert all(psutil.pid_exists(pid) for pid in info["pids"].values())
    assert info["home"] == str(stack.home)
    assert stacks.is_active(info["api"])
    assert {"medley", "postgres", "nats", "s3"} <= set(info["versions"])

    async def use() -> None:
        connection = await asyncpg.connect(info["postgres"])
        await connection.execute("CREATE TABLE made_by_owner (id int PRIMARY KEY); DROP TABLE made_by_owner")
        await connection.close()
        client = await nats.connect(info["nats"])
        assert {"INGEST", "CHANGES", "SHAPES"} <= {each.config.name for each in await client.jetstream().streams_info()}
        await client.close()

    asyncio.run(use())


def test_nothing_listens_but_on_loopback(stack: stacks.Up) -> None:
    assert stacks.listening(stack.processes()) == {"127.0.0.1"}


def test_secrets_are_closed_to_others(stack: stacks.Up) -> None:
    for name in ("state.json", "keys.json"):
        assert (stack.home / name).stat().st_mode & 0o077 == 0


def test_status_is_an_exit_code(stack: stacks.Up) -> None:
    done = stacks.medley("status", "--home", stack.home, "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["well"] is True


def test_a_second_up_says_where_the_first_one_is(stack: stacks.Up) -> None:
    done = stacks.medley("up", "--home", stack.home, "--port", "0")
    assert done.returncode == 1
    assert "already running" in done.stderr and stack.ready()["api"] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = stacks.medley("up", "--home", tmp_path / "home", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port}" in done.stderr and "--port" in done.stderr and "Traceback" not in done.stderr


def test_info_without_a_stack_is_one_sentence(tmp_path: Path) -> None:
    done = stacks.medley("info", "--home", tmp_path / "nowhere", "--json")
    assert done.returncode == 1
    assert "not running" in done.stderr and not done.stdout


def test_migrate_status_lists_what_is_applied(stack: stacks.Up) -> None:
    shipped = sorted(path.name for path in (stacks.SAMPLES.parent / "schema").glob("[0-9]*.sql"))
    done = stacks.medley("migrate", "status", "--home", stack.home, "--json")
    assert [row["filename"] for row in json.loads(done.stdout)["applied"]] == shipped
    assert stacks.medley("migrate", "apply", "--home", stack.home).returncode == 0


def test_a_file_goes_in_and_its_row_comes_out(stack: stacks.Up) -> None:
    done = stacks.medley("ingest", "--home", stack.home, "--json", stacks.SAMPLES / "night-ferry.mp3")
    (job,) = json.loads(done.stdout)
    assert (done.returncode, job["state"], job["error"]) == (0, "done", None)
    where = ("--where", "id = $1", "--param", job["song_id"])
    rows = stacks.medley("tail", "songs", *where, "--once", "--json", "--home", stack.home)
    values = [message["value"] for message in map(json.loads, rows.stdout.splitlines()) if "value" in message]
    assert [value["title"] for value in values] == ["Night Ferry"]


def test_a_file_outside_the_allowed_folders_is_refused_to_who_is_elsewhere(stack: stacks.Up) -> None:
    info = stack.info()
    done = stacks.medley("ingest", "--api", info["api"], "--nats", info["nats"], "--json", Path(__file__))
    (job,) = json.loads(done.stdout)
    assert (done.returncode, job["state"]) == (1, "failed")
    assert "allowed" in job["error"]


def test_a_file_outside_the_allowed_folders_is_lent_by_who_runs_the_home(stack: stacks.Up) -> None:
    done = stacks.medley("ingest", "--home", stack.home, "--json", Path(__file__))
    (job,) = json.loads(done.stdout)
    assert (done.returncode, job["state"], job["error"], job["file"]) == (0, "done", None, __file__)
    assert list((stack.home / "inbox").iterdir()) == []


def test_tail_of_a_missing_table_is_one_sentence(stack: stacks.Up) -> None:
    done = stacks.medley("tail", "no_such_table", "--home", stack.home)
    assert done.returncode == 1
    assert "no_such_table" in done.stderr and "Traceback" not in done.stderr
