"""Decides what the library shows of a file: its name, its metadata, its song. Pure."""

from pathlib import PurePath, PurePosixPath
from typing import Any

from pydantic import ValidationError

from medley.contracts.jobs import IngestJob, ObjectSource, PathSource
from medley.contracts.media import AudioMetadata
from services.ingest import sniff, tidy
from services.ingest.catalog import Song
from services.ingest.extract import Extracted
from services.ingest.refusals import Corrupt, Refused

PLAIN_BYTES = "application/octet-stream"


def filename(job: IngestJob) -> str | None:
    """The job's own name for the file, else the name it has at its source."""
    if job.filename:
        return job.filename
    match job.source:
        case PathSource(path=path):
            return PurePath(path).name or None
        case ObjectSource(key=key):
            return PurePosixPath(key).name or None
        case _:
            return None


def check_claim(job: IngestJob, kind: sniff.Kind | None) -> None:
    """A file may be anything, but not a recording or a picture by name and none by its bytes. Raises Corrupt."""
    name = filename(job)
    claim = sniff.claimed(name, job.mime)
    if claim is not None and kind is None:
        raise Corrupt(
            f"found bytes of no known type, needed {claim.name} as {_claimant(job, name)} says; is it damaged?"
        )


def _claimant(job: IngestJob, name: str | None) -> str:
    return f"its type {job.mime!r}" if job.mime and sniff.claimed(None, job.mime) else f"its name {name!r}"


def metadata(job: IngestJob, kind: sniff.Kind | None, extracted: Extracted) -> dict[str, Any]:
    """What the job says goes before what the tags say; what the bytes say goes before both. Raises Refused."""
    given = tidy.value(job.metadata)
    merged: dict[str, Any] = {**extracted.tags, **given, **extracted.facts}
    if kind is None or kind.family != "audio":
        return merged
    if isinstance(merged.get("year"), int):
        merged["year"] = str(merged["year"])
    try:
        return AudioMetadata.model_validate(merged).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"metadata.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def song(job: IngestJob, kind: sniff.Kind | None, shown: dict[str, Any]) -> Song | None:
    """A recording is a song; nothing else is."""
    if kind is None or kind.family != "audio":
        return None
    name = filename(job)
    title = _line(shown.get("title")) or _line(PurePath(name).stem if name else None) or "Untitled"
    return Song(title, _line(shown.get("artist")), _line(shown.get("album")), shown.get("seconds"), shown)


def _line(text: str | None) -> str | None:
    return tidy.text(text, 1024) or None if text else None
