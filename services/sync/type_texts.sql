-- name: type_texts
-- $1 type OIDs: what the texts of their values are made of, and of the types that they are made of in turn: the name of
-- each type, an enum's labels, and the attributes of a composite (`number type modifier`). Types that came with Postgres
-- stay as they are.
WITH RECURSIVE types (oid) AS (
    SELECT pg_catalog.unnest($1::bigint[])::oid
    UNION
    SELECT part.oid
    FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid
    CROSS JOIN LATERAL (
        SELECT t.typelem AS oid
        UNION ALL SELECT t.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
        UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                  WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) part
    WHERE part.oid >= 16384
)
SELECT 'name' AS kind, t.oid::bigint AS oid, t.typname::text AS text
FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid
UNION ALL
SELECT 'label', e.oid::bigint, e.enumlabel::text
FROM types JOIN pg_catalog.pg_enum e ON e.enumtypid = types.oid
UNION ALL
SELECT 'attributes', t.oid::bigint,
       pg_catalog.string_agg(a.attnum || ' ' || a.atttypid::bigint || ' ' || a.atttypmod, ',' ORDER BY a.attnum)
FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid AND t.typtype = 'c'
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY t.oid
ORDER BY 1, 2
