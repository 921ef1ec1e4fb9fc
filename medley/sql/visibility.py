"""Which transactions a snapshot already holds (PostgreSQL documentation, "Transactions and Identifiers"). Pure."""

from typing import NamedTuple

_EPOCH = 1 << 32


class Snapshot(NamedTuple):
    """`pg_current_snapshot()`: 64-bit ids. Below `xmin` all is visible, from `xmax` on nothing, `xip` was running."""

    xmin: int
    xmax: int
    xip: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """
        >>> Snapshot.parse("10:14:10,12").sees(11)
        True
        """
        xmin, xmax, xip = text.split(":")
        return cls(int(xmin), int(xmax), tuple(int(xid) for xid in xip.split(",") if xid))

    def sees(self, xid: int) -> bool:
        """Whether the effects of `xid`, as the replication stream names it (32 bits), are in the snapshot."""
        whole = (self.xmax & ~(_EPOCH - 1)) | (xid & (_EPOCH - 1))
        if whole - self.xmax > _EPOCH // 2:
            whole -= _EPOCH
        elif self.xmax - whole > _EPOCH // 2:
            whole += _EPOCH
        return whole < self.xmin or (whole < self.xmax and whole not in self.xip)
