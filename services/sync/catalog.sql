-- name: relation
-- $1 schema, $2 table, $3 publication: the relation of that exact name, whatever its kind. A partitioned table has the
-- identity of its partitions: they are what is written. `followed_as`: a partitioned table that it is a part of, and under
-- whose name the stream has its changes. `partitions`: a digest of them and their files, since no change tells that one was
-- detached, attached, dropped or emptied. `late_key`: its primary key is deferrable.
SELECT c.oid::bigint AS oid, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       coalesce((SELECT bool_and(l.relreplident = 'f')
                 FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid),
                c.relreplident = 'f') AS full_identity,
       (SELECT pg_catalog.quote_ident(an.nspname) || '.' || pg_catalog.quote_ident(ac.relname)
        FROM pg_catalog.pg_partition_ancestors(c.oid) a (relid)
        JOIN pg_catalog.pg_publication_rel ar ON ar.prrelid = a.relid
        JOIN pg_catalog.pg_publication ap ON ap.oid = ar.prpubid AND ap.pubname = $3
        JOIN pg_catalog.pg_class ac ON ac.oid = a.relid JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace
        WHERE a.relid <> c.oid LIMIT 1) AS followed_as,
       r.oid::bigint AS publication_entry,
       coalesce((SELECT pg_catalog.md5(pg_catalog.string_agg(l.oid || ':' || l.relfilenode, ',' ORDER BY l.oid))
                 FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid
                 WHERE c.relkind = 'p' AND t.isleaf), '') AS partitions,
       EXISTS (SELECT FROM pg_catalog.pg_index k WHERE k.indrelid = c.oid AND k.indisprimary AND NOT k.indimmediate) AS late_key
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN (pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid AND p.pubname = $3)
     ON r.prrelid = c.oid
WHERE n.nspname = $1 AND c.relname = $2

-- name: members
-- $1 relation OID: the table itself, and every partition of it at any depth, as SQL names them.
SELECT $1::bigint::oid::regclass::text AS name
UNION
SELECT t.relid::regclass::text FROM pg_catalog.pg_partition_tree($1::bigint::oid) t

-- name: columns
-- $1 relation OID: its columns in order, with what the schema header needs. Generated columns are in the replication
-- stream from Postgres 18 on, and only stored ones. An array is its element's array type: `oidvector`, which has elements, too,
-- is not written like one, and a domain over an array is a type of its own.
SELECT a.attname AS name, a.atttypid::bigint AS type_oid, a.atttypmod AS modifier,
       a.attnotnull AS not_null, a.attgenerated = 'v' AS virtual,
       a.attgenerated = '' OR (a.attgenerated = 's' AND pg_catalog.current_setting('server_version_num')::int >= 180000)
           AS published,
       coalesce(e.typname, t.typname) AS type_name,
       pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS type_sql,
       CASE WHEN e.oid IS NOT NULL THEN greatest(a.attndims, 1) ELSE 0 END AS dims,
       (SELECT k.place - 1 FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.number = a.attnum AND k.place <= i.indnkeyatts
       ) AS pk_index,
       coalesce(l.collisdeterministic, true) AS deterministic
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace s ON s.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: clause_columns
-- $1 relation OID: its columns that the replication stream holds, as a clause sees them; types are qualified where
-- pg_catalog alone is searched.
SELECT a.attname AS name, a.atttypid::bigint AS type_oid, a.atttypmod AS modifier,
       pg_catalog.format_type(a.atttypid, a.atttypmod) || coalesce((
           SELECT ' COLLATE ' || pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(l.collname)
           FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace s ON s.oid = l.collnamespace
           WHERE l.oid = a.attcollation), '') AS type_sql,
       coalesce(e.typname || '[]', t.typname) AS type_name,
       t.typtype = 'd' OR t.oid IN ('pg_catalog.json'::regtype, 'pg_catalog.jsonb'::regtype) AS made_of_text,
       coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), true)
           AS deterministic,
       a.attcollation <> 0 AND pg_catalog.getdatabaseencoding() = 'UTF8' AND coalesce((
           SELECT CASE coalesce(nullif(l.collprovider, 'd'), d.datlocprovider)
               WHEN 'b' THEN true
               WHEN 'c' THEN coalesce(nullif(l.collcollate, ''), d.datcollate) IN ('C', 'POSIX') END
           FROM pg_catalog.pg_collation l, pg_catalog.pg_database d
           WHERE l.oid = a.attcollation AND d.datname = pg_catalog.current_database()), false) AS bytewise,
       t.typtype = 'e' AS enumerated
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
  AND (a.attgenerated = ''
       OR (a.attgenerated = 's' AND pg_catalog.current_setting('server_version_num')::int >= 180000))
ORDER BY a.attnum

-- name: present
-- $1 relation OIDs, $2 publication: those that still exist: names, identity, place in the publication, columns
-- (`name type modifier`), the columns that are NOT NULL, the primary key's columns in order, and what
-- `relation` tells of partitions and a deferrable key.
SELECT c.oid::bigint AS oid, n.nspname AS schema_name, c.relname AS table_name,
       coalesce((SELECT bool_and(l.relreplident = 'f')
                 FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid),
                c.relreplident = 'f') AS full_identity,
       (SELECT pg_catalog.quote_ident(an.nspname) || '.' || pg_catalog.quote_ident(ac.relname)
        FROM pg_catalog.pg_partition_ancestors(c.oid) a (relid)
        JOIN pg_catalog.pg_publication_rel ar ON ar.prrelid = a.relid
        JOIN pg_catalog.pg_publication ap ON ap.oid = ar.prpubid AND ap.pubname = $2
        JOIN pg_catalog.pg_class ac ON ac.oid = a.relid JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace
        WHERE a.relid <> c.oid LIMIT 1) AS followed_as,
       r.oid::bigint AS publication_entry,
       (SELECT array_agg(a.attname || ' ' || a.atttypid::bigint || ' ' || a.atttypmod ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND (a.attgenerated = ''
               OR (a.attgenerated = 's' AND pg_catalog.current_setting('server_version_num')::int >= 180000))) AS columns,
       (SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull) AS not_null,
       (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place),
             pg_catalog.pg_attribute a
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
          AND a.attrelid = c.oid AND a.attnum = k.number) AS primary_key,
       coalesce((SELECT pg_catalog.md5(pg_catalog.string_agg(l.oid || ':' || l.relfilenode, ',' ORDER BY l.oid))
                 FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid
                 WHERE c.relkind = 'p' AND t.isleaf), '') AS partitions,
       EXISTS (SELECT FROM pg_catalog.pg_index k WHERE k.indrelid = c.oid AND k.indisprimary AND NOT k.indimmediate) AS late_key
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN (pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid AND p.pubname = $2)
     ON r.prrelid = c.oid
WHERE c.oid = ANY ($1::bigint[]::oid[])

-- name: slot
-- $1 slot: whether it exists, and whether it can still be used.
SELECT slot_name, plugin, database, coalesce(wal_status, '') AS wal_status, active
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1

-- name: slot_state
-- $1 slot: up to where the log is written, from where it is kept for the slot, and what was confirmed, as LSNs.
SELECT (pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS written,
       (restart_lsn - '0/0'::pg_lsn)::bigint AS kept_from,
       (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint AS confirmed, coalesce(wal_status, '') AS wal_status
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND restart_lsn IS NOT NULL

-- name: create_slot
-- $1 slot.
SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')

-- name: drop_slot
-- $1 slot.
SELECT pg_catalog.pg_drop_replication_slot($1)

-- name: publication
-- $1 publication: whether changes of partitions are published as their root's, and stored generated columns at all
-- (Postgres 18; NULL before); no row when it does not exist.
SELECT pubviaroot AS via_root, to_jsonb(p) ->> 'pubgencols' = 's' AS generated
FROM pg_catalog.pg_publication p WHERE pubname = $1

-- name: database
-- Which database this is, on which timeline, and how far its log has been written.
SELECT s.system_identifier || '/' || c.timeline_id || '/' || d.oid AS identity,
       (pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS written
FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_database d
WHERE d.datname = pg_catalog.current_database()

-- name: wal_level
SELECT pg_catalog.current_setting('wal_level')

-- name: lock
-- One sync at a time makes the publication and the slot.
SELECT pg_catalog.pg_advisory_lock(4914873226811547210)

-- name: unlock
SELECT pg_catalog.pg_advisory_unlock(4914873226811547210)

-- name: moment
-- What a reader of this transaction sees, and up to where the log has been written and flushed after that.
SELECT pg_catalog.pg_current_snapshot()::text AS snapshot,
       (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS written,
       (pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS flushed

-- name: nudge
-- A commit that flushes what was written before it.
SELECT pg_catalog.pg_logical_emit_message(true, 'medley', '')

-- name: columns_now
-- $1 relation OIDs, $2 publication: name, type and modifier of each column, the primary key's columns in order, and the
-- place in the publication.
SELECT a.attrelid::bigint AS oid,
       array_agg(ARRAY[a.attname::text, a.atttypid::bigint::text, a.atttypmod::text] ORDER BY a.attnum) AS columns,
       (SELECT array_agg(b.attname::text ORDER BY k.place)
        FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place),
             pg_catalog.pg_attribute b
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.place <= i.indnkeyatts
          AND b.attrelid = a.attrelid AND b.attnum = k.number) AS primary_key,
       (SELECT r.oid::bigint FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid AND p.pubname = $2
        WHERE r.prrelid = a.attrelid) AS publication_entry
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = ANY ($1::bigint[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY a.attrelid
