"""What files say of themselves, and that broken ones are found out."""

import io
from pathlib import Path

import pytest
from PIL import Image

from services.ingest import extract, sniff
from services.ingest.refusals import Corrupt

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.mark.parametrize(
    ("name", "title", "artist", "seconds"),
    [
        ("morning-train.flac", "Morning Train", "Paper Lantern Trio", 2.73),
        ("cafe-a-minuit.flac", "Café à minuit", "Zoë & the Örestads", 2.68),
        ("night-ferry.mp3", "Night Ferry", "Paper Lantern Trio", 4.39),
        ("copper-bells.ogg", "Copper Bells", "Ostinato Workshop", 3.33),
        ("harbour-lights.opus", "Harbour Lights", "Marit Solheim", 4.2),
        ("small-clock.m4a", "Small Clock", "Ostinato Workshop", 2.5),
        ("two-rivers.wav", "Two Rivers", "Marit Solheim", 1.96),
    ],
)
async def test_tags_and_duration_of_every_sample(name: str, title: str, artist: str, seconds: float) -> None:
    path = SAMPLES / name
    with path.open("rb") as file:
        kind = sniff.sniff(file)
    assert kind is not None
    found = await extract.extract(path, kind, 10, 10**7)
    assert (found.tags["title"], found.tags["artist"]) == (title, artist)
    assert found.facts["seconds"] == pytest.approx(seconds, abs=0.01)


async def test_size_of_a_picture() -> None:
    found = await extract.extract(SAMPLES / "dunes.jpg", sniff.JPEG, 10, 10**7)
    assert found.facts == {"width": 640, "height": 427, "format": "JPEG"}


def _noise_behind(count: int) -> bytes:
    return bytes((i * i * 31 + i * 7) % 251 for i in range(count))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (sniff.FLAC, (SAMPLES / "broken-tape.flac").read_bytes()),
        (sniff.FLAC, (SAMPLES / "morning-train.flac").read_bytes()[:60]),
        (sniff.MP3, b"ID3\x03\x00\x00\x00\x00\x00\x0a" + b"\0" * 2000),
        (sniff.OGG, (SAMPLES / "copper-bells.ogg").read_bytes()[:200]),
        (sniff.OGG, b"OggS\x00\x02" + b"\0" * 20 + b"\x01\x1e\x01vorbis" + _noise_behind(500)),
        (sniff.WAV, b"RIFF\x24\x00\x00\x00WAVEjunk"),
        (sniff.M4A, b"\0\0\0\x18ftypM4A \0\0\0\0isommp42" + _noise_behind(500)),
        (sniff.AIFF, b"FORM\x00\x00\x10\x00AIFF" + _noise_behind(100)),
        (sniff.JPEG, (SAMPLES / "dunes.jpg").read_bytes()[:5000]),
        (sniff.PNG, (SAMPLES / "orbit.png").read_bytes()[:3000]),
        (sniff.WEBP, (SAMPLES / "tide.webp").read_bytes()[:500]),
        (sniff.GIF, b"GIF89a"),
        (sniff.BMP, b"BM" + b"\0" * 12 + b"\x28\0\0\0" + b"\0" * 4),
    ],
    ids=lambda value: value.name if isinstance(value, sniff.Kind) else f"{len(value)} bytes",
)
async def test_a_right_signature_with_nothing_behind_it_is_corrupt(
    tmp_path: Path, kind: sniff.Kind, data: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert sniff.sniff(file) is kind
    with pytest.raises(Corrupt, match=kind.name):
        await extract.extract(path, kind, 10, 10**7)


async def test_a_picture_of_too_many_pixels_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "large"
    Image.new("1", (4000, 4000)).save(path, "PNG")
    with pytest.raises(Corrupt, match="4000 x 4000"):
        await extract.extract(path, sniff.PNG, 10, 1_000_000)


async def test_a_type_without_a_reader_is_kept_with_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert (await extract.extract(path, sniff.HEIC, 10, 10**6)).facts == {"format": "HEIC"}


async def test_a_wav_without_tags_has_facts_only(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "plain"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0" * 32_000)
    found = await extract.extract(path, sniff.WAV, 10, 10**6)
    assert found.tags == {}
    assert (found.facts["seconds"], found.facts["channels"]) == (1.0, 2)


def test_reading_leaves_the_file_alone() -> None:
    before = (SAMPLES / "orbit.png").read_bytes()
    extract.image(SAMPLES / "orbit.png", sniff.PNG, 10**7)
    assert (SAMPLES / "orbit.png").read_bytes() == before
    assert Image.open(io.BytesIO(before)).size == (480, 480)
