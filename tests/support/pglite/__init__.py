"""PGlite: the Postgres that a browser has, run by node for one question at a time."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import npm

_FOLDER = Path(__file__).parent


async def pglite(statements: Sequence[str], query: str) -> list[dict[str, Any]]:
    """Run each statement alone in an empty database, then the query; its rows.

    Raises NotHere without node or the package, RuntimeError with PGlite's words when a statement fails.
    """
    node = await npm.install(_FOLDER)
    asked = json.dumps({"statements": list(statements), "query": query}).encode()
    process = await asyncio.create_subprocess_exec(node, "run.mjs", cwd=_FOLDER, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        output, errors = await process.communicate(asked)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"PGlite: {errors.decode()[-2000:]}")
    rows: list[dict[str, Any]] = json.loads(output)
    return rows
