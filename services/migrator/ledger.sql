-- name: create_ledger
-- The ledger itself; the first thing a migrator makes. Later columns may only be nullable.
CREATE TABLE IF NOT EXISTS schema_versions (
    filename   text        PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now(),
    checksum   text
)

-- name: applied
-- Every applied migration, oldest first.
SELECT filename, checksum FROM schema_versions ORDER BY filename COLLATE "C"

-- name: record
-- $1 filename, $2 checksum: in the migration's own transaction.
INSERT INTO schema_versions (filename, checksum) VALUES ($1, $2)

-- name: try_lock
-- Polled, never awaited: a waiting lock deadlocks with CREATE INDEX CONCURRENTLY.
SELECT pg_try_advisory_lock(4914873226811547209)

-- name: unlock
SELECT pg_advisory_unlock(4914873226811547209)
