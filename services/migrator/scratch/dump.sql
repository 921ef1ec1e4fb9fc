-- name: tables
-- Tables of the schema with what to write of a row: columns that a row would not get by itself.
-- A default that is another value each time (a time, a random id, a sequence) is left to the database, as it was when
-- the migration wrote the row, unless another table points to it.
SELECT c.oid::int8 AS oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
       array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e
                  WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  AND a.attgenerated = '' AND a.attidentity = ''
  AND (coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') !~*
           '(now|timestamp|timeofday|random|uuid\w*|nextval)\(|current_|local'
       OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS f
                  WHERE f.contype = 'f' AND f.confrelid = c.oid AND a.attnum = ANY (f.confkey)))
GROUP BY c.oid, n.nspname, c.relname
ORDER BY n.nspname, c.relname

-- name: references
-- Who points to whom: rows of the second go in first.
SELECT conrelid::int8 AS child, confrelid::int8 AS parent FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid
