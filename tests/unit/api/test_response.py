"""Cursors, entity tags, and who may ask."""

import time

import pytest

from medley.contracts.offsets import Offset
from medley.runtime.errors import ConfigurationError
from services.api.settings import ApiSettings
from services.api.shape.response import cursor, etag, matches
from services.api.shape.route import authorised


def test_cursors_are_shared_within_an_interval_and_never_repeat_for_one_client() -> None:
    first = cursor(None, 20)
    assert first % 20 == 0
    assert 0 <= first - (time.time() - 1_728_432_000) <= 20
    assert first < cursor(first, 20) <= first + 3600


def test_a_response_with_changes_revalidates_and_one_without_never_does() -> None:
    tag = etag("h", "0_0", Offset(10, 2), has_data=True)
    assert tag == '"h:0_0:10_2"'
    assert matches(f'W/"x", {tag}', tag)
    assert matches("h:0_0:10_2", tag)
    assert not matches("", tag)
    idle = etag("h", "10_2", Offset(10, 2), has_data=False)
    assert idle != etag("h", "10_2", Offset(10, 2), has_data=False)


@pytest.mark.parametrize(
    ("query", "header", "allowed"),
    [
        ("secret=s3", "", True),
        ("api_secret=s3", "", True),
        ("", "Bearer s3", True),
        ("secret=s", "", False),
        ("secret=%00", "Basic s3", False),
        ("", "", False),
        ("secret=%C3%BC", "", False),
    ],
)
def test_the_secret(query: str, header: str, allowed: bool) -> None:
    assert authorised("s3", query, header.encode()) is allowed
    assert authorised("", query, header.encode())


def test_a_secret_may_be_any_text() -> None:
    for header in ("Bearer geheimnis ü".encode(), "bearer  geheimnis ü ".encode()):
        assert authorised("geheimnis ü", "", header)
    assert authorised("geheimnis ü", "secret=geheimnis%20%C3%BC", b"")
    assert not authorised("geheimnis ü", "", "Bearer geheimnis ü".encode("latin-1"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])  # noqa: S104
def test_it_does_not_listen_to_others_without_a_secret(host: str) -> None:
    with pytest.raises(ConfigurationError, match="API_SECRET"):
        ApiSettings(host=host).check()
    ApiSettings(host=host, secret="s3").check()  # type: ignore[arg-type]
    ApiSettings(host=host, insecure=True).check()
    for loopback in ("127.0.0.1", "::1", "localhost"):
        ApiSettings(host=loopback).check()
