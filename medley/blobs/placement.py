"""Decides where a blob's bytes go. Pure: sizes and states in, one word out."""

from typing import Literal, NamedTuple, assert_never

S3State = Literal["absent", "up", "down"]
Decision = Literal["s3", "inline", "wait", "refuse"]


class Limits(NamedTuple):
    """Bytes. Below `inline_below` a blob is inline by choice; up to `inline_limit` it may be inline for want of S3."""

    inline_below: int
    inline_limit: int


def decide(size: int, s3: S3State, limits: Limits) -> Decision:
    """`wait`: too large for a row, and S3 will return. `refuse`: too large for a row, and there is no S3.

    >>> decide(10_000_000, "down", Limits(0, 16_777_216))
    'inline'
    """
    if size < limits.inline_below:
        return "inline"
    match s3:
        case "up":
            return "s3"
        case "down":
            return "inline" if size <= limits.inline_limit else "wait"
        case "absent":
            return "inline" if size <= limits.inline_limit else "refuse"
        case _:
            assert_never(s3)
