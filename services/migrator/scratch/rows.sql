-- name: tables
-- Tables that hold rows of their own, each with what can be written of a row: everything but what is generated.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
       bool_or(a.attidentity = 'a') AS overriding,
       array_agg(pg_catalog.quote_ident(a.attname) ORDER BY a.attnum) AS columns,
       array_agg(pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) ORDER BY a.attnum) AS types,
       array_agg(pg_catalog.pg_get_expr(d.adbin, d.adrelid) ORDER BY a.attnum) AS defaults
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e
                  WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
GROUP BY n.nspname, c.relname
ORDER BY n.nspname, c.relname

-- name: sequences
-- By name, with where each would begin.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, q.seqstart
FROM pg_catalog.pg_sequence AS q
JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e
                  WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY n.nspname, c.relname
