"""Upgrades without a stop, in both orders: the schema first, or the services first; and one that goes wrong."""

import asyncio
import json
import shutil
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from medley.cli.embedded.ports import free_port
from medley.runtime.settings import SchemaSettings
from tests.support import web
from tests.support.databases import MakeDatabase, clear_bus
from tests.support.library import Follower, Library, rows_of, running_library, until

YEAR = "1900000000_songs_have_a_year.sql"
RENAME = "1900000100_jobs_call_it_name.sql"
MEND = "1900000200_jobs_call_it_filename_again.sql"


@pytest_asyncio.fixture
async def old(new_database: MakeDatabase, nats_url: str, tmp_path: Path) -> AsyncIterator[Library]:
    """A library whose services ship the migrations of today, from a folder of their own."""
    await clear_bus(nats_url)
    today = tmp_path / "old"
    shutil.copytree(SchemaSettings().dir, today)
    shutil.copytree(SchemaSettings().dir, tmp_path / "new")
    health = {"HEALTH_PORT": "0", "SCHEMA_DIR": str(today), "SCHEMA_RECHECK_SECONDS": "300"}  # they must be told
    async with running_library(await new_database(), nats_url, tmp_path, **health) as library:
        yield library


async def migrate(library: Library, folder: Path, **files: str) -> int:
    """A migrator of the new build, with these files on top."""
    for name, text in files.items():
        (folder / "new" / name).write_text(text)
    await library.start("migrator", SCHEMA_DIR=str(folder / "new"))
    return await library.processes.pop("migrator").wait()


async def start_ingest(library: Library, name: str = "ingest", **env: str) -> str:
    """Ingest under this name; the address of its health."""
    port = free_port()
    await library.start(name, "ingest", HEALTH_PORT=str(port), INGEST_ALLOWED_FOLDERS=str(library.logs), **env)
    return f"http://127.0.0.1:{port}/healthz"


async def health(url: str) -> tuple[int, dict[str, Any]]:
    async with web.client() as http:
        try:
            answer = await http.get(url)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()


async def is_well(url: str) -> None:
    async def well() -> bool:
        return (await health(url))[0] == 200

    await until(well, f"{url} is well")


async def job(library: Library, text: str) -> dict[str, Any]:
    """Publish a job through the API; what became of it."""
    path = library.logs / f"{uuid.uuid4()}.txt"
    path.write_text(text)
    async with web.client(base_url=library.api) as http:
        answer = await http.post("/v1/ingest", json={"source": {"kind": "path", "path": str(path)}})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = {}

        async def done() -> bool:
            found.update((await http.get(f"/v1/ingest/{answer.json()['job_id']}")).json())
            return found.get("state") in ("done", "failed")

        await until(done, "the job is done")
        return found


async def test_the_schema_first(old: Library, tmp_path: Path) -> None:
    """A compatible migration under running services: nothing stops, and new rows have the new column at once."""
    ingest = await start_ingest(old)
    await is_well(ingest)
    database = await old.connect()
    async with Follower(old.api, "media_blobs") as follower:
        assert (await job(old, "before"))["state"] == "done"
        assert await migrate(old, tmp_path, **{YEAR: "ALTER TABLE songs ADD COLUMN year integer;"}) == 0
        assert (await job(old, "after"))["state"] == "done"
        await follower.reaches(await rows_of(database, "media_blobs"))
    async with Follower(old.api, "songs") as songs:
        await songs.reaches(await rows_of(database, "songs"))
        assert all("year" in row for row in songs.copy.rows.values())
    assert (await health(ingest))[1]["schema"] == "compatible"
    assert all(process.returncode is None for process in old.processes.values())
    # The new build takes over, one service after the other.
    new = {"SCHEMA_DIR": str(tmp_path / "new")}
    await is_well(later := await start_ingest(old, "ingest2", **new))
    assert (await health(later))[1]["schema"] == "equal"
    await old.kill("ingest", signal.SIGTERM)
    assert (await job(old, "by the new one"))["state"] == "done"
    await database.close()


async def test_the_services_first(old: Library, tmp_path: Path) -> None:
    """New services wait behind an old schema while the old ones serve; the migrator opens their gate."""
    old_ingest = await start_ingest(old)
    await is_well(old_ingest)
    (tmp_path / "new" / YEAR).write_text("ALTER TABLE songs ADD COLUMN year integer;")
    new_ingest = await start_ingest(old, "ingest2", SCHEMA_DIR=str(tmp_path / "new"))

    async def behind() -> bool:
        code, said = await health(new_ingest)
        return code == 503 and f"needed {YEAR}" in said.get("schema", "")

    await until(behind, "the new service says what it waits for")
    assert (await job(old, "by the old one"))["state"] == "done"
    assert await migrate(old, tmp_path) == 0
    await is_well(new_ingest)
    await is_well(old_ingest)
    assert (await job(old, "by either"))["state"] == "done"


async def test_a_breaking_migration_stops_old_services_with_a_reason_and_a_mend_brings_them_back(
    old: Library, tmp_path: Path
) -> None:
    ingest = await start_ingest(old)
    await is_well(ingest)
    assert await migrate(old, tmp_path, **{RENAME: "ALTER TABLE ingest_jobs RENAME COLUMN filename TO name;"}) == 0

    async with web.client(base_url=old.api) as http:

        async def refused() -> bool:
            return (await http.get("/v1/shape?table=songs&offset=-1")).status_code == 503

        await until(refused, "the API stops serving")
        said = (await http.get("/v1/shape?table=songs&offset=-1")).json()["message"]
        assert "incompatible" in said and "public.ingest_jobs.filename" in said and "new migration" in said
        assert (await http.post("/v1/ingest", json={})).status_code == 503
        reason = (await http.get("/v1/health")).json()
        assert reason["status"] == "starting" and "public.ingest_jobs.filename" in reason["reason"]

    async def closed() -> bool:
        code, state = await health(ingest)
        return code == 503 and "public.ingest_jobs.filename" in state["schema"]

    await until(closed, "ingest stops serving")
    await old.start("late", "ingest")  # one that starts now is not kept waiting
    assert await asyncio.wait_for(old.processes.pop("late").wait(), 30) == 4
    last = (old.logs / "late.log").read_text().splitlines()[-1]
    assert "public.ingest_jobs.filename" in json.loads(last)["reason"]

    assert await migrate(old, tmp_path, **{MEND: "ALTER TABLE ingest_jobs RENAME COLUMN name TO filename;"}) == 0
    await old.active()
    await is_well(ingest)
    assert (await job(old, "again"))["state"] == "done"
    assert all(process.returncode is None for process in old.processes.values())
