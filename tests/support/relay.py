"""A relay in front of a real server: it can refuse, be slow, and stop moving bytes, as a network does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Relay:
    """`open` False: connections are cut. `moving` unset: connections stand, and nothing gets through. `pieces` counts
    what came from the client; at `cut_at` everything is cut, with that piece still delivered if `deliver`. `latency`:
    seconds for each piece, one after the other; `bandwidth`: bytes a second, 0 for as fast as it goes."""

    def __init__(self, target: str) -> None:
        self._host, self._port = urlsplit(target).hostname or "", urlsplit(target).port or 0
        self.open = True
        self.moving = asyncio.Event()
        self.moving.set()
        self.held = asyncio.Event()  # bytes have arrived that may not pass
        self.url = ""
        self.pieces = 0
        self.cut_at = 0
        self.deliver = False
        self.latency = self.bandwidth = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        self.open = False
        for writer in list(self._writers):
            writer.close()

    def _is_last(self) -> bool:
        self.pieces += 1
        return self.pieces == self.cut_at

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.close()
            return
        self._writers.add(writer)
        with suppress(OSError):
            there = await asyncio.open_connection(self._host, self._port)
            self._writers.add(there[1])
            await asyncio.gather(self._pump(reader, there[1], True), self._pump(there[0], writer))
            self._writers.discard(there[1])
        self._writers.discard(writer)
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: bool = False) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if client and self._is_last():
                    if self.deliver:
                        writer.write(data)
                    self.cut()
                    return
                if not self.moving.is_set():
                    self.held.set()
                    await self.moving.wait()
                if slow := self.latency + (len(data) / self.bandwidth if self.bandwidth else 0.0):
                    await asyncio.sleep(slow)
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    made = Relay(target)
    server = await asyncio.start_server(made._accept, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        made.moving.set()
        made.cut()
        server.close()
