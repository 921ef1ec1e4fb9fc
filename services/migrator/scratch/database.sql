-- name: now
-- Seconds, by the server's clock: the machines that make scratch databases may disagree.
SELECT extract(epoch FROM now())::bigint

-- name: unused
-- Scratch databases that nobody is connected to.
SELECT datname
FROM pg_database d
WHERE starts_with(datname::text, 'medley_scratch_')
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
