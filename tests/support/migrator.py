"""The migrator as people and scripts run it: a command, its exit code, what it prints."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import forks

OLDEST = 1_600_000_000


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


class Migrations:
    """A folder of migrations against one database; files get timestamps in the order in which they are written."""

    def __init__(self, folder: Path, dsn: str, scratch: str = "") -> None:
        self.folder = folder
        self.dsn = dsn
        self.scratch = scratch or dsn
        self._next = OLDEST

    def add(self, words: str, text: str, stamp: int | None = None) -> str:
        """Write a file; its name."""
        self._next += 10
        name = f"{stamp or self._next}_{words}.sql"
        (self.folder / name).write_text(text)
        return name

    async def run(self, *arguments: str, **env: str) -> Done:
        """`medley migrate …` without looking for servers."""
        told = {"POSTGRES_DSN": self.dsn, "SCHEMA_DIR": str(self.folder), "MIGRATE_SCRATCH_DSN": self.scratch}
        env = {**os.environ, "LOG_FORMAT": "json", "POSTGRES_WAIT_SECONDS": "5", **told, **env}
        code, out, err = await forks.run("services.migrator", arguments, env)
        assert b"Traceback" not in err, err.decode()
        return Done(code, out.decode(), err.decode())

    async def apply(self, *arguments: str, **env: str) -> Done:
        return await self.run("apply", "--no-announce", *arguments, **env)

    async def applied(self, *arguments: str) -> Done:
        """Apply, which must succeed."""
        done = await self.apply(*arguments)
        assert done.code == 0, done
        return done
