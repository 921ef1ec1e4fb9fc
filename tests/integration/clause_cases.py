"""Where clauses that are accepted, and refused ones with what is said of them."""

COLUMNS = {
    **{"id": "int", "n": "numeric", "f": "float8", "b": "bool", "title": "text", "code": "char(3)", "u": "uuid"},
    **{"mood": "mood", "d": "date", "ts": "timestamp", "tz": "timestamptz", "t": "time", "iv": "interval"},
    **{"j": "jsonb", "tags": "text[]", "days": "timestamptz[]", "r": "int4range", "o": "oid", "cls": "regclass"},
    **{"cash": "money", "x": "xml", "doc": "tsvector", "Odd Name": "text", "pair": "pair", "small": "small"},
}
SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE SEQUENCE numbers;
CREATE TABLE hidden (word text);
CREATE TABLE items ({columns}, secret text);
CREATE FUNCTION tells() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT word FROM public.hidden LIMIT 1';
CREATE FUNCTION stable_one() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION fixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION secretly(items) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.secret';
CREATE FUNCTION secretly(record) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
"""

# Separated by " | ".
ACCEPTED = """
id = 1 | 1 = id | id != 1 | id <> 1 | id < 1 AND id > 0 OR NOT b | "id" = $1 | "id" = ANY ($2) | id = ALL ('{1}')
id IN (1, 2) | id NOT IN (1) | id BETWEEN 1 AND 2 | id NOT BETWEEN SYMMETRIC 2 AND 1 | true = true | true | b | NOT b
b IS TRUE | b IS NOT FALSE | b IS UNKNOWN | title IS NULL | title IS NOT NULL | id IS DISTINCT FROM 1 | NULL
id = NULL | title LIKE 'a%' | title NOT ILIKE $1 | title ~~ 'x' | title !~~* 'x' | title || 'x' = 'y'
title || id = 'a1' | lower(title) = upper($1) | concat(title, id, tz) = 'x' | concat_ws('-', id, d) = 'x'
format('%s', title) = 'x' | coalesce(title, '') = '' | greatest(id, 2) = least(2, id) | length(title) > 1
nullif(id, 1) = 2 | "Odd Name" = 'x' | like(title, 'x') | title ~ '^a' | title SIMILAR TO 'a'
substring(title FROM 1 FOR 2) = 'a' | code = 'ab' | u = $3 | id + 1 - 2 * 3 / 4 = 5 | id ^ 2 = 4 | |/ n = 2 | @ id = 1
id & 1 = 1 | ~ id = 3 | mod(id, 2) = 0 | round(n) = 1 | d + 1 = '2026-01-01' | d - d = 1 | d + t = ts
ts + '1 day' > ts | ts - ts = '1 day' | iv * 2 = 'P1D' | tz > d | tz + '1 day' > tz
tz - '1 month'::interval < '2026-01-01' | tz = ts | tz::date = d | date_trunc('day', tz) = tz
extract(year FROM tz) = 2026 | tz AT TIME ZONE 'UTC' = ts | timezone('UTC', ts) = tz | justify_hours(iv) = iv
ts::date = d | tz::text = 'x' | d::text LIKE '2026%' | iv::text = 'P1D' | id::text = '1' | title::int = 1
n::float8 = f | '1'::int = id | mood = 'ok' | mood <> 'sad' | mood::text = 'anything' | title::mood = 'ok'
mood IN ('ok', 'sad') | mood > 'sad' | tags = '{a}' | tags @> ARRAY['a'] | 'a' = ANY (tags) | tags && $2
tags[1] = 'a' | tags[1:2] = '{a,b}' | tags || ARRAY['x'] = '{}' | array_append(tags, 'a') = tags | array_ndims(tags) = 1
cardinality(tags) = 1 | tags::text = '{}' | days::text = '{}' | j->>'a' = 'b' | j @> '{"a": 1}' | j ? 'a'
j #>> '{a,b}' = 'c' | (j->'n')::int = 1 | j['a'] = '1' | jsonb_typeof(j) = 'object'
doc @@ to_tsquery('simple', 'a & b') | r @> 5 | r && int4range(1, 5) | (id, title) < (1, 'a')
(id, mood) IN ((1, 'ok')) | CASE WHEN b THEN id = 1 ELSE false END | title COLLATE "C" < 'a' | fixed(id) = 2
(pair).a = 1 | pair = ROW(1, 'x') | small < 5 | id::small = 1 | items.id = 1 | items IS NOT NULL | items = items
id = 1 -- the first | /* ) */ id = 1 | title = $$it's$$ | o = 5
"""

NOT_BOOLEAN = "WHERE clause must return a boolean"
REFUSED = {
    "id": NOT_BOOLEAN,
    "title": NOT_BOOLEAN,
    "1": NOT_BOOLEAN,
    "(id, b)": NOT_BOOLEAN,
    "id, b": 'At location 2: syntax error at or near ","',
    "items": NOT_BOOLEAN,
    "id = nope": "At location 5: unknown reference nope",
    "id = 1 AND other.x = 2": "At location 11: unknown reference other.x",
    "id = $1 AND  secret = 'x'": "At location 13: unknown reference secret",
    '"SECRET" = 1': "At location 0: unknown reference SECRET",
    "items.secret = 'x'": "At location 0: unknown reference items.secret",
    "(items).secret = 'x'": "At location 1: unknown reference items.secret",
    "(pair).c = 'x'": "At location 1: unknown reference pair.c",
    "public.items.id = 1": "At location 0: unknown reference public.items.id",
    "id = /* note */ 'x'": 'At location 16: invalid input syntax for type integer: "x"',
    "b AND mood = 'glad'": 'At location 13: invalid input value for enum mood: "glad"',
    "d = 'no day'": 'At location 4: invalid input syntax for type date: "no day"',
    "'ä' = title AND id = 'x'": 'At location 21: invalid input syntax for type integer: "x"',
    "id =": "At location 4: unexpected end of the clause",
    "id = = 1": 'At location 5: syntax error at or near "="',
    "nope(id)": "At location 0: function nope(integer) does not exist",
    "mood = title": "At location 5: operator does not exist: mood = text",
    "id IN (SELECT 1)": "At location 3: cannot use subquery in a where clause",
    "EXISTS (SELECT FROM hidden)": "At location 0: cannot use subquery in a where clause",
    "(TABLE hidden) = 'x'": "cannot use subquery in a where clause",
    "SELECT true": 'At location 0: syntax error at or near "SELECT"',
    "(SELECT true)": "cannot use subquery in a where clause",
    "ARRAY(SELECT word FROM hidden) = '{}'": "cannot use subquery in a where clause",
    "count(*) > 1": "aggregate functions are not allowed in a where clause",
    "row_number() OVER () = 1": "window functions are not allowed in a where clause",
    "generate_series(1, 2) = 1": "set-returning functions are not allowed in a where clause",
    "tells() = 'x'": "function tells() is not immutable",
    "stable_one() = 1": "function stable_one() is not immutable",
    "secretly(items) = 'x'": "function secretly(record) is not immutable",
    "items.secretly = 'x'": "function secretly(record) is not immutable",
    "now() > tz": "function now() is not immutable",
    "tz > current_timestamp": "CURRENT_DATE, current_user) is not supported",
    "d = current_date": "CURRENT_DATE, current_user) is not supported",
    "title = current_user": "CURRENT_DATE, current_user) is not supported",
    "age(ts) > '1 day'": "function age(timestamp without time zone) is not immutable",
    "random() > 0.5": "function random() is not immutable",
    "clock_timestamp() > tz": "function clock_timestamp() is not immutable",
    "current_setting('port') = title": "function current_setting(text) is not immutable",
    "set_config('search_path', 'x', false) = title": "function set_config(text, text, boolean) is not immutable",
    "pg_sleep(10) IS NULL": "function pg_sleep(double precision) is not immutable",
    "nextval('numbers') = 1": "function nextval(regclass) is not immutable",
    "pg_read_file('/etc/passwd') = title": "function pg_read_file(text) is not immutable",
    "pg_advisory_lock(1) IS NULL": "function pg_advisory_lock(bigint) is not immutable",
    "table_to_xml('hidden', true, true, '')::text = ''": "is not immutable",
    "query_to_xml('SELECT 1', true, true, '')::text = ''": "is not immutable",
    "to_char(tz, 'TMMonth') = 'x'": "function to_char(timestamp with time zone, text) is not immutable",
    "title::regclass IS NULL": "function regclass(text) is not immutable",
    "'hidden'::regclass = o": "type regclass is not supported",
    "o::regclass::text = 'x'": "type regclass is not supported",
    "concat(cls) = 'x'": "type regclass is not supported",
    "concat(o::regrole) = 'x'": "type regrole is not supported",
    "concat(cash) = 'x'": "values of type money cannot be turned into text",
    "title::date = d": "text cannot be turned into type date",
    "tags::timestamptz[] = days": "text cannot be turned into type timestamp with time zone",
    "title::xml IS NULL": "is not immutable",
    "row_to_json(items)::text = 'x'": "function row_to_json(record) is not immutable",
    "ctid = '(0,1)'": 'system column "ctid" reference in a where clause is invalid',
    "tableoid = 1": "system columns are not supported",
    "xmin = '1'": 'system column "xmin" reference in a where clause is invalid',
    "DEFAULT": "DEFAULT is not allowed in this context",
    "id = ?": "At location 6: unexpected end of the clause",
    "id = 1 ORDER BY id": "syntax error",
    "id = :x": "syntax error",
    "(" * 30_000 + "true" + ")" * 30_000: "",
    "NOT " * 16_000 + "b": "",
}
