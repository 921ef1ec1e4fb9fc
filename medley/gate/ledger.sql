-- name: rows
-- Every applied migration in the order in which it ran.
SELECT filename, applied_at, checksum, history, fingerprint, compat, remark
FROM schema_versions
ORDER BY position, filename COLLATE "C"

-- name: early_rows
-- The same of a ledger that a migrator without fingerprints made.
SELECT filename, applied_at, checksum FROM schema_versions ORDER BY filename COLLATE "C"

-- name: has_started
-- The table of what runs outside a transaction is made with the first such migration.
SELECT to_regclass('schema_started') IS NOT NULL

-- name: started
-- What was begun outside a transaction and is not known to have ended.
SELECT filename, checksum, started_at FROM schema_started ORDER BY filename COLLATE "C"

-- name: catalogue
-- What the database was when the newest migration was recorded.
SELECT catalogue FROM schema_versions WHERE catalogue IS NOT NULL ORDER BY position DESC LIMIT 1

-- name: texts
-- $1 filenames: the texts that ran.
SELECT filename, sql FROM schema_versions WHERE filename = ANY ($1) AND sql IS NOT NULL
