-- name: rows
-- Every applied migration in the order in which it ran.
SELECT filename, coalesce(applied_at, to_timestamp(0)) AS applied_at, checksum, history, fingerprint, compat, remark
FROM schema_versions
ORDER BY position, filename COLLATE "C"

-- name: early_rows
-- The same of a ledger that a migrator without fingerprints made, or a hand.
SELECT filename, coalesce(applied_at, to_timestamp(0)) AS applied_at, to_jsonb(v) ->> 'checksum' AS checksum
FROM schema_versions AS v
ORDER BY filename COLLATE "C"

-- name: shape
-- Is there a ledger, is it one with fingerprints, and is there the table of what runs outside a transaction? (That one
-- is made with the first such migration.)
SELECT to_regclass('schema_versions') IS NOT NULL AS exists, to_regclass('schema_started') IS NOT NULL AS started,
       (SELECT count(*) FROM pg_catalog.pg_attribute
        WHERE attrelid = to_regclass('schema_versions') AND NOT attisdropped AND attname IN
            ('checksum', 'position', 'sql', 'history', 'fingerprint', 'compat', 'remark', 'catalogue')) = 8 AS complete

-- name: started
-- What was begun outside a transaction and is not known to have ended.
SELECT filename, checksum, started_at FROM schema_started ORDER BY filename COLLATE "C"

-- name: catalogue
-- What the database is meant to be: the newest migration keeps it.
SELECT catalogue FROM schema_versions ORDER BY position DESC NULLS LAST LIMIT 1

-- name: texts
-- $1 filenames: the texts that ran.
SELECT filename, sql FROM schema_versions WHERE filename = ANY ($1) AND sql IS NOT NULL
