"""The README's way in for any language: its snippets, as they stand there, against a running stack."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support import web
from tests.support.library import until
from tests.support.stacks import SAMPLES, Up

ROOT = Path(__file__).resolve().parents[2]


def snippets() -> dict[str, Any]:
    """What the README's Python blocks define."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        exec(block, names)  # noqa: S102 - our own README
    return names


async def test_a_job_is_published_and_its_song_followed_with_a_nats_client(stack: Up) -> None:
    info = stack.info()
    defined = snippets()
    path = Path(SAMPLES) / "night-ferry.mp3"
    songs: AsyncIterator[tuple[str, str, dict[str, str]]] = defined["songs"](info["nats"])
    job = await defined["main"](info["nats"], str(path))
    UUID(job)
    async with web.client(base_url=info["api"]) as http:

        async def done() -> bool:
            answer = await http.get(f"/v1/ingest/{job}")
            return answer.status_code == 200 and answer.json()["state"] in ("done", "failed")

        await until(done, "the job is done")
        row = (await http.get(f"/v1/ingest/{job}")).json()
    assert row["state"] == "done", row
    async with asyncio.timeout(30):
        async for _, operation, song in songs:
            if operation == "insert" and song["id"] == row["song_id"]:
                assert song["title"] == "Night Ferry"
                return


async def test_a_shape_is_followed_with_curl(stack: Up) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    address = re.search(r"curl -i '(http://127.0.0.1:3000/v1/shape\S+offset=-1)'", (ROOT / "README.md").read_text())
    assert address
    url = address.group(1).replace("http://127.0.0.1:3000", stack.info()["api"])
    answer = await asyncio.to_thread(subprocess.run, [curl, "-sf", url], capture_output=True, check=True)
    assert json.loads(answer.stdout)[-1]["headers"]["control"] == "snapshot-end"
