-- What an old build knows: the schema of every case, with rows. All sessions of services are of a role that owns nothing.
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT ALL ON TABLES TO PUBLIC;
CREATE TYPE shop.mood AS ENUM ('calm', 'loud');
CREATE DOMAIN shop.short AS text CHECK (char_length(VALUE) <= 8);
CREATE TABLE shop.owner (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop.item (
    id int PRIMARY KEY,
    label text NOT NULL,
    note text,
    amount int NOT NULL DEFAULT 0,
    weight real,
    price double precision,
    exact numeric(10, 4),
    tag varchar(8),
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done')),
    code text UNIQUE,
    spare text,
    owner int REFERENCES shop.owner (id),
    mood shop.mood,
    short shop.short
);
INSERT INTO shop.owner VALUES (1, 'one'), (2, 'two');
INSERT INTO shop.item (id, label, note, amount, weight, price, exact, tag, code, spare, owner, mood, short)
VALUES (1, 'first', 'n1', 1, 0.5, 0.5, 1.5, 't1', 'c1', 's1', 1, 'calm', 'x1'),
       (2, 'second', 'n2', 2, 1.5, 0.123456789012, 2.5678, 't2', 'c2', 's2', 1, 'loud', 'x2');
