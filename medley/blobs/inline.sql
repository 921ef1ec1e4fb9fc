-- name: write
-- $1 blob id, $2 bytes, $3 sha256: no row when the bytes are not those that were promised.
INSERT INTO media_blob_bytes (blob_id, data)
SELECT $1, $2::bytea WHERE encode(sha256($2::bytea), 'hex') = $3
RETURNING blob_id

-- name: piece
-- $1 blob id, $2 first byte (from 1), $3 how many. Storage is EXTERNAL, so only these bytes are read.
SELECT substring(data FROM $2::int FOR $3::int) FROM media_blob_bytes WHERE blob_id = $1

-- name: remove
-- $1 blob id
DELETE FROM media_blob_bytes WHERE blob_id = $1

-- name: ping
SELECT 1
