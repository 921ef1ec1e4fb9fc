"""The pure parts: outcomes, tidy values, names and songs, settings."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from medley.contracts.jobs import IngestJob
from medley.runtime.errors import Permanent, Unavailable
from services.ingest import describe, sniff, tidy
from services.ingest.extract import Extracted
from services.ingest.outcomes import Ack, Outcome, Park, Retry, RetryPolicy, outcome
from services.ingest.refusals import Corrupt, Refused
from services.ingest.settings import IngestSettings

POLICY = RetryPolicy(first=1, most=60, unexpected_attempts=3)


def _job(**fields: Any) -> IngestJob:
    return IngestJob.model_validate({"source": {"kind": "path", "path": "/music/a/Song Name.mp3"}} | fields)


@pytest.mark.parametrize(
    ("error", "delivery", "expected"),
    [
        (None, 1, Ack()),
        (Permanent("no"), 1, Park("no")),
        (Unavailable("s3"), 1, Retry(1, "s3")),
        (Unavailable("s3"), 4, Retry(8, "s3")),
        (Unavailable("s3"), 100_000, Retry(60, "s3")),
        (KeyError("x"), 2, Retry(2, "unexpected KeyError: 'x'")),
        (KeyError("x"), 3, Park("unexpected KeyError: 'x'; 3 attempts")),
    ],
)
def test_an_error_has_one_outcome(error: Exception | None, delivery: int, expected: Outcome) -> None:
    assert outcome(error, delivery, POLICY) == expected


def test_values_from_strangers_fit_into_jsonb() -> None:
    deep: list[Any] = []
    for _ in range(50):
        deep = [deep]
    given: dict[str, Any] = {
        "nul": "a\0b",
        "half": "\ud800x",
        "nan": math.nan,
        "inf": [math.inf],
        "big": 2**80,
        "raw": b"raw",
    }
    given |= {"long": "x" * 100_000, "many": list(range(10_000)), "deep": deep, "ok": [1, 2.5, None, True, "é"]}
    clean = tidy.value(given)
    text = json.dumps(clean, allow_nan=False)
    text.encode("utf-8")
    assert "\\u0000" not in text
    assert clean["nul"] == "ab"
    assert clean["ok"] == [1, 2.5, None, True, "é"]
    assert len(text) < 20_000


def test_the_job_goes_before_the_tags_and_the_bytes_before_both() -> None:
    job = _job(metadata={"artist": "Me", "seconds": 99, "mood": "calm", "year": 1999})
    shown = describe.metadata(job, sniff.MP3, Extracted({"artist": "Tag", "title": "T"}, {"seconds": 2.0}))
    assert shown == {"artist": "Me", "title": "T", "seconds": 2.0, "mood": "calm", "year": "1999"}
    song = describe.song(job, sniff.MP3, shown)
    assert song is not None
    assert (song.title, song.artist, song.seconds) == ("T", "Me", 2.0)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "Song Name"),
        ({"filename": "Other.flac"}, "Other"),
        ({"source": {"kind": "inline", "data": ""}}, "Untitled"),
        ({"filename": " .mp3"}, "Untitled"),
        ({"metadata": {"title": "   "}}, "Song Name"),
        ({"metadata": {"title": "x" * 5000}}, "x" * 1024),
    ],
)
def test_a_song_always_has_a_title(fields: dict[str, Any], title: str) -> None:
    job = _job(**fields)
    song = describe.song(job, sniff.MP3, describe.metadata(job, sniff.MP3, Extracted({}, {})))
    assert song is not None
    assert song.title == title


def test_metadata_of_a_wrong_type_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"metadata\.track"):
        describe.metadata(_job(metadata={"track": "seven"}), sniff.MP3, Extracted({}, {}))


def test_pictures_and_other_bytes_are_no_songs() -> None:
    assert describe.song(_job(), sniff.PNG, {}) is None
    assert describe.song(_job(), None, {}) is None


def test_a_name_or_a_mime_that_promises_media_must_be_kept() -> None:
    with pytest.raises(Corrupt, match=r"its name 'Song Name\.mp3'"):
        describe.check_claim(_job(), None)
    with pytest.raises(Corrupt, match="its type 'image/png'"):
        describe.check_claim(_job(filename="x", mime="image/png"), None)
    describe.check_claim(_job(filename="notes.txt"), None)
    describe.check_claim(_job(filename="song.mp3"), sniff.PNG)


def test_allowed_folders_are_written_as_path_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_ALLOWED_FOLDERS", "/music:/photos:")
    assert IngestSettings().allowed_folders == (Path("/music"), Path("/photos"))
    monkeypatch.delenv("INGEST_ALLOWED_FOLDERS")
    assert IngestSettings().allowed_folders == ()
