-- name: catalogue
-- What migrations make, one row an object: kind, relation, name, definition (the four are the canonical line) and facts
-- (what comparing needs and the line must not hold: object ids, column numbers). Expects the session of catalogue.py.
-- Left out: what an extension owns, the migrator's own tables, and what does not change what the schema means: owners,
-- grants, comments, statistics, storage, fillfactor, publications, and whether replica identity is default or full.
WITH space AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), member AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), home (name) AS (  -- where an object id means the same object
    SELECT concat(c.system_identifier, '/', d.oid)
    FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
    WHERE d.datname = pg_catalog.current_database()
), relation AS (
    SELECT c.oid, c.relkind, c.relname, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
           c.relispartition, c.relpartbound, c.reloptions, c.reltype,
           pg_catalog.format('%I.%I', s.nspname, c.relname) AS named
    FROM pg_catalog.pg_class AS c JOIN space AS s ON s.oid = c.relnamespace
    WHERE c.relname NOT IN ('schema_versions', 'schema_started')
      AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid)
), object (kind, relation, name, definition, facts) AS (
    SELECT 'schema', '', nspname::text, '', '{}'::jsonb FROM space
    WHERE nspname <> 'public'
      AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_namespace'::regclass AND objid = space.oid)

    UNION ALL
    SELECT 'table', named, '',
           concat_ws(' ',
               CASE relkind WHEN 'p' THEN 'partition by ' || pg_catalog.pg_get_partkeydef(oid) WHEN 'f' THEN 'foreign' END,
               CASE WHEN relpersistence = 'u' THEN 'unlogged' END,
               (SELECT string_agg(CASE WHEN relispartition THEN 'partition of ' ELSE 'inherits ' END
                                  || i.inhparent::regclass::text, ' ' ORDER BY i.inhseqno)
                FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = relation.oid),
               pg_catalog.pg_get_expr(relpartbound, oid),
               CASE WHEN relrowsecurity THEN 'row level security' END,
               CASE WHEN relforcerowsecurity THEN 'forced' END,
               CASE relreplident WHEN 'n' THEN 'replica identity nothing' WHEN 'i' THEN 'replica identity index' END),
           jsonb_build_object('oid', oid::bigint, 'home', home.name, 'kind', relkind, 'row_security', relrowsecurity,
                              'forced', relforcerowsecurity, 'partition_of', CASE WHEN relispartition THEN
                                  (SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits AS i
                                   WHERE i.inhrelid = relation.oid) END)
    FROM relation, home WHERE relkind IN ('r', 'p', 'f')

    UNION ALL
    SELECT 'view', named, '',
           concat_ws(' ', CASE relkind WHEN 'm' THEN 'materialized' END,
               (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(reloptions) AS o
                WHERE o ~ '^(security_|check_option)'),
               pg_catalog.pg_get_viewdef(oid)),
           jsonb_build_object('oid', oid::bigint, 'kind', relkind,
                              'updatable', (pg_catalog.pg_relation_is_updatable(oid, false) & 28) = 28,
                              'writable', (pg_catalog.pg_relation_is_updatable(oid, true) & 28) = 28,
                              'reads', (SELECT jsonb_object_agg(b.named, b.columns) FROM (
                                  SELECT d.refobjid::regclass::text, coalesce(jsonb_agg(a.attname ORDER BY a.attname)
                                                                              FILTER (WHERE a.attnum > 0), '[]')
                                  FROM pg_catalog.pg_rewrite AS w
                                  JOIN pg_catalog.pg_depend AS d
                                    ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
                                   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> w.ev_class
                                  LEFT JOIN pg_catalog.pg_attribute AS a
                                    ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                                  WHERE w.ev_class = relation.oid AND w.rulename = '_RETURN'
                                  GROUP BY d.refobjid) AS b (named, columns)))
    FROM relation WHERE relkind IN ('v', 'm')

    UNION ALL
    SELECT CASE r.relkind WHEN 'c' THEN 'attribute' ELSE 'column' END, r.named, a.attname::text,
           concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
               CASE WHEN a.attnotnull THEN 'not null' END,
               CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
               CASE a.attgenerated WHEN 's' THEN 'generated stored' WHEN 'v' THEN 'generated virtual' ELSE
                    CASE WHEN d.oid IS NOT NULL THEN 'default' END END,
               pg_catalog.pg_get_expr(d.adbin, d.adrelid)),
           jsonb_build_object('number', a.attnum, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                              'plain_type', pg_catalog.format_type(coalesce(nullif(t.typelem, 0), t.oid), NULL),
                              'not_null', a.attnotnull, 'default', d.oid IS NOT NULL AND a.attgenerated = '',
                              'generated', a.attgenerated, 'identity', a.attidentity,
                              'updatable', CASE WHEN r.relkind = 'v' THEN
                                  pg_catalog.pg_column_is_updatable(r.oid, a.attnum, false) END,
                              'expression', pg_catalog.pg_get_expr(d.adbin, d.adrelid))
    FROM relation AS r
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')

    UNION ALL
    SELECT 'constraint', r.named, c.conname::text, pg_catalog.pg_get_constraintdef(c.oid),
           jsonb_build_object('kind', c.contype, 'validated', c.convalidated,
                              'action', c.confdeltype, 'update', c.confupdtype, 'deferrable', c.condeferrable,
                              'match', c.confmatchtype,
                              'references', CASE WHEN c.confrelid <> 0 THEN c.confrelid::regclass::text END,
                              'referenced', (SELECT jsonb_agg(a.attname ORDER BY k.n)
                                             FROM unnest(c.confkey) WITH ORDINALITY AS k (number, n)
                                             JOIN pg_catalog.pg_attribute AS a
                                               ON a.attrelid = c.confrelid AND a.attnum = k.number),
                              'columns', (SELECT jsonb_agg(a.attname ORDER BY k.n)
                                          FROM unnest(c.conkey) WITH ORDINALITY AS k (number, n)
                                          JOIN pg_catalog.pg_attribute AS a
                                            ON a.attrelid = c.conrelid AND a.attnum = k.number))
    FROM relation AS r JOIN pg_catalog.pg_constraint AS c ON c.conrelid = r.oid
    WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0

    UNION ALL
    SELECT 'index', r.named, i.relname::text,
           concat_ws(' ',
               regexp_replace(pg_catalog.pg_get_indexdef(i.oid), ' WITH \([^)]*\)(?= WHERE |$)', ''),
               CASE WHEN NOT x.indisvalid THEN 'invalid' END, CASE WHEN x.indisreplident THEN 'replica identity' END),
           jsonb_build_object('unique', x.indisunique, 'valid', x.indisvalid, 'partial', x.indpred IS NOT NULL,
                              'where', pg_catalog.pg_get_expr(x.indpred, x.indrelid),
                              'uses', (SELECT jsonb_agg(DISTINCT a.attname)
                                       FROM pg_catalog.pg_depend AS d
                                       JOIN pg_catalog.pg_attribute AS a
                                         ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                                       WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.oid
                                         AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.oid),
                              'keys', (SELECT jsonb_agg(coalesce(a.attname::text,
                                                                 pg_catalog.pg_get_indexdef(i.oid, k.n::int, true)))
                                       FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, n)
                                       LEFT JOIN pg_catalog.pg_attribute AS a
                                         ON a.attrelid = r.oid AND a.attnum = k.number
                                       WHERE k.n <= x.indnkeyatts),
                              'columns', CASE WHEN x.indexprs IS NULL THEN
                                  (SELECT jsonb_agg(a.attname ORDER BY k.n)
                                   FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, n)
                                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = k.number
                                   WHERE k.n <= x.indnkeyatts) END)
    FROM relation AS r
    JOIN pg_catalog.pg_index AS x ON x.indrelid = r.oid
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid AND NOT i.relispartition
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS c
                      WHERE c.conindid = i.oid AND c.conrelid = r.oid AND c.contype IN ('p', 'u', 'x'))

    UNION ALL
    SELECT 'trigger', r.named, t.tgname::text,
           concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid),
               CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END),
           jsonb_build_object('before', (t.tgtype & 66) <> 0, 'constraint', t.tgconstraint <> 0,
                              'enabled', t.tgenabled NOT IN ('D', 'R'))
    FROM relation AS r JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid
    WHERE NOT t.tgisinternal AND t.tgparentid = 0

    UNION ALL
    SELECT 'policy', r.named, p.polname::text,
           concat_ws(' ', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, p.polcmd::text,
               (SELECT string_agg(coalesce(a.rolname::text, 'public'), ',' ORDER BY a.rolname)
                FROM unnest(p.polroles) AS o (id) LEFT JOIN pg_catalog.pg_roles AS a ON a.oid = o.id),
               'using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid),
               'check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)), '{}'
    FROM relation AS r JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.oid

    UNION ALL
    SELECT 'rule', r.named, w.rulename::text,
           pg_catalog.pg_get_ruledef(w.oid), '{}'
    FROM relation AS r JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.oid
    WHERE w.rulename <> '_RETURN'

    UNION ALL
    SELECT 'sequence', r.named, '',
           concat_ws(' ', q.seqtypid::regtype, 'start', q.seqstart, 'by', q.seqincrement, 'from', q.seqmin, 'to', q.seqmax,
               CASE WHEN q.seqcycle THEN 'cycle' END,
               (SELECT 'owned by ' || d.refobjid::regclass || '.' || a.attname
                FROM pg_catalog.pg_depend AS d
                JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = r.oid AND d.deptype IN ('a', 'i')
                  AND d.refclassid = 'pg_catalog.pg_class'::regclass)), '{}'
    FROM relation AS r JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = r.oid

    UNION ALL
    SELECT 'function', '', pg_catalog.format('%I.%I(%s)', s.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
           concat_ws(' ', p.prokind::text, pg_catalog.pg_get_function_arguments(p.oid),
               'returns ' || pg_catalog.pg_get_function_result(p.oid), l.lanname, p.provolatile::text, p.proparallel::text,
               CASE WHEN p.proisstrict THEN 'strict' END, CASE WHEN p.prosecdef THEN 'security definer' END,
               CASE WHEN p.proleakproof THEN 'leakproof' END, array_to_string(p.proconfig, ' '),
               (SELECT concat_ws(' ', g.aggtransfn::regproc, g.aggfinalfn::regproc, g.agginitval)
                FROM pg_catalog.pg_aggregate AS g WHERE g.aggfnoid = p.oid),
               CASE WHEN p.prosqlbody IS NULL THEN md5(p.prosrc) ELSE pg_catalog.pg_get_function_sqlbody(p.oid) END), '{}'
    FROM pg_catalog.pg_proc AS p
    JOIN space AS s ON s.oid = p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid)
      -- A range type brings its constructors; they are part of it.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')

    UNION ALL
    SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' ELSE 'range' END, '',
           pg_catalog.format('%I.%I', s.nspname, t.typname),
           concat_ws(' ',
               (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid),
               CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
               (SELECT 'collate ' || t.typcollation::regcollation::text FROM pg_catalog.pg_type AS b
                WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
               CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
               (SELECT string_agg(c.conname || ' ' || pg_catalog.pg_get_constraintdef(c.oid), ' ' ORDER BY c.conname)
                FROM pg_catalog.pg_constraint AS c WHERE c.contypid = t.oid AND c.contype = 'c'),
               (SELECT pg_catalog.format_type(g.rngsubtype, NULL) FROM pg_catalog.pg_range AS g WHERE g.rngtypid = t.oid)),
           jsonb_build_object('labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                                         FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid),
                              'not_null', t.typnotnull, 'base', pg_catalog.format_type(t.typbasetype, t.typtypmod),
                              'checks', (SELECT jsonb_object_agg(c.conname, pg_catalog.pg_get_constraintdef(c.oid))
                                         FROM pg_catalog.pg_constraint AS c WHERE c.contypid = t.oid AND c.contype = 'c'))
    FROM pg_catalog.pg_type AS t JOIN space AS s ON s.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r')
      AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid)
)
-- A list of constants of a type that another one takes in (varchar and text, cidr and inet) is printed in one way when it
-- was just made, and in another once it was dumped and restored: `(ARRAY['a'::varchar, 'b'::varchar])::text[]`, then
-- `ARRAY[('a'::varchar)::text, ('b'::varchar)::text]`. Neither cast adds to what the operator before it says.
SELECT kind, relation, name,
       regexp_replace(regexp_replace(definition,
           $$\((ARRAY\[(?:E?'(?:[^']|'')*'::[a-z ]+(?:, )?)+\])\)::[a-z ]+\[\]$$, '\1', 'g'),
           $$\((E?'(?:[^']|'')*'::[a-z ]+)\)::[a-z ]+(?=(?:, \(E?'(?:[^']|'')*'::[a-z ]+\)::[a-z ]+)*\])$$, '\1', 'g')
           AS definition,
       facts
FROM object
