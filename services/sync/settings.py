"""Settings of sync: `SYNC_*` in the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SyncSettings(BaseSettings):
    """`SYNC_PUBLISHED` names the tables whose topics are there from the start; others are added when first asked for,
    except those that `SYNC_WITHHELD` names as `schema.table`: they are never followed.

    Units: bytes and seconds. `confirm_delay`: an LSN is confirmed to Postgres only this long after JetStream's
    ack; it must exceed the server's `sync_interval`, so that what a power loss takes from the bus, Postgres still has.
    `clause_seconds`: the budget of one question to Postgres about clauses; one that exceeds it alone ends its shape.
    `log_bytes`: a log that is larger, and larger than its shape's snapshot, has a new snapshot made, at most every
    `renewal_interval`; the snapshot before goes `superseded_seconds` later, when nobody reads it, and the log that
    leads to it, which nobody keeps for longer than `log_age`. `shapes_bytes`: what all snapshots and logs may take (0:
    no limit); beyond it shapes go that nobody has read for `idle_seconds`, the one longest unread first.
    """

    model_config = SettingsConfigDict(env_prefix="SYNC_")

    slot: str = Field(default="medley", pattern=r"^[a-z0-9_]{1,63}$")
    publication: str = Field(default="medley", pattern=r"^[a-z0-9_]{1,63}$")
    published: list[str] = ["songs", "media_blobs", "playlists", "playlist_songs", "config", "ingest_jobs"]
    withheld: list[str] = ["public.media_blob_bytes"]
    message_bytes: int = Field(default=256 * 1024, ge=1024, le=512 * 1024)
    confirm_delay: float = Field(default=1.5, ge=0)
    ack_timeout: float = Field(default=10.0, gt=0)
    exports: int = Field(default=4, ge=1)
    reconcile_interval: float = Field(default=1.0, gt=0)
    clause_seconds: float = Field(default=5.0, gt=0, le=25)
    log_bytes: int = Field(default=1024 * 1024, ge=1024)
    log_age: float = Field(default=24 * 3600.0, gt=0)
    renewal_interval: float = Field(default=5.0, gt=0)
    superseded_seconds: float = Field(default=60.0, ge=0)
    shapes_bytes: int = Field(default=8 * 1024**3, ge=0)
    idle_seconds: float = Field(default=300.0, ge=2)
    wal_sender_timeout: str = "15s"
