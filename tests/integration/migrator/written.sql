-- Rows of every kind, in tables of every kind, and what gives out numbers.
CREATE TABLE zebras (id int PRIMARY KEY, mother int REFERENCES zebras (id), name text NOT NULL UNIQUE);
INSERT INTO zebras (id, mother, name) VALUES (9, NULL, 'Eve'), (2, 9, 'it''s'), (1, 2, E'a\\b\n  -- "c"\n;\t$$'), (30, 1, '');
CREATE TABLE ants (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zebra int NOT NULL REFERENCES zebras, twice int
    GENERATED ALWAYS AS (zebra * 2) STORED);
INSERT INTO ants (zebra) VALUES (9), (2), (9);
CREATE TABLE bees (id serial PRIMARY KEY, ant int REFERENCES ants, best int, at timestamptz NOT NULL DEFAULT now());
INSERT INTO bees (ant) SELECT id FROM ants;
INSERT INTO bees (ant, at) VALUES (1, '2020-02-03 04:05:06.789+05:45');
ALTER TABLE ants ADD COLUMN best int REFERENCES bees (id);
UPDATE ants SET best = 2 WHERE id = 1;
CREATE TABLE everything (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), doc jsonb, plain json, bytes bytea, texts text[], grid int[][],
    at timestamp, zoned timestamptz, day date, long interval, ratio double precision, exact numeric, yes boolean,
    padded char(4), bits bit(3), span int4range, place point, "Quoted ""x""" text DEFAULT 'd', which regclass
);
INSERT INTO everything VALUES (
    '00000000-0000-4000-8000-00000000000a', '{"a": ["\\", "''", null, "\n"]}', '{"b":  1, "b": 2}', '\x00ff5c27',
    ARRAY['a,b', 'c"d', NULL, '\', ''], '{{1,2},{3,NULL}}', '2001-02-03 04:05:06', 'infinity', '0044-03-15 BC',
    '1 year -2 months 3 days -04:05:06.7', 'NaN', 1e30, true, 'a', B'101', '[1,9)', '(0.1,-2)', E'tab\there', 'zebras'
);
INSERT INTO everything (doc) VALUES ('1'), (NULL);
INSERT INTO everything (id, ratio) VALUES ('00000000-0000-4000-8000-00000000000b', 0.1::real), ('00000000-0000-4000-8000-00000000000c', '-Infinity');
CREATE TABLE "Über Tabelle" ("A b" int, "select" text, who text DEFAULT CURRENT_USER, day date DEFAULT CURRENT_DATE);
INSERT INTO "Über Tabelle" ("A b", "select") VALUES (1, 'ein'), (2, 'zwei');
CREATE TABLE parcels (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), label text);
CREATE TABLE labels (parcel uuid REFERENCES parcels, note text);
INSERT INTO parcels (label) VALUES ('one'), ('two'), ('nobody');
INSERT INTO labels (parcel, note) SELECT id, 'of ' || label FROM parcels WHERE label <> 'nobody';
CREATE TABLE grandparents (a int);
CREATE TABLE grandchildren (b int) INHERITS (grandparents);
INSERT INTO grandparents (a) VALUES (1);
INSERT INTO grandchildren (a, b) VALUES (2, 3);
CREATE TABLE elders (a int NOT NULL, b int);
CREATE TABLE youngers (c int) INHERITS (elders);
ALTER TABLE youngers ALTER b SET NOT NULL;
CREATE TABLE youngest () INHERITS (youngers);
ALTER TABLE youngest ALTER c SET NOT NULL;
ALTER TABLE elders RENAME TO olders;
ALTER TABLE olders RENAME a TO first;
ALTER TABLE bees RENAME ant TO "Ant";
ALTER TABLE bees ALTER "Ant" SET NOT NULL;
CREATE TABLE logs (at date NOT NULL, id int NOT NULL, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE logs_2 PARTITION OF logs DEFAULT;
INSERT INTO logs (at, id) VALUES ('2020-05-05', 1), ('2022-05-05', 2);
CREATE SEQUENCE tickets START 100;
SELECT nextval('tickets'), nextval('tickets');
CREATE SEQUENCE begun START 5;
ALTER SEQUENCE begun RESTART WITH 50;
CREATE MATERIALIZED VIEW herd AS SELECT count(*) AS zebras FROM zebras;
CREATE UNIQUE INDEX herd_zebras ON herd (zebras);
CREATE MATERIALIZED VIEW herds AS SELECT zebras + 1 AS more FROM herd;

-- A body that looks like what a dump says around it.
CREATE FUNCTION is_known(zebra int) RETURNS boolean LANGUAGE plpgsql AS $body$
-- a comment, and a line that is nothing else:
--

/*
SET default_tablespace = '';
SET LOCAL search_path = '';
\restrict abc
*/
-- Name: is_known; Type: FUNCTION; Schema: public; Owner: -


BEGIN
    RETURN EXISTS (SELECT FROM zebras WHERE id = zebra);


END $body$;
