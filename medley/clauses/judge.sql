-- name: constraint
-- $1 constraint: the expression of a check constraint of this session's temporary tables, as Postgres keeps it.
SELECT c.conbin::text FROM pg_catalog.pg_constraint c
WHERE c.conname = $1 AND c.connamespace = pg_catalog.pg_my_temp_schema()

-- name: expression
-- $1 constraint: the same as SQL. Names that are not pg_catalog's are qualified where it alone is searched.
SELECT pg_catalog.pg_get_expr(c.conbin, c.conrelid) FROM pg_catalog.pg_constraint c
WHERE c.conname = $1 AND c.connamespace = pg_catalog.pg_my_temp_schema()

-- name: functions
-- $1 OIDs of functions, $2 OIDs of operators: each function, and each operator's, with what it promises.
SELECT p.oid::bigint AS oid, p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' AS signature,
       p.provolatile::text AS volatility, p.proretset AS is_set, p.proleakproof AS leakproof,
       p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AS builtin,
       pg_catalog.has_function_privilege(p.oid, 'EXECUTE') AS executable
FROM pg_catalog.pg_proc p
WHERE p.oid = ANY ($1::bigint[]::oid[])
   OR p.oid IN (SELECT o.oprcode FROM pg_catalog.pg_operator o WHERE o.oid = ANY ($2::bigint[]::oid[]))

-- name: types
-- $1 OIDs of types, $2 those of them that text may be read as: these and all that they are made of, with the
-- functions that read and write their text. `is_ours`: a row of the temporary table.
WITH RECURSIVE part (oid, is_made, is_named) AS (
    SELECT t.oid, t.oid = ANY ($2::bigint[]::oid[]), true FROM pg_catalog.pg_type t WHERE t.oid = ANY ($1::bigint[]::oid[])
    UNION
    SELECT of.oid, p.is_made, false
    FROM part p
    JOIN pg_catalog.pg_type t ON t.oid = p.oid
    CROSS JOIN LATERAL (
        SELECT t.typelem AS oid WHERE t.typcategory = 'A'
        UNION ALL SELECT t.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) of
    WHERE of.oid <> 0
)
SELECT p.oid::bigint AS oid, pg_catalog.format_type(p.oid, NULL) AS name, p.is_made,
       o.proname AS output, o.provolatile::text AS output_volatility,
       i.proname AS input, i.provolatile::text AS input_volatility,
       p.is_named AND t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname LIKE 'reg%'
           AND t.typname NOT IN ('regconfig', 'regdictionary') AS is_catalogued,
       t.typnamespace = pg_catalog.pg_my_temp_schema() AS is_ours
FROM part p
JOIN pg_catalog.pg_type t ON t.oid = p.oid
JOIN pg_catalog.pg_proc o ON o.oid = t.typoutput
JOIN pg_catalog.pg_proc i ON i.oid = t.typinput
