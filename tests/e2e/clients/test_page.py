"""The page for users of Electric's clients: each snippet, as it stands there, shows a song that comes while it runs."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio

from medley.cli.embedded.ports import free_port
from tests.e2e.clients.programs import FOLDER, Program, running
from tests.support import web
from tests.support.library import Library, until

pytestmark = pytest.mark.node
PAGE = Path(__file__).resolve().parents[3] / "services" / "api" / "electric-clients.md"
ADDRESS, SECRET, PROXY = "http://127.0.0.1:3000", "change-me", "listen(4000"
SNIPPETS = [(kind, text) for kind, text in re.findall(r"```(jsx?)\n(.*?)```", PAGE.read_text(), re.DOTALL)]
OPEN = [snippet for snippet in SNIPPETS if SECRET not in snippet[1]]
MODES = re.findall(r"^\| `'(.*?)'` \|", PAGE.read_text(), re.MULTILINE)


async def program(node: str, folder: Path, kind: str, text: str) -> Path:
    """The snippet as a file beside the installed packages."""
    (folder / "node_modules").symlink_to(FOLDER / "node_modules")
    if kind == "jsx":
        pipe = asyncio.subprocess.PIPE
        compiler = await asyncio.create_subprocess_exec(node, "jsx.mjs", cwd=FOLDER, stdin=pipe, stdout=pipe)
        text = (await compiler.communicate(text.encode()))[0].decode()
        assert compiler.returncode == 0
    path = folder / "snippet.mjs"
    path.write_text(text)
    return path


async def add_song(connection: asyncpg.Connection) -> str:
    """A song that every snippet asks for; its title."""
    title = f"Song {secrets.token_hex(6)}"
    await connection.execute(
        "WITH blob AS (INSERT INTO media_blobs (sha256, size, mime, placement, verified_at)"
        " VALUES ($1, 1, 'audio/mpeg', 'inline', now()) RETURNING id)"
        " INSERT INTO songs (blob_id, title, artist, seconds) SELECT id, $2, 'Marit Solheim', 61 FROM blob",
        secrets.token_hex(32),
        title,
    )
    return title


async def follows(js: Program, connection: asyncpg.Connection, there: str) -> None:
    """It shows a song that was there before it, then one that comes."""
    await js.prints(there)
    await js.prints(await add_song(connection))


@pytest_asyncio.fixture(scope="module")
async def closed(library: Library) -> AsyncIterator[str]:
    """The address of an API with a secret, on the same library."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    await library.start("closed", "api", API_PORT=str(port), API_SECRET=SECRET)
    async with web.client() as http:

        async def active() -> bool:
            try:
                return bool((await http.get(f"{address}/v1/health")).json() == {"status": "active"})
            except httpx.TransportError:
                return False

        await until(active, "the API with a secret is active")
        assert (await http.get(f"{address}/v1/shape?table=songs&offset=-1")).status_code == 401
    yield address
    await library.kill("closed")


def test_the_page_has_what_is_run_here() -> None:
    assert [kind for kind, _ in SNIPPETS] == ["js", "js", "jsx", "js", "js", "js", "js"]
    assert MODES == ["eager", "progressive", "on-demand"]


@pytest.mark.parametrize("place", range(len(OPEN)), ids=["client", "sse", "react", "pglite", "tanstack"])
async def test_a_snippet_shows_a_song_that_comes(
    node: str, library: Library, connection: asyncpg.Connection, tmp_path: Path, place: int
) -> None:
    kind, text = OPEN[place]
    path = await program(node, tmp_path, kind, text.replace(ADDRESS, library.api))
    there = await add_song(connection)
    async with running(node, path, "--import", "./dom.mjs") as js:
        await follows(js, connection, there)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "eager"])
async def test_the_collection_in_its_other_modes(
    node: str, library: Library, connection: asyncpg.Connection, tmp_path: Path, mode: str
) -> None:
    (snippet,) = [text for _, text in OPEN if "syncMode" in text]
    text = snippet.replace(ADDRESS, library.api).replace("'eager'", f"'{mode}'")
    path = await program(node, tmp_path, "js", text)
    there = await add_song(connection)
    async with running(node, path) as js:
        await follows(js, connection, there)


async def test_the_secret_goes_in_a_header(
    node: str, closed: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    (snippet,) = [text for _, text in SNIPPETS if SECRET in text and PROXY not in text]
    path = await program(node, tmp_path, "js", snippet.replace(ADDRESS, closed))
    there = await add_song(connection)
    async with running(node, path) as js:
        await follows(js, connection, there)


@pytest.mark.parametrize("client", [0, 1], ids=["poll", "sse"])
async def test_a_browser_asks_the_proxy_and_has_no_secret(
    node: str, closed: str, connection: asyncpg.Connection, tmp_path: Path, client: int
) -> None:
    (snippet,) = [text for _, text in SNIPPETS if PROXY in text]
    port = free_port()
    for folder in ("proxy", "client"):
        (tmp_path / folder).mkdir()
    text = snippet.replace(ADDRESS, closed).replace(PROXY, f"listen({port}")
    proxy = await program(node, tmp_path / "proxy", "js", text)
    asking = OPEN[client][1].replace(ADDRESS, f"http://127.0.0.1:{port}")
    path = await program(node, tmp_path / "client", "js", asking)
    there = await add_song(connection)
    async with running(node, proxy), running(node, path) as js:
        await follows(js, connection, there)
    async with running(node, proxy), web.client() as http:

        async def refuses_another_table() -> bool:
            try:
                answer = await http.get(f"http://127.0.0.1:{port}/v1/shape?table=playlists&offset=-1")
            except httpx.TransportError:
                return False
            assert {tuple(each["headers"].get("relation", ("public", "songs"))) for each in answer.json()} == {
                ("public", "songs")
            }
            return True

        await until(refuses_another_table, "the proxy answers with its own shape")
