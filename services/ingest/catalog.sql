-- name: begin
-- $1 job id, $2 filename, $3 client id: no row when the job is done. A failed job may be tried again.
INSERT INTO ingest_jobs AS job (id, state, attempts, filename, client_id, started_at)
VALUES ($1, 'running', 1, $2, $3, now())
ON CONFLICT (id) DO UPDATE
SET state = 'running', attempts = job.attempts + 1, error = NULL, bytes_done = 0, finished_at = NULL,
    started_at = coalesce(job.started_at, now()), filename = coalesce(job.filename, excluded.filename),
    client_id = coalesce(job.client_id, excluded.client_id)
WHERE job.state <> 'done'
RETURNING job.id

-- name: progress
-- $1 job id, $2 bytes done, $3 bytes in all
UPDATE ingest_jobs SET bytes_done = $2, bytes_total = $3 WHERE id = $1 AND state = 'running'

-- name: wait
-- $1 job id, $2 reason: it will be tried again.
UPDATE ingest_jobs SET state = 'queued', error = $2, bytes_done = 0 WHERE id = $1 AND state IN ('queued', 'running')

-- name: fail
-- $1 job id, $2 reason, $3 filename, $4 client id
INSERT INTO ingest_jobs AS job (id, state, error, filename, client_id, finished_at)
VALUES ($1, 'failed', $2, $3, $4, now())
ON CONFLICT (id) DO UPDATE SET state = 'failed', error = excluded.error, finished_at = now()
WHERE job.state <> 'done'

-- name: find
-- $1 sha256: the blob and its oldest song.
SELECT blob.id AS blob_id,
       (SELECT song.id FROM songs AS song WHERE song.blob_id = blob.id ORDER BY song.created_at, song.id LIMIT 1) AS song_id
FROM media_blobs AS blob
WHERE blob.sha256 = $1

-- name: add_blob
-- $1 sha256, $2 size, $3 mime, $4 placement, $5 S3 key, $6 client id, $7 local path, $8 metadata: no row when another
-- transaction published this digest first (waits for it when it is still open).
INSERT INTO media_blobs (sha256, size, mime, placement, s3_key, verified_at, source_client_id, local_path, metadata)
VALUES ($1, $2, $3, $4, $5, now(), $6, $7, $8::jsonb)
ON CONFLICT (sha256) DO NOTHING
RETURNING id

-- name: lock_blob
-- $1 sha256: held until the transaction ends. A lock and not an update: clients must not see a change where none is.
SELECT id FROM media_blobs WHERE sha256 = $1 FOR UPDATE

-- name: song_of
-- $1 blob id: its oldest song.
SELECT id FROM songs WHERE blob_id = $1 ORDER BY created_at, id LIMIT 1

-- name: add_song
-- $1 id, $2 blob id, $3 title, $4 artist, $5 album, $6 seconds, $7 client id, $8 metadata
INSERT INTO songs (id, blob_id, title, artist, album, seconds, client_id, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
RETURNING id

-- name: finish
-- $1 job id, $2 blob id, $3 song id, $4 size. An upsert: the row says done whatever became of it meanwhile.
INSERT INTO ingest_jobs AS job (id, state, attempts, blob_id, song_id, bytes_done, bytes_total, started_at, finished_at)
VALUES ($1, 'done', 1, $2, $3, $4, $4, now(), now())
ON CONFLICT (id) DO UPDATE
SET state = 'done', error = NULL, blob_id = excluded.blob_id, song_id = excluded.song_id,
    bytes_done = excluded.bytes_done, bytes_total = excluded.bytes_total, finished_at = now()
