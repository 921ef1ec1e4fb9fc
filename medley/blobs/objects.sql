-- name: open_intent
-- $1 key, $2 sha256, $3 lease: the key is about to be written.
INSERT INTO blob_uploads (s3_key, sha256, lease_until) VALUES ($1, $2, now() + $3::interval)

-- name: lock_intent
-- $1 key: no row when the sweep has taken it. Held until the publishing transaction ends.
SELECT s3_key FROM blob_uploads WHERE s3_key = $1 AND state = 'open' FOR UPDATE

-- name: close_intent
-- $1 key: a row of media_blobs names it now.
DELETE FROM blob_uploads WHERE s3_key = $1

-- name: abandon
-- $1 key, $2 sha256: no row names the key from this transaction on; the sweep deletes the object.
INSERT INTO blob_uploads (s3_key, sha256, lease_until) VALUES ($1, $2, now()) ON CONFLICT (s3_key) DO NOTHING
