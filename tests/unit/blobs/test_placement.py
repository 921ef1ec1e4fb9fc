"""Where a blob goes, for each state of S3."""

import pytest

from medley.blobs.placement import Decision, Limits, S3State, decide

LIMITS = Limits(inline_below=1_000, inline_limit=10_000)


@pytest.mark.parametrize(
    ("size", "s3", "expected"),
    [
        (999, "up", "inline"),
        (999, "down", "inline"),
        (999, "absent", "inline"),
        (1_000, "up", "s3"),
        (10_000, "down", "inline"),
        (10_001, "down", "wait"),
        (10_000, "absent", "inline"),
        (10_001, "absent", "refuse"),
        (10**12, "up", "s3"),
    ],
)
def test_a_blob_goes_where_its_size_and_s3_allow(size: int, s3: S3State, expected: Decision) -> None:
    assert decide(size, s3, LIMITS) == expected


def test_by_default_nothing_is_inline_while_s3_answers() -> None:
    assert decide(1, "up", Limits(0, 16)) == "s3"
