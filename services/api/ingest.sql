-- name: queue
-- $1 job id, $2 filename, $3 client id: the worker may have been quicker, and its row stands.
INSERT INTO ingest_jobs (id, state, filename, client_id) VALUES ($1, 'queued', $2, $3) ON CONFLICT (id) DO NOTHING

-- name: job
-- $1 job id
SELECT id, state, error, attempts, bytes_done, bytes_total, blob_id, song_id, filename, client_id,
       created_at, started_at, finished_at
FROM ingest_jobs
WHERE id = $1
