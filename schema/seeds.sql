-- A first playlist and its settings, to have something to look at: `make seed`, or `psql -f schema/seeds.sql`.
-- Every statement may run again and changes nothing then.

INSERT INTO playlists (id, title, metadata)
VALUES ('00000000-0000-4000-8000-000000000001', 'First listen', '{"description": "What came in first."}')
ON CONFLICT (id) DO NOTHING;

-- The oldest ten songs, in the order in which they came; none on an empty library.
INSERT INTO playlist_songs (playlist_id, song_id, position)
SELECT '00000000-0000-4000-8000-000000000001', song.id, row_number() OVER (ORDER BY song.created_at, song.id) - 1
FROM (SELECT id, created_at FROM songs ORDER BY created_at, id LIMIT 10) AS song
WHERE NOT EXISTS (SELECT FROM playlist_songs WHERE playlist_id = '00000000-0000-4000-8000-000000000001')
ON CONFLICT (playlist_id, song_id) DO NOTHING;

UPDATE config SET settings = settings || '{"theme": "system"}', updated_at = now() WHERE NOT settings ? 'theme';
