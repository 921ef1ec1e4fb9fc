-- name: moment
-- What a reader of this transaction sees, and up to where the log had been written after that.
SELECT pg_catalog.pg_current_snapshot()::text AS snapshot,
       (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS written

-- name: nudge
-- A commit that flushes what was written before it, so that sync hears of it on a quiet database, too.
SELECT pg_catalog.pg_logical_emit_message(true, 'medley', '')

-- name: relation
-- $1 OID of a table: as FROM names it, and whether it is partitioned (then with its parts, else its own rows only).
SELECT n.nspname AS schema_name, c.relname AS table_name, c.relkind = 'p' AS partitioned
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1::bigint::oid

-- name: relation_named
-- $1 name of a table as SQL writes it: its OID, or NULL.
SELECT pg_catalog.to_regclass($1)::oid::bigint AS oid

-- name: columns
-- $1 OID of a table: its columns in order, with their places in the primary key; `json`: of type json or jsonb.
SELECT a.attname AS name, a.atttypid::bigint AS type_oid, a.atttypmod AS modifier, a.attnotnull AS not_null,
       (SELECT k.place - 1 FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.number = a.attnum AND k.place <= i.indnkeyatts) AS pk_index,
       a.atttypid IN ('pg_catalog.json'::regtype, 'pg_catalog.jsonb'::regtype) AS json
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: written
-- Where the log ends now.
SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS written

-- name: slot
-- $1 slot: whose it is, whether it can still be used, what was confirmed, and how many bytes of the log it keeps.
SELECT coalesce(database = pg_catalog.current_database(), false) AS ours, plugin, coalesce(wal_status, '') AS wal_status, active,
       coalesce((confirmed_flush_lsn - '0/0'::pg_lsn)::bigint, 0) AS confirmed,
       coalesce((pg_catalog.pg_current_wal_insert_lsn() - restart_lsn)::bigint, 0) AS retained
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1
