-- name: relations
-- Every table and view of ours with its columns, numbered as a node tree numbers them. The migrator's own tables are
-- left out, as they are in `medley/gate/catalogue.sql`. Expects an empty search path: types of ours have their schema.
SELECT c.oid::bigint AS oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       a.attnum::int AS number, a.attname::text AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND c.relname NOT IN ('schema_versions', 'schema_started')

-- name: parameter_types
-- $1 prepared statement
SELECT parameter_types::text[] FROM pg_catalog.pg_prepared_statements WHERE name = $1

-- name: analysed
-- $1 procedure of this session: the tree of its body, as Postgres keeps it.
SELECT prosqlbody::text FROM pg_catalog.pg_proc WHERE proname = $1 AND pronamespace = pg_catalog.pg_my_temp_schema()

-- name: index_keys
-- $1 schema, $2 indexes of that schema: the table of each, its columns and expressions, its condition. Expects an empty
-- search path.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
       (SELECT array_agg(coalesce(a.attname::text, pg_catalog.pg_get_indexdef(x.indexrelid, k.place::int, true)))
        FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
        WHERE k.place <= x.indnkeyatts) AS keys,
       pg_catalog.pg_get_expr(x.indpred, x.indrelid) AS condition
FROM pg_catalog.pg_index AS x
JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_class AS c ON c.oid = x.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace
WHERE n.nspname = $1 AND i.relname = ANY ($2::text[])
