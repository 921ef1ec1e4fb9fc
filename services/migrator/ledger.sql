-- name: create_ledger
-- The ledger itself; the first thing a migrator makes. Later columns may only be nullable: older clients ask it
-- `SELECT 1 FROM schema_versions WHERE filename = $1`, so a row stands for a migration that is wholly done.
CREATE TABLE IF NOT EXISTS schema_versions (
    filename    text        PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    checksum    text,
    position    integer,
    sql         text,
    history     text,
    fingerprint text,
    compat      jsonb,
    remark      text,
    catalogue   jsonb
)

-- name: create_started
-- What runs outside a transaction, between its start and its end; made when there is such a migration.
CREATE TABLE IF NOT EXISTS schema_started (
    filename   text        PRIMARY KEY,
    checksum   text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    catalogue  jsonb
)

-- name: alter_ledger
-- A ledger of the first migrator gets the columns that came later.
ALTER TABLE schema_versions
    ADD COLUMN IF NOT EXISTS checksum text, ADD COLUMN IF NOT EXISTS position integer, ADD COLUMN IF NOT EXISTS sql text,
    ADD COLUMN IF NOT EXISTS history text, ADD COLUMN IF NOT EXISTS fingerprint text, ADD COLUMN IF NOT EXISTS compat jsonb,
    ADD COLUMN IF NOT EXISTS remark text, ADD COLUMN IF NOT EXISTS catalogue jsonb

-- name: is_current
-- Has the ledger every column?
SELECT count(*) = 10
FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass('schema_versions') AND NOT attisdropped AND attname IN
    ('filename', 'applied_at', 'checksum', 'position', 'sql', 'history', 'fingerprint', 'compat', 'remark', 'catalogue')

-- name: is_anothers
-- Is there a table of that name that is something else?
SELECT to_regclass('schema_versions') IS NOT NULL AND count(*) < 2
FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass('schema_versions') AND NOT attisdropped AND attname IN ('filename', 'applied_at')

-- name: record
-- $1 filename, $2 checksum, $3 position, $4 text, $5 history, $6 fingerprint, $7 compat, $8 remark, $9 catalogue:
-- in the migration's own transaction.
INSERT INTO schema_versions (filename, checksum, position, sql, history, fingerprint, compat, remark, catalogue)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING applied_at

-- name: forget_catalogue
-- $1 filename: only the newest row keeps the catalogue.
UPDATE schema_versions SET catalogue = NULL WHERE catalogue IS NOT NULL AND filename <> $1

-- name: complete
-- $1 filename, $2 checksum, $3 position, $4 text, $5 history: of a row that an earlier migrator wrote.
UPDATE schema_versions SET checksum = $2, position = $3, sql = coalesce(sql, $4), history = $5 WHERE filename = $1

-- name: keep_catalogue
-- $1 filename, $2 fingerprint, $3 catalogue
UPDATE schema_versions SET fingerprint = $2, catalogue = $3 WHERE filename = $1

-- name: edit
-- $1 filename, $2 checksum, $3 text, $4 remark: the file was edited without changing what it makes.
UPDATE schema_versions SET checksum = $2, sql = $3, remark = $4 WHERE filename = $1

-- name: rechain
-- $1 filename, $2 history
UPDATE schema_versions SET history = $2 WHERE filename = $1

-- name: start
-- $1 filename, $2 checksum, $3 what the schema is before it
INSERT INTO schema_started (filename, checksum, catalogue) VALUES ($1, $2, $3)

-- name: before_start
-- $1 filename
SELECT catalogue FROM schema_started WHERE filename = $1

-- name: end
-- $1 filename
DELETE FROM schema_started WHERE filename = $1

-- name: invalid_indexes
-- What a CREATE INDEX CONCURRENTLY that failed leaves behind; one that is still running looks the same.
SELECT i.indexrelid::regclass::text AS index, i.indrelid::regclass::text AS table,
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid) AS running
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND n.nspname !~ '^pg_' AND c.relkind = 'i'
ORDER BY 1

-- name: try_lock
-- Polled, never awaited: a waiting lock deadlocks with CREATE INDEX CONCURRENTLY.
SELECT pg_try_advisory_lock(4914873226811547209)

-- name: unlock
SELECT pg_advisory_unlock(4914873226811547209)

-- name: holds_lock
-- Does this very backend hold the lock? Behind a pooler in transaction mode it may not.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
      AND (classid::bigint << 32 | objid::bigint) = 4914873226811547209
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
)
