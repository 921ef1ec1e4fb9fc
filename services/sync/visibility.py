"""Which transactions a snapshot already holds: `medley.sql.visibility`, which `medley verify` asks, too. Pure."""

from medley.sql.visibility import Snapshot

__all__ = ["Snapshot"]
