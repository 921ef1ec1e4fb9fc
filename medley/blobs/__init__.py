"""The content-addressed store: bytes by their sha256, in S3 or in Postgres. `port` says what a place for bytes owes."""
