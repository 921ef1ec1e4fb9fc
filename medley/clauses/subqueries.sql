-- name: view_tree
-- $1 view: a view of this session's temporary schema, as Postgres keeps it.
SELECT r.ev_action::text FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
WHERE c.relname = $1 AND c.relnamespace = pg_catalog.pg_my_temp_schema()

-- name: view_text
-- $1 view: the same as SQL. Names that are not pg_catalog's are qualified where it alone is searched.
SELECT pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c
WHERE c.relname = $1 AND c.relnamespace = pg_catalog.pg_my_temp_schema()

-- name: read_tables
-- $1 OIDs of relations: each with its columns' names by number.
SELECT c.oid::bigint AS oid, n.nspname AS schema_name, c.relname AS name,
       c.relnamespace = pg_catalog.pg_my_temp_schema() AS is_ours, c.relkind = 'p' AS partitioned,
       (SELECT pg_catalog.jsonb_object_agg(a.attnum, a.attname) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::bigint[]::oid[])
