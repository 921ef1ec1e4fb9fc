-- name: find
-- $1 sha256
SELECT id, sha256, size, mime, placement, s3_key FROM media_blobs WHERE sha256 = $1
