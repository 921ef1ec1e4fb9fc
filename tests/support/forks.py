"""Commands and services of Python without the wait for their imports: forked from one process that has imported them.

`python -m NAME` takes a second of processor time before its first line, and tests run hundreds. A fork is a process of
its own all the same: with its arguments, environment, folder and files, run as the `__main__` of that module.
"""

import asyncio
import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

HERE = sys.platform == "linux"  # elsewhere a fork may break what the system's libraries keep


class Fork:
    """A running one, with as much of `asyncio.subprocess.Process` as tests use."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ending = asyncio.create_task(self._ended(reader, writer))

    async def _ended(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        try:
            self.returncode = int(await reader.readline())
        finally:
            writer.close()
        return self.returncode

    async def wait(self) -> int:
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        """To one that has ended: nothing."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Running = Fork | asyncio.subprocess.Process


async def start(module: str, arguments: tuple[str, ...], env: dict[str, str], out: Path, err: Path) -> Running:
    """`python -m MODULE`, started; what it writes is added to the two files."""
    if not HERE:
        return await _started(module, arguments, env, out, err)
    asked = {
        "arguments": [module, *arguments],
        "env": env,
        "cwd": str(Path.cwd()),
        "out": str(out),
        "err": str(err),
    }
    for file in {out, err}:
        file.open("ab").close()
    reader, writer = await asyncio.open_unix_connection(_origin(module))
    writer.write(json.dumps(asked).encode() + b"\n")
    return Fork(int(await reader.readline()), reader, writer)


async def _started(module: str, arguments: tuple[str, ...], env: dict[str, str], out: Path, err: Path) -> Running:
    with out.open("ab") as output, err.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )


async def run(module: str, arguments: tuple[str, ...], env: dict[str, str]) -> tuple[int, bytes, bytes]:
    """The exit code, what it wrote to standard output, and to standard error."""
    with tempfile.TemporaryDirectory(prefix="medley-fork-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        code = await (await start(module, arguments, env, out, err)).wait()
        return code, out.read_bytes(), err.read_bytes()


@cache
def _origin(module: str) -> str:
    """The socket of the process that forks; it ends with us."""
    path = f"{tempfile.mkdtemp(prefix='medley-forks-')}/socket"
    command = [sys.executable, "-m", "tests.support.forks", module, path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(process.stdin.close)
    return path


def serve(module: str, path: str) -> None:
    """Fork for whoever connects, until standard input ends."""
    runpy.run_module(module, run_name="imported")
    gc.freeze()  # what is imported stays: no fork looks through it for garbage, nor copies it by looking
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(128)
        print("ready", flush=True)
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if not _fork():
                listening.close()
                _answer(connection)
            connection.close()
            _bury()
    Path(path).unlink()
    Path(path).parent.rmdir()


def _fork() -> int:
    sys.stdout.flush()
    return os.fork()


def _bury() -> None:
    """Those that have answered."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _answer(connection: socket.socket) -> None:
    """In a fork: run the command in one more, and tell its pid, and how it ended. Never returns."""
    asked = json.loads(connection.makefile("rb").readline())
    pid = _fork()
    if not pid:
        connection.close()
        _become(asked)
    with suppress(OSError):  # whoever asked may have gone
        connection.sendall(f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        connection.sendall(f"{code}\n".encode())
    os._exit(0)


def _become(asked: dict[str, Any]) -> None:
    """In a fork: be the command. Never returns."""
    for number, name in ((1, asked["out"]), (2, asked["err"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv[1:] = asked["arguments"][1:]
    code: Any = 0
    try:
        runpy.run_module(asked["arguments"][0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
