-- name: versions
-- $1 kinds, $2 OIDs: a text for each that is another one after any change of it. Of a table, the collations that its
-- columns name count.
SELECT u.kind, u.oid, coalesce(CASE u.kind
    WHEN 'function' THEN (SELECT p.xmin::text FROM pg_catalog.pg_proc p WHERE p.oid = u.oid::oid)
    WHEN 'operator' THEN (SELECT o.xmin::text FROM pg_catalog.pg_operator o WHERE o.oid = u.oid::oid)
    WHEN 'collation' THEN (SELECT l.xmin::text FROM pg_catalog.pg_collation l WHERE l.oid = u.oid::oid)
    WHEN 'type' THEN (
        SELECT pg_catalog.md5(pg_catalog.concat_ws(' ', t.xmin,
            (SELECT pg_catalog.string_agg(e.oid || ':' || e.xmin::text, ',' ORDER BY e.oid)
             FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
            (SELECT pg_catalog.string_agg(c.oid || ':' || c.xmin::text, ',' ORDER BY c.oid)
             FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid),
            (SELECT pg_catalog.string_agg(a.attnum || ':' || a.xmin::text, ',' ORDER BY a.attnum)
             FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid)))
        FROM pg_catalog.pg_type t WHERE t.oid = u.oid::oid)
    WHEN 'table' THEN (
        SELECT pg_catalog.string_agg(a.attnum || ':' || a.attcollation, ',' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = u.oid::oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attcollation <> (SELECT t.typcollation FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid))
    WHEN 'text search' THEN pg_catalog.md5(pg_catalog.concat_ws(' ',
        (SELECT pg_catalog.string_agg(g.oid || ':' || g.xmin::text, ',' ORDER BY g.oid) FROM pg_catalog.pg_ts_config g),
        (SELECT pg_catalog.string_agg(d.oid || ':' || d.xmin::text, ',' ORDER BY d.oid) FROM pg_catalog.pg_ts_dict d),
        (SELECT pg_catalog.string_agg(m.mapcfg || ':' || m.maptokentype || ':' || m.mapseqno || ':' || m.xmin::text, ','
                ORDER BY m.mapcfg, m.maptokentype, m.mapseqno)
         FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg >= 16384)))
    END, '') AS version
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::bigint[])) AS u (kind, oid)
