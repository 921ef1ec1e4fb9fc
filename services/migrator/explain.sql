-- name: blockers
-- Sessions that hold a lock on a table, the oldest transaction first: who a migration may be waiting for.
SELECT a.pid, a.application_name AS application, a.state, now() - a.xact_start AS since, left(a.query, 80) AS query
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid <> pg_backend_pid() AND a.datname = current_database() AND a.xact_start IS NOT NULL
  AND EXISTS (SELECT FROM pg_catalog.pg_locks AS l
              JOIN pg_catalog.pg_class AS c ON c.oid = l.relation AND c.relnamespace <> 'pg_catalog'::regnamespace
              WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation')
ORDER BY a.xact_start
LIMIT 3
