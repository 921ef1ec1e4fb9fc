-- name: changes_roles
-- Has this transaction written roles?
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = 'pg_catalog.pg_authid'::regclass
      AND mode = 'RowExclusiveLock'
)

-- name: roles
-- By age.
SELECT rolname FROM pg_catalog.pg_roles ORDER BY oid
