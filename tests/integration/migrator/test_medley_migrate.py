"""`medley migrate …`: the migrator's commands, with the servers found for them, and nothing left when they end."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from medley.cli.home import Home
from tests.integration.migrator.init_files import answers, apply
from tests.support.databases import MakeDatabase
from tests.support.library import until
from tests.support.migrator import Done

ROOT = Path(__file__).resolve().parents[3]
SONGS = "CREATE TABLE songs (id int PRIMARY KEY, title text NOT NULL);\n"
NOWHERE = "postgresql://postgres@127.0.0.1:9/medley"
_SERVERS = ("POSTGRES_DSN", "MIGRATE_SCRATCH_DSN", "NATS_URL")


class Medley:
    """The command in a folder of its own, with a folder for what is temporary."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.schema, self.temporary = folder / "schema", folder / "temporary"
        self.schema.mkdir(parents=True)
        self.temporary.mkdir()

    def add(self, text: str) -> None:
        (self.schema / f"16000000{len(list(self.schema.iterdir())):02}_words.sql").write_text(text)

    async def start(self, *arguments: str, **env: str) -> asyncio.subprocess.Process:
        inherited = {name: value for name, value in os.environ.items() if name not in _SERVERS}
        told = {"SCHEMA_DIR": str(self.schema), "TMPDIR": str(self.temporary), "POSTGRES_WAIT_SECONDS": "1"}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "medley.cli", "migrate", *arguments),
            cwd=self.folder,
            env={**inherited, **told, "PYTHONPATH": str(ROOT), **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *arguments: str, **env: str) -> Done:
        process = await self.start(*arguments, **env)
        out, err = await process.communicate()
        assert process.returncode is not None and b"Traceback" not in err, err.decode()
        self.has_left_nothing()
        return Done(process.returncode, out.decode(), err.decode())

    def has_left_nothing(self) -> None:
        assert list(self.temporary.iterdir()) == []
        assert self.processes() == []

    def processes(self) -> list[psutil.Process]:
        """Whatever runs on our temporary folder."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(self.temporary) in word for word in process.info["cmdline"] or ())
        ]


@pytest.fixture
def medley(tmp_path: Path) -> Medley:
    return Medley(tmp_path)


@pytest_asyncio.fixture
async def database(new_database: MakeDatabase) -> str:
    return await new_database()


@pytest.fixture
def home(tmp_path: Path, database: str) -> Iterator[str]:
    """A home on which a stack runs, as far as a command can see."""
    home = Home(tmp_path / "home")
    with home.lock():
        home.keep_state({"ready": True, "postgres": database, "nats": "nats://127.0.0.1:9"})
        yield str(home.path)


async def test_files_are_compiled_and_linted_with_no_server_anywhere(medley: Medley) -> None:
    medley.add(SONGS)
    compiled = await medley("compile", "--json", POSTGRES_DSN=NOWHERE)
    assert compiled.code == 0 and compiled.value["written"] == ["bundle.json", "bundle.schema.json", "init.sql"]
    medley.add("ALTER TABLE songs DROP title;")
    linted = await medley("lint")
    assert linted.code == 1 and "1600000004_words.sql:1:24: reader-breaking" in linted.out


async def test_a_database_is_verified_with_a_scratch_server_of_its_own(medley: Medley, database: str) -> None:
    medley.add(SONGS)
    await apply(database, medley.schema)
    await answers(database, "ALTER TABLE songs ADD COLUMN hand int")
    drift = await medley("verify", "--json", POSTGRES_DSN=database)
    assert drift.code == 5 and drift.value["differences"] == ["+ column public.songs.hand integer"]


async def test_the_scratch_server_can_be_named(medley: Medley, postgres_server: str) -> None:
    medley.add(SONGS)
    done = await medley("compile", MIGRATE_SCRATCH_DSN=postgres_server, PATH="/nowhere")
    assert done.code == 0, done
    left = "SELECT datname FROM pg_database WHERE datname LIKE 'medley_scratch_%'"
    assert await answers(postgres_server, left) == [[]]
    refused = await medley("lint", "--json", MIGRATE_SCRATCH_DSN=postgres_server.replace("postgres:", "nobody:"))
    assert refused.code == 1 and "nobody" in refused.value["error"] and "MIGRATE_SCRATCH_DSN" in refused.err


async def test_the_home_is_named_before_or_after_the_command(medley: Medley, home: str) -> None:
    medley.add(SONGS)
    calls = (("--home", home, "--json", "status"), ("status", "--json", f"--home={home}"))
    processes = [await medley.start(*call) for call in calls]
    said = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [3, 3]
    assert said[0] == said[1] and b'"pending": ["1600000000_words.sql"]' in said[0][0]


async def test_what_is_asked_for_in_another_way_is_told(medley: Medley) -> None:
    calls: dict[tuple[str, ...], tuple[int, str]] = {
        (): (0, "Exit codes: 0 all is well"),
        ("compile", "--help"): (0, "--check"),
        ("nonsense",): (2, "No such command 'nonsense'"),
        ("status",): (1, "medley is not running on"),
        ("new", "add year", "--nonsense"): (2, "No such option"),
        ("new", "add year"): (0, "_add_year.sql"),
    }
    processes = [await medley.start(*call) for call in calls]
    for process, (call, (code, words)) in zip(processes, calls.items(), strict=True):
        out, err = await process.communicate()
        assert process.returncode == code and words in (out + err).decode(), (call, out, err)
    medley.has_left_nothing()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


async def _interrupted(folder: Path, number: signal.Signals) -> None:
    """In the middle of a migration, on a server of its own."""
    medley = Medley(folder)
    medley.add("SELECT pg_sleep(600);")
    process = await medley.start("compile")

    async def is_there() -> bool:
        return any("medley_scratch_" in title for title in map(_title, psutil.Process(process.pid).children(True)))

    await until(is_there, "a session on a scratch database")
    tree = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, err = await process.communicate()
    assert process.returncode and b"stopping in order" in err and b"Traceback" not in err
    assert not [each for each in tree if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    medley.has_left_nothing()


async def test_a_signal_ends_all_of_it(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    await asyncio.gather(*(_interrupted(tmp_path / number.name, number) for number in numbers))


async def test_a_signal_while_the_server_is_starting_ends_it(medley: Medley) -> None:
    medley.add(SONGS)
    process = await medley.start("lint")

    async def is_there() -> bool:
        return bool(list(medley.temporary.iterdir()))

    await until(is_there, "a folder for a server")
    process.terminate()
    out, err = await process.communicate()
    assert (process.returncode, out) == (130, b"") and b"Traceback" not in err
    medley.has_left_nothing()
