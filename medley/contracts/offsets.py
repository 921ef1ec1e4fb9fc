"""The offset: a place in a shape, ordered, as the shape protocol writes it (protocol section 1.1)."""

import re
from typing import NamedTuple

_GRAMMAR = re.compile(r"(\d{1,20})_(\d{1,20}|inf)", re.ASCII)
INFINITE = 2**63
_MOST_LSN = 2**64 - 1


class Offset(NamedTuple):
    """(commit LSN or snapshot generation, operation or part). Tuples compare as the protocol orders offsets.

    >>> Offset.parse("0_inf") < Offset.parse("26800584_0")
    True
    >>> str(Offset.parse("0_inf"))
    '0_inf'
    """

    tx: int
    op: int

    @classmethod
    def parse(cls, text: str) -> "Offset":
        """Raises ValueError when `text` is not `<int>_<int>`, `<int>_inf` or `-1`."""
        if text == "-1":
            return BEFORE_ALL
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise ValueError(f"not an offset: {text!r}")
        tx, op = match.groups()
        offset = cls(int(tx), INFINITE if op == "inf" else int(op))
        if offset.tx > _MOST_LSN or (op != "inf" and offset.op >= INFINITE):
            raise ValueError(f"not an offset: {text!r}")
        return offset

    def __str__(self) -> str:
        if self == BEFORE_ALL:
            return "-1"
        return f"{self.tx}_{'inf' if self.op == INFINITE else self.op}"


BEFORE_ALL = Offset(-1, 0)
SNAPSHOT_END = Offset(0, INFINITE)
