-- name: table
-- $1 relation OID, $2 schema, $3 table: the relation, if it still has that name, with its columns in order; what this
-- transaction sees; and a place in the log behind the commit of all that it sees, read after it began to see.
SELECT pg_catalog.pg_current_snapshot()::text AS snapshot,
       (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::bigint - 1 AS lsn,
       c.relkind = 'p' AS partitioned,
       array_agg(a.attname::text ORDER BY a.attnum) AS names,
       array_agg(a.atttypid::bigint ORDER BY a.attnum) AS type_oids,
       array_agg(a.atttypmod ORDER BY a.attnum) AS modifiers,
       array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) || coalesce((
           SELECT ' COLLATE ' || pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(l.collname)
           FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace s ON s.oid = l.collnamespace
           WHERE l.oid = a.attcollation), '') ORDER BY a.attnum) AS types_sql
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid = $1::bigint::oid AND n.nspname = $2 AND c.relname = $3 AND c.relkind IN ('r', 'p')
GROUP BY c.oid
