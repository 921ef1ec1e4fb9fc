-- name: tables
-- The tables (and materialized views) of users, by oid.
SELECT c.oid
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')

-- name: state
-- $1 tables: all that only work in proportion to a table can bring about (`identity` changes with each such work), and
-- which columns and constraints there are.
SELECT 'rewrite' AS kind, c.oid AS table_oid, c.oid::regclass::text AS table_name, '' AS item,
       c.relfilenode::bigint AS identity, '{}'::smallint[] AS columns, false AS defaulted
FROM pg_class c
WHERE c.oid = ANY ($1::oid[]) AND c.relkind IN ('r', 'm')
UNION ALL
-- By its files: an index that ALTER TYPE makes again of the same files was not built. One of partitions has none.
SELECT 'index', i.indrelid, i.indrelid::regclass::text, c.relname,
       CASE c.relkind WHEN 'I' THEN c.oid::bigint ELSE c.relfilenode::bigint END, '{}', i.indisprimary
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY ($1::oid[]) AND NOT c.relispartition
UNION ALL
-- A foreign key of columns without a default: on new columns Postgres knows that there is nothing to look at.
SELECT CASE con.contype WHEN 'f' THEN 'foreign key' ELSE 'check' END,
       con.conrelid, con.conrelid::regclass::text, con.conname, con.oid::bigint, con.conkey,
       EXISTS (
           SELECT FROM pg_attribute a WHERE a.attrelid = con.conrelid AND a.attnum = ANY (con.conkey) AND a.atthasdef
       )
FROM pg_constraint con
WHERE con.conrelid = ANY ($1::oid[]) AND con.contype IN ('c', 'f') AND con.convalidated AND con.conislocal
UNION ALL
-- A valid CHECK (x IS NOT NULL) spares the scan; a NOT NULL that is NOT VALID (Postgres 18) has not scanned yet, and
-- its identity tells when it was there before.
SELECT 'not null', a.attrelid, a.attrelid::regclass::text, a.attname, coalesce(n.oid, 0)::bigint, ARRAY[a.attnum],
       a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a
LEFT JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum]
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
  AND n.convalidated IS DISTINCT FROM false
  AND NOT EXISTS (
      SELECT
      FROM pg_constraint c
      WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND c.convalidated
        AND pg_get_constraintdef(c.oid) = 'CHECK ((' || quote_ident(a.attname) || ' IS NOT NULL))'
  )
UNION ALL
SELECT 'column', attrelid, attrelid::regclass::text, attname, 0, ARRAY[attnum], false
FROM pg_attribute
WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', conrelid, conrelid::regclass::text, conname, oid::bigint, '{}', false
FROM pg_constraint
WHERE conrelid = ANY ($1::oid[])

-- name: held
-- The locks of this transaction that keep others from reading or writing, the strongest of each table.
SELECT DISTINCT ON (relation) relation, mode
FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation'
  AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY relation, array_position(
    ARRAY['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock'], mode
)
