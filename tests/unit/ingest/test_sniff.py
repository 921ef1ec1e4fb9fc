"""Types come from bytes, never from names."""

import io
from pathlib import Path

import pytest
from PIL import Image

from services.ingest import sniff

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("morning-train.flac", sniff.FLAC),
        ("night-ferry.mp3", sniff.MP3),
        ("copper-bells.ogg", sniff.OGG),
        ("harbour-lights.opus", sniff.OGG),
        ("small-clock.m4a", sniff.M4A),
        ("two-rivers.wav", sniff.WAV),
        ("dunes.jpg", sniff.JPEG),
        ("orbit.png", sniff.PNG),
        ("tide.webp", sniff.WEBP),
    ],
)
def test_every_sample_is_known(name: str, kind: sniff.Kind) -> None:
    with (SAMPLES / name).open("rb") as file:
        assert sniff.sniff(file) is kind


def test_an_mp3_without_a_tag_is_known_by_its_frames() -> None:
    data = (SAMPLES / "night-ferry.mp3").read_bytes()
    size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
    assert sniff.sniff(io.BytesIO(data[10 + size :])) is sniff.MP3


@pytest.mark.parametrize(
    ("form", "kind"),
    [("GIF", sniff.GIF), ("BMP", sniff.BMP), ("TIFF", sniff.TIFF), ("AVIF", sniff.AVIF)],
)
def test_pictures_that_pillow_writes_are_known(form: str, kind: sniff.Kind) -> None:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(file, form)
    assert sniff.sniff(file) is kind


def _box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body


def _mp4(brand: bytes, *tracks: bytes) -> io.BytesIO:
    handlers = b"".join(_box(b"hdlr", b"\0" * 8 + track + b"\0" * 12) for track in tracks)
    return io.BytesIO(_box(b"ftyp", brand + b"\0\0\0\0isom") + _box(b"mdat", b"x" * 100) + _box(b"moov", handlers))


def test_an_mp4_is_audio_only_without_a_picture_track() -> None:
    assert sniff.sniff(_mp4(b"isom", b"soun")) is sniff.M4A
    assert sniff.sniff(_mp4(b"isom", b"soun", b"vide")) is sniff.MP4
    assert sniff.sniff(_mp4(b"heic")) is sniff.HEIC


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfb\x90",
        b"\xff\xfb\x90\x00" + b"\0" * 2000,
        b"RIFF\x00\x00\x00\x00AVI ",
        b"OggS",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"PK\x03\x04",
    ],
)
def test_other_bytes_are_nothing_of_ours(data: bytes) -> None:
    assert sniff.sniff(io.BytesIO(data)) is None


@pytest.mark.parametrize(
    ("filename", "mime", "kind"),
    [
        ("a.MP3", None, sniff.MP3),
        (None, "audio/x-flac", sniff.FLAC),
        ("a.txt", "image/png; charset=binary", sniff.PNG),
        ("notes.txt", "text/plain", None),
        ("score.mid", "audio/midi", None),
        ("film.mp4", "video/mp4", None),
        ("mp3", None, None),
        (None, None, None),
    ],
)
def test_only_what_we_can_recognise_counts_as_claimed(
    filename: str | None, mime: str | None, kind: sniff.Kind | None
) -> None:
    assert sniff.claimed(filename, mime) is kind
