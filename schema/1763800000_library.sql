-- The library: blobs, songs, playlists, and one row of configuration.

CREATE TABLE media_blobs (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    sha256           text        NOT NULL UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size             bigint      NOT NULL CHECK (size > 0),
    mime             text        NOT NULL CHECK (mime ~ '^[a-z0-9.+-]+/[a-z0-9.+-]+$'),
    placement        text        NOT NULL CHECK (placement IN ('s3', 'inline')),
    s3_key           text        UNIQUE,
    verified_at      timestamptz,
    source_client_id text,
    local_path       text,
    metadata         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at       timestamptz NOT NULL DEFAULT now(),
    CHECK ((placement = 's3') = (s3_key IS NOT NULL))
);
CREATE INDEX media_blobs_artist ON media_blobs ((metadata ->> 'artist'));
CREATE INDEX media_blobs_created_at ON media_blobs (created_at);

-- The bytes of inline blobs, in a table of their own: it is never published.
CREATE TABLE media_blob_bytes (
    blob_id uuid  PRIMARY KEY REFERENCES media_blobs (id) ON DELETE CASCADE,
    data    bytea NOT NULL CHECK (octet_length(data) > 0)
);
ALTER TABLE media_blob_bytes ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE songs (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    blob_id         uuid        NOT NULL REFERENCES media_blobs (id),
    artwork_blob_id uuid        REFERENCES media_blobs (id),
    title           text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 1024),
    artist          text        CHECK (char_length(artist) <= 1024),
    album           text        CHECK (char_length(album) <= 1024),
    seconds         double precision CHECK (seconds >= 0 AND seconds < 'Infinity'),
    client_id       text,
    metadata        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX songs_blob_id ON songs (blob_id);
CREATE INDEX songs_artwork_blob_id ON songs (artwork_blob_id);
CREATE INDEX songs_artist ON songs ((metadata ->> 'artist'));
CREATE INDEX songs_created_at ON songs (created_at);

CREATE TABLE playlists (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    title      text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 1024),
    client_id  text,
    metadata   jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE playlist_songs (
    playlist_id uuid        NOT NULL REFERENCES playlists (id) ON DELETE CASCADE,
    song_id     uuid        NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    position    integer     NOT NULL CHECK (position >= 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (playlist_id, song_id)
);
CREATE INDEX playlist_songs_song_id ON playlist_songs (song_id);

CREATE TABLE config (
    id         text        PRIMARY KEY DEFAULT 'config' CHECK (id = 'config'),
    settings   jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO config DEFAULT VALUES;
