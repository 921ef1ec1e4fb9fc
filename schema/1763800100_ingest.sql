-- Ingest: jobs that clients can follow, intents of uploads to S3, resumable uploads, idempotency of writes.

CREATE TABLE ingest_jobs (
    id          uuid        PRIMARY KEY,
    state       text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    error       text,
    attempts    integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    bytes_done  bigint      NOT NULL DEFAULT 0 CHECK (bytes_done >= 0),
    bytes_total bigint      CHECK (bytes_total >= 0),
    blob_id     uuid        REFERENCES media_blobs (id) ON DELETE SET NULL,
    song_id     uuid        REFERENCES songs (id) ON DELETE SET NULL,
    filename    text,
    client_id   text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    finished_at timestamptz,
    CHECK ((state = 'failed') <= (error IS NOT NULL)),
    CHECK ((state = 'done') <= (blob_id IS NOT NULL OR finished_at IS NOT NULL))
);
CREATE INDEX ingest_jobs_open ON ingest_jobs (created_at) WHERE state IN ('queued', 'running');
CREATE INDEX ingest_jobs_blob_id ON ingest_jobs (blob_id);
CREATE INDEX ingest_jobs_song_id ON ingest_jobs (song_id);

-- An intent to write one S3 key; a key is used by one attempt and never again.
CREATE TABLE blob_uploads (
    s3_key      text        PRIMARY KEY,
    sha256      text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'swept')),
    lease_until timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX blob_uploads_lease ON blob_uploads (lease_until);

-- A resumable upload (tus 1.0).
CREATE TABLE uploads (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    size        bigint      CHECK (size >= 0),
    received    bigint      NOT NULL DEFAULT 0 CHECK (received >= 0),
    filename    text,
    client_id   text,
    metadata    jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL DEFAULT now() + interval '1 day',
    CHECK (size IS NULL OR received <= size)
);

-- Idempotency of writes: a key answers as it answered the first time.
CREATE TABLE mutations (
    id         text        PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),
    txid       bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
