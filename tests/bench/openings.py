"""A client that opens shapes as fast as it is answered: one request for each, over a few connections."""

import asyncio
import time
from collections.abc import Iterator

from tests.bench.wire import Address, framed, shape_path


class Openings:
    """Shapes `playlist_id = n` of one table."""

    def __init__(self, url: str, table: str, connections: int) -> None:
        self._address, self._table, self._connections = Address.of(url), table, connections

    async def open(self, first: int, last: int, seconds: float) -> tuple[int, float]:
        """From playlist `first` to `last`, as many as there is time for: how many were opened, and the time it took."""
        numbers = iter(range(first, last + 1))
        started = time.perf_counter()
        deadline = started + seconds
        counts = await asyncio.gather(*(self._one(numbers, deadline) for _ in range(self._connections)))
        return sum(counts), time.perf_counter() - started

    async def _one(self, numbers: Iterator[int], deadline: float) -> int:
        reader, writer = await asyncio.open_connection(*self._address)
        count = 0
        try:
            while time.perf_counter() < deadline and (number := next(numbers, None)) is not None:
                path = shape_path(self._table, "playlist_id = $1", {"params[1]": str(number)})
                writer.write(self._address.request(path + b"&offset=-1"))
                answer = bytearray()
                while framed(answer) is None:
                    if not (data := await reader.read(65536)):
                        raise RuntimeError("the connection was closed")
                    answer += data
                if b" 200 " not in answer[:20]:
                    raise RuntimeError(f"{path.decode()}: {bytes(answer[:400])!r}")
                count += 1
        finally:
            writer.close()
        return count
