"""What a Range header means, as RFC 9110 has it."""

import pytest

from services.api.ranges import Bytes, NotModified, Unsatisfiable, Wanted, wanted

TAG = '"abc"'
WHOLE = Bytes(0, 100, partial=False)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("bytes=0-0", Bytes(0, 1, partial=True)),
        ("bytes=0-99", Bytes(0, 100, partial=True)),
        ("bytes=10-", Bytes(10, 100, partial=True)),
        ("Bytes= 10-19 ", Bytes(10, 20, partial=True)),
        ("bytes=90-1000", Bytes(90, 100, partial=True)),
        ("bytes=-1", Bytes(99, 100, partial=True)),
        ("bytes=-1000", Bytes(0, 100, partial=True)),
        ("bytes=-0", Unsatisfiable()),
        ("bytes=100-", Unsatisfiable()),
        ("bytes=100-200", Unsatisfiable()),
        ("bytes=" + "9" * 5000 + "-", Unsatisfiable()),
        ("bytes=5-4", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=0-1,3-4", WHOLE),
        ("items=0-1", WHOLE),
        ("bytes=٣-٤", WHOLE),
        ("", WHOLE),
    ],
)
def test_a_range(header: str | None, expected: Wanted) -> None:
    assert wanted(100, TAG, None, header, None) == expected


@pytest.mark.parametrize("header", ['"abc"', 'W/"abc"', '"x", "abc"', "*", '"x",W/"abc"'])
def test_what_the_client_has_is_not_sent(header: str) -> None:
    assert wanted(100, TAG, header, "bytes=0-1", None) == NotModified()


@pytest.mark.parametrize("header", ['"abcd"', "abc", ""])
def test_another_tag_is_no_match(header: str) -> None:
    assert wanted(100, TAG, header, None, None) == WHOLE


@pytest.mark.parametrize(
    ("condition", "partial"), [('"abc"', True), ('"other"', False), ('W/"abc"', False), ("Sun, 22 Nov 2026", False)]
)
def test_if_range_holds_only_for_the_very_same_bytes(condition: str, partial: bool) -> None:
    answer = wanted(100, TAG, None, "bytes=0-1", condition)
    assert isinstance(answer, Bytes)
    assert answer.partial is partial
