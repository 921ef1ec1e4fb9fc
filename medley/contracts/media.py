"""Metadata of media: typed where we know the words, open for the rest."""

from pydantic import BaseModel, ConfigDict


class AudioMetadata(BaseModel):
    """Tags and properties of a recording; unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    genre: str | None = None
    year: str | None = None
    track: int | None = None
    disc: int | None = None
    bpm: float | None = None
    seconds: float | None = None
    bitrate: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
