"""nginx for tests, with the configuration that we ship: from PATH, else unpacked from the system's Debian packages.

Nothing is installed: the packages lie in the user's cache folder, fetched once by one test run at a time, checked by
apt against its signed lists.
"""

import asyncio
import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from medley.cli.embedded.ports import free_port
from tests.support import web
from tests.support.library import until
from tests.support.servers import NotHere

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
_PACKAGES = ("nginx", "libpcre2-8-0")
_LINE = re.compile(
    r"\S+ (?P<status>\d+) (?P<cached>\S+) (?P<upstream>\S+) (?P<method>\S+) (?P<path>\S+)"
    r" table=(?P<table>\S*) offset=(?P<offset>\S*) handle=(?P<handle>\S*) live=(?P<live>\S*) cursor=(?P<cursor>\S*)"
)


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the access log, `-` where there is nothing. `cached`: nginx's word, such as HIT or MISS; `upstream`:
    what the origin answered."""

    status: str
    cached: str
    upstream: str
    method: str
    path: str
    table: str
    offset: str
    handle: str
    live: str
    cursor: str

    @property
    def asked_origin(self) -> bool:
        return self.upstream != "-"


@dataclass(frozen=True, slots=True)
class Nginx:
    """`asked`: how many requests were sent by table, counted by those who send them."""

    url: str
    folder: Path
    asked: Counter[str] = field(default_factory=Counter)

    def client(self) -> httpx.AsyncClient:
        async def count(request: httpx.Request) -> None:
            self.asked[request.url.params.get("table", "")] += 1

        return web.client(base_url=self.url, timeout=60, trust_env=False, event_hooks={"request": [count]})

    async def log(self, table: str) -> list[Logged]:
        """The lines about the table, once all that was asked is there: they are written after the answer is sent."""

        async def complete() -> bool:
            return len(self._lines(table)) >= self.asked[table]

        await until(complete, "every request is in the log")
        return self._lines(table)

    def _lines(self, table: str) -> list[Logged]:
        lines = (self.folder / "access.log").read_text().splitlines()
        logged = [Logged(**found.groupdict()) for found in map(_LINE.fullmatch, lines) if found is not None]
        return [line for line in logged if line.table == table]


@asynccontextmanager
async def running_nginx(origin: str, folder: Path) -> AsyncIterator[Nginx]:
    """In front of the origin's URL, in a folder of its own. Raises NotHere."""
    program, environment = await asyncio.to_thread(_program)
    port = free_port()
    configuration = await asyncio.to_thread(_configured, folder, origin.removeprefix("http://"), port)
    user = ["-g", "daemon off; user root;"] if os.geteuid() == 0 else ["-g", "daemon off;"]
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log"), *user, env=environment
    )
    try:
        await _answers(f"http://127.0.0.1:{port}", process, folder)
        yield Nginx(f"http://127.0.0.1:{port}", folder)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _configured(folder: Path, origin: str, port: int) -> Path:
    """The configuration that we ship, with these two addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    text = CONFIGURATION.read_text()
    for address, other in (("127.0.0.1:3000", origin), ("127.0.0.1:8080", f"127.0.0.1:{port}")):
        assert text.count(address) == 1, f"{address} in {CONFIGURATION}"
        text = text.replace(address, other)
    (folder / "nginx.conf").write_text(text)
    return folder / "nginx.conf"


async def _answers(url: str, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with web.client(trust_env=False) as http:

        async def there() -> bool:
            assert process.returncode is None, (folder / "error.log").read_text()
            try:
                await http.get(f"{url}/v1/health")
            except httpx.TransportError:
                return False
            return True

        await until(there, "nginx answers")


def _program() -> tuple[str, dict[str, str]]:
    """nginx, and the environment that it needs."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found, dict(os.environ)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medley" / "nginx"
    program = folder / "root" / "usr" / "sbin" / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch(folder)
    libraries = ":".join(str(path) for path in (folder / "root" / "usr" / "lib").glob("*-linux-gnu*"))
    return str(program), {**os.environ, "LD_LIBRARY_PATH": libraries}


def _fetch(folder: Path) -> None:
    """Unpack the packages beside what is there, then move them into place: half an unpacking is never taken for one."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NotHere("nginx is not installed, and there is no apt-get to fetch it with")
    packages, unpacked = folder / "packages", folder / "unpacked"
    shutil.rmtree(packages, ignore_errors=True)
    shutil.rmtree(unpacked, ignore_errors=True)
    packages.mkdir()
    if not _ran("apt-get", "download", *_PACKAGES, cwd=packages):
        own = [f"-oDir::State={folder / 'state'}", f"-oDir::Cache={folder / 'cache'}", "-oDir::State::status=/dev/null"]
        (folder / "state" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        if not (
            _ran("apt-get", *own, "update", cwd=folder) and _ran("apt-get", *own, "download", *_PACKAGES, cwd=packages)
        ):
            raise NotHere("nginx is not installed, and apt-get cannot download it")
    for package in packages.glob("*.deb"):
        if not _ran("dpkg-deb", "-x", str(package), str(unpacked), cwd=folder):
            raise NotHere(f"dpkg-deb cannot unpack {package.name}")
    if not (unpacked / "usr" / "sbin" / "nginx").exists():
        raise NotHere("the package nginx of this system has no /usr/sbin/nginx")
    unpacked.rename(folder / "root")


def _ran(*command: str, cwd: Path) -> bool:
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False).returncode == 0
