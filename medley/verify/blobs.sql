-- name: page
-- $1 the last id before, $2 how many: blobs in the order of their ids.
SELECT id, sha256, size, mime, placement, s3_key FROM media_blobs WHERE id > $1 ORDER BY id LIMIT $2

-- name: count
-- $1 the last id before: how many there are, and of how many bytes.
SELECT count(*) AS blobs, coalesce(sum(size), 0)::bigint AS bytes FROM media_blobs WHERE id > $1

-- name: inline_size
-- $1 blob id: bytes that are there; NULL where there are none.
SELECT octet_length(data)::bigint AS size FROM media_blob_bytes WHERE blob_id = $1

-- name: unnamed
-- $1 keys: those that neither a blob nor an upload names.
SELECT k.key FROM unnest($1::text[]) AS k (key)
WHERE NOT EXISTS (SELECT FROM media_blobs b WHERE b.s3_key = k.key)
  AND NOT EXISTS (SELECT FROM blob_uploads u WHERE u.s3_key = k.key)

-- name: local_path
-- $1 sha256: where the bytes came from, if that is known.
SELECT local_path FROM media_blobs WHERE sha256 = $1
