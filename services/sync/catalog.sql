-- name: relation
-- $1 schema, $2 table: the relation of that exact name, whatever its kind.
SELECT c.oid::bigint AS oid, c.relkind::text AS kind, c.relreplident::text AS identity,
       EXISTS (SELECT 1 FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
               WHERE r.prrelid = c.oid AND p.pubname = $3) AS published
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2

-- name: columns
-- $1 relation OID: its columns in order, with what the schema header needs.
SELECT a.attname AS name, a.atttypid::bigint AS type_oid, a.atttypmod AS modifier,
       a.attnotnull AS not_null, a.attgenerated <> '' AS generated,
       coalesce(e.typname, t.typname) AS type_name,
       pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS type_sql,
       CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN greatest(a.attndims, 1) ELSE 0 END AS dims,
       (SELECT k.place - 1 FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.number = a.attnum AND k.place <= i.indnkeyatts
       ) AS pk_index,
       coalesce(l.collisdeterministic, true) AS deterministic
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace s ON s.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: present
-- $1 relation OIDs, $2 publication: those that still exist, with their names and columns as one text.
SELECT c.oid::bigint AS oid, n.nspname AS schema_name, c.relname AS table_name, c.relreplident::text AS identity,
       EXISTS (SELECT 1 FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
               WHERE r.prrelid = c.oid AND p.pubname = $2) AS published,
       (SELECT array_agg(a.attname || ' ' || a.atttypid::bigint || ' ' || a.atttypmod ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = '') AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::bigint[]::oid[])

-- name: slot
-- $1 slot: whether it exists, and whether it can still be used.
SELECT slot_name, plugin, database, coalesce(wal_status, '') AS wal_status, active
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1

-- name: create_slot
-- $1 slot.
SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')

-- name: drop_slot
-- $1 slot.
SELECT pg_catalog.pg_drop_replication_slot($1)

-- name: publication
-- $1 publication: whether it exists.
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = $1)

-- name: wal_level
SELECT pg_catalog.current_setting('wal_level')

-- name: snapshot
-- What a reader of this transaction sees.
SELECT pg_catalog.pg_current_snapshot()::text

-- name: lock
-- One sync at a time makes the publication and the slot.
SELECT pg_catalog.pg_advisory_lock(4914873226811547210)

-- name: unlock
SELECT pg_catalog.pg_advisory_unlock(4914873226811547210)
