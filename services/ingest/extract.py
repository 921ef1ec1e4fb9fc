"""Reads what a file says of itself, tags and duration or width and height, and so proves that it can be read.

Runs in a thread of its own with a time limit. Readers of strangers' files raise anything; whatever they raise means
that the file is corrupt.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from PIL import Image, features
from tinytag import TinyTag

from services.ingest import sniff, soundness, tidy
from services.ingest.refusals import Corrupt

T = TypeVar("T")

_PILLOW = {"JPEG": "JPEG", "PNG": "PNG", "GIF": "GIF", "WebP": "WEBP", "AVIF": "AVIF", "BMP": "BMP", "TIFF": "TIFF"}


class Extracted(NamedTuple):
    """`tags`: what the makers say, which a job may overrule. `facts`: what the bytes say."""

    tags: dict[str, Any]
    facts: dict[str, Any]


async def extract(path: Path, kind: sniff.Kind, within: float, pixels: int) -> Extracted:
    """Raises Corrupt when the file cannot be read as its kind, or not within the time."""
    match kind.family:
        case "audio":
            return await _apart(lambda: audio(path, kind), within, kind)
        case "image":
            return await _apart(lambda: image(path, kind, pixels), within, kind)
        case "video":
            return Extracted({}, {})


def audio(path: Path, kind: sniff.Kind) -> Extracted:
    with path.open("rb") as file:
        try:
            tag = TinyTag.get(filename=f"file.{kind.suffixes[0]}", file_obj=file)
        except Exception as error:
            raise Corrupt(f"found a {kind.name} signature, but the file cannot be read: {error}") from error
        seconds = tidy.value(tag.duration)
        reason = soundness.flaw(file, kind, path.stat().st_size, seconds)
    if reason:
        raise Corrupt(f"found a {kind.name} signature, but the file is broken: {reason}")
    tags = {
        "title": tag.title, "artist": tag.artist, "album": tag.album, "album_artist": tag.albumartist,
        "genre": tag.genre, "year": tag.year, "track": tag.track, "disc": tag.disc,
        "composer": tag.composer, "comment": tag.comment, "bpm": _number(tag.other.get("bpm")),
    }  # fmt: skip
    facts = {
        "seconds": seconds, "bitrate": tag.bitrate, "sample_rate": tag.samplerate, "channels": tag.channels,
        "format": kind.name,
    }  # fmt: skip
    return Extracted(_present(tags), _present(facts))


def _number(values: list[str] | None) -> float | None:
    try:
        return float(values[0]) if values else None
    except ValueError:
        return None


def _present(values: dict[str, Any]) -> dict[str, Any]:
    clean = {key: tidy.value(item) for key, item in values.items()}
    return {key: item for key, item in clean.items() if item is not None and item != ""}


def image(path: Path, kind: sniff.Kind, pixels: int) -> Extracted:
    if kind.name not in _PILLOW or (kind is sniff.AVIF and not features.check("avif")):
        return Extracted({}, {"format": kind.name})  # a type that we know and cannot look into
    try:
        with Image.open(path, formats=[_PILLOW[kind.name]]) as picture:
            width, height = picture.size
            if width * height > pixels:
                raise Corrupt(
                    f"found a picture of {width} x {height} pixels, at most {pixels} are read; "
                    "raise INGEST_IMAGE_PIXELS if it is meant"
                )
            picture.load()
    except Corrupt:
        raise
    except Exception as error:
        raise Corrupt(f"found a {kind.name} signature, but the picture cannot be read: {error}") from error
    return Extracted({}, {"width": width, "height": height, "format": kind.name})


async def _apart(read: Callable[[], T], within: float, kind: sniff.Kind) -> T:
    """In a daemon thread: a reader that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = read()
        except Exception as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has ended, and nobody waits

    threading.Thread(target=work, name="extract", daemon=True).start()
    try:
        return await asyncio.wait_for(outcome, within)
    except TimeoutError as error:
        raise Corrupt(f"found a {kind.name} file that took longer than {within:g} s to read") from error
