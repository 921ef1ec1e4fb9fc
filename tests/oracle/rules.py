"""Which expressions there are of each kind: `kind weight template : kinds of its arguments`.

An argument `kind!` is a constant. Most of what comes of these Postgres accepts; what it refuses must be refused by all.
"""

import re
from dataclasses import dataclass

_RULES = r"""
bool 9 {0} AND {1} : bool bool
bool 8 {0} OR {1} : bool bool
bool 4 NOT {0} : bool
bool 1 {0} IS TRUE : bool
bool 1 {0} IS NOT TRUE : bool
bool 1 {0} IS FALSE : bool
bool 1 {0} IS NOT FALSE : bool
bool 1 {0} IS UNKNOWN : bool
bool 1 {0} = {1} : bool bool
bool 1 {0} <> {1} : bool bool
bool 2 CASE WHEN {0} THEN {1} ELSE {2} END : bool bool bool
bool 1 CASE WHEN {0} THEN {1} WHEN {2} THEN {3} END : bool bool bool bool
bool 1 CASE {0} WHEN {1} THEN {2} ELSE {3} END : int int! bool bool
bool 1 coalesce({0}, {1}) : bool bool
bool 3 {0} LIKE {1} : text pattern!
bool 2 {0} NOT LIKE {1} : text pattern!
bool 2 {0} ILIKE {1} : text pattern!
bool 1 {0} NOT ILIKE {1} : text pattern!
bool 1 {0} LIKE {1} ESCAPE 'b' : text pattern!
bool 2 {0} ~ {1} : text regex!
bool 1 {0} !~* {1} : text regex!
bool 1 {0} SIMILAR TO {1} : text pattern!
bool 1 {0} ^@ {1} : text text!
bool 1 starts_with({0}, {1}) : text text!
bool 1 {0} LIKE {1} : bpchar pattern!
bool 1 {0} LIKE {1} : name pattern!
bool 2 {0} @> {1} : jsonb jsonb!
bool 1 {0} <@ {1} : jsonb jsonb!
bool 2 {0} ? {1} : jsonb jkey!
bool 1 {0} ?| {1} : jsonb jkeys!
bool 1 {0} ?& {1} : jsonb jkeys!
bool 1 {0} @? {1} : jsonb jpath!
bool 1 {0} @@ {1} : jsonb jpath!
bool 1 {0} IS JSON OBJECT : text
bool 2 {0} @> {1} : ints ints!
bool 1 {0} <@ {1} : ints ints!
bool 1 {0} && {1} : ints ints!
bool 2 {0} = ANY ({1}) : int! ints
bool 1 {0} < ALL ({1}) : int! ints
bool 2 {0} = ANY ({1}) : int ints!
bool 1 {0} <> ALL ({1}) : int ints!
bool 2 {0} @> {1} : texts texts!
bool 1 {0} && {1} : texts texts!
bool 1 {0} = ANY ({1}) : text! texts
bool 2 {0} = ANY ({1}) : text texts!
bool 1 {0} <> ALL ({1}) : text texts!
bool 1 {0} LIKE ANY ({1}) : text texts!
bool 1 {0} = ANY ({1}) : mood! moods
bool 1 {0} = ANY ({1}) : mood moods!
bool 1 {0} @> {1} : moods moods!
bool 2 {0} @> {1} : range int!
bool 1 {0} && {1} : range range!
bool 1 {0} << {1} : range range!
bool 1 isempty({0}) : range
bool 1 lower_inf({0}) : range
bool 1 {0} <@ {1} : int range!
bool 1 {0} @> {1} : spans few!
bool 1 {0} @> {1} : numrange num!
bool 2 {0} @@ to_tsquery('simple', {1}) : words tsquery!
bool 1 to_tsvector('simple', {0}) @@ to_tsquery('simple', {1}) : text tsquery!
bool 1 to_tsvector({0}) @@ to_tsquery('simple', {1}) : text tsquery!
bool 2 ({0}, {1}) > ({2}, {3}) : int text int! text!
bool 1 ({0}, {1}) <= ({2}, {3}) : text int text! int!
bool 2 ({0}, {1}) IN (({2}, {3}), ({4}, {5})) : int text int! text! int! text!
bool 1 ({0}, {1}) IN (({2}, {3})) : int mood int! mood!
bool 1 ({0}).a = {1} : pair int!
bool 1 {0} = ROW({1}, {2})::oracle.pair : pair int! text!
bool 1 {0} << {1} : inet inet!
bool 1 isfinite({0}) : date
bool 1 isfinite({0}) : tz
bool 1 ({0}, {1}) OVERLAPS ({2}, {3}) : ts ts! ts ts!
bool 2 oracle.picky({0}) : int
bool 1 {0}::bool : int
int 4 {0} + {1} : int few!
int 2 {0} - {1} : int few!
int 1 {0} * {1} : int few!
int 2 {0} % {1} : int few!
int 2 {0} / {1} : int few!
int 3 {1} / {0} : int few!
int 1 -{0} : int
int 1 abs({0}) : int
int 1 {0} & {1} : int few!
int 1 {0} # {1} : int few!
int 4 length({0}) : text
int 1 octet_length({0}) : bytea
int 1 ascii({0}) : text
int 1 position({0} IN {1}) : text! text
int 2 cardinality({0}) : texts
int 1 array_length({0}, 1) : ints
int 2 ({0})[1] : ints
int 1 array_position({0}, {1}) : ints int!
int 1 {0} - {1} : date date!
int 2 coalesce({0}, {1}) : int int!
int 1 greatest({0}, {1}) : int int
int 1 least({0}, {1}, {2}) : int int int!
int 1 nullif({0}, {1}) : int int!
int 2 oracle.doubled({0}) : int
int 2 CASE WHEN {0} THEN {1} ELSE {2} END : bool int int!
int 1 {0}::int : text
int 1 {0}::int : num
int 1 {0}::int : bool
int 1 jsonb_array_length({0}) : jsonb
int 2 ({0} ->> {1})::int : jsonb jkey!
int 1 lower({0}) : range
int 1 num_nulls({0}, {1}) : text int
int 1 ({0}).a : pair
num 3 {0} + {1} : num num!
num 1 {0} * {1} : num num!
num 1 {0} / {1} : num num!
num 1 {0} % {1} : num num!
num 2 round({0}, 1) : num
num 1 trunc({0}) : num
num 1 abs({0}) : num
num 2 {0}::numeric : int
num 1 {0}::numeric : float
num 1 {0}::numeric(8,1) : num
num 1 ({0} ->> {1})::numeric : jsonb jkey!
num 1 extract(year FROM {0}) : ts
num 1 extract(dow FROM {0}) : tz
num 1 extract(epoch FROM {0}) : iv
num 1 scale({0}) : num
float 2 {0} + {1} : float float!
float 1 {0} * {1} : float float!
float 1 -{0} : float
float 1 {0}::float8 : num
float 1 {0}::float8 : int
float 1 |/ abs({0}) : float
float 1 {0}::float4 : float
text 3 lower({0}) : text
text 2 upper({0}) : text
text 1 initcap({0}) : text
text 1 btrim({0}) : text
text 3 {0} || {1} : text text
text 1 {0} || {1} : text int
text 1 substring({0} FROM 1 FOR 2) : text
text 1 substring({0} FROM {1}) : text regex!
text 1 left({0}, {1}) : text few!
text 1 replace({0}, {1}, {2}) : text text! text!
text 2 coalesce({0}, {1}) : text text!
text 1 nullif({0}, {1}) : text text!
text 2 {0} COLLATE "C" : text
text 2 {0} COLLATE oracle.loose : text
text 1 {0} COLLATE oracle.german : text
text 1 {0}::text : int
text 1 {0}::text : num
text 1 {0}::text : float
text 1 {0}::text : date
text 1 {0}::text : tz
text 1 {0}::text : iv
text 2 {0}::text : mood
text 1 {0}::text : jsonb
text 1 {0}::text : json
text 1 {0}::text : texts
text 1 {0}::text : moods
text 1 {0}::text : bytea
text 1 {0}::text : bool
text 1 {0}::text : range
text 1 {0}::text : pair
text 1 {0}::text : bpchar
text 1 {0}::text : uuid
text 1 {0}::varchar(2) : text
text 1 {0}::char(3) : text
text 3 {0} ->> {1} : jsonb jkey!
text 1 {0} ->> {1} : json jkey!
text 1 {0} #>> {1} : jsonb jkeys!
text 1 jsonb_typeof({0}) : jsonb
text 1 md5({0}) : text
text 1 reverse({0}) : text
text 1 split_part({0}, ' ', 1) : text
text 1 lpad({0}, 5, '*') : text
text 1 regexp_replace({0}, {1}, 'x') : text regex!
text 1 concat({0}, {1}) : text int
text 1 concat_ws('-', {0}, {1}) : text date
text 1 format('%s-%s', {0}, {1}) : text tz
text 1 array_to_string({0}, ',') : texts
text 1 ({0})[1] : texts
text 1 ({0}).b : pair
text 1 encode({0}, 'hex') : bytea
text 1 normalize({0}, NFC) : text
text 1 oracle.shout({0}) : text
text 1 CASE WHEN {0} THEN {1} ELSE {2} END : bool text text!
text 1 max({0}) : text
text 1 to_char({0}, 'YYYY') : ts
text 1 current_user || {0} : text
date 2 {0} + {1} : date few!
date 2 {0}::date : ts
date 2 {0}::date : tz
date 1 {0}::date : text
date 1 coalesce({0}, {1}) : date date!
ts 1 {0} + {1} : ts interval!
ts 1 {0} + {1} : date time
ts 1 {0} AT TIME ZONE {1} : tz zone!
ts 1 date_trunc({0}, {1}) : field! ts
ts 1 {0}::timestamp : date
ts 1 {0}::timestamp : tz
tz 1 {0} + {1} : tz interval!
tz 1 {0} AT TIME ZONE {1} : ts zone!
tz 1 date_trunc({0}, {1}) : field! tz
tz 1 date_trunc({0}, {1}, 'Europe/Berlin') : field! tz
tz 1 {0}::timestamptz : date
tz 1 greatest({0}, now()) : tz
time 1 {0}::time : ts
time 1 {0} + {1} : time interval!
iv 1 {0} - {1} : ts ts
iv 1 {0} - {1} : tz tz!
iv 1 {0} * {1} : iv few!
iv 1 {0} + {1} : iv interval!
iv 1 justify_hours({0}) : iv
iv 1 age({0}, {1}) : ts ts!
iv 1 make_interval(days => {0}) : few!
jsonb 2 {0} -> {1} : jsonb jkey!
jsonb 1 {0} -> {1} : jsonb few!
jsonb 1 {0} #> {1} : jsonb jkeys!
jsonb 1 {0} || {1} : jsonb jsonb!
jsonb 1 {0} - {1} : jsonb jkey!
jsonb 1 {0}[{1}] : jsonb jkey!
jsonb 1 {0}::jsonb : json
jsonb 1 {0}::jsonb : text
jsonb 1 jsonb_strip_nulls({0}) : jsonb
jsonb 1 jsonb_path_query_first({0}, {1}) : jsonb jpath!
jsonb 1 to_jsonb({0}) : int
bytea 1 {0} || {1} : bytea bytea!
bytea 1 sha256({0}) : bytea
bytea 1 decode({0}, 'hex') : text
mood 1 {0}::oracle.mood : text
mood 1 coalesce({0}, {1}) : mood mood!
ints 1 {0} || {1} : ints int!
ints 1 array_remove({0}, {1}) : ints int!
ints 1 ({0})[1:2] : ints
ints 1 ARRAY[{0}, {1}] : int int
texts 1 string_to_array({0}, ' ') : text
texts 1 {0} || {1} : texts text!
texts 1 ARRAY[{0}, {1}] : text text!
texts 1 {0}::text[] : moods
range 1 {0} * {1} : range range!
range 1 {0} + {1} : range range!
range 1 int4range({0}, {1}) : int few!
"""

REFUSED = (
    *("nothing = 1", "count(*) > 1", "now() > '2020-01-01'", "random() < 2", "EXISTS (SELECT 1)", "(", "1 = "),
    *("1; DROP TABLE x", "id = 'x' AND", "true) OR (true", "generate_series(1, 2) = 1", "1/0 = 1"),
    *("row_number() OVER () = 1", "1", "'not a boolean'", "ctid = '(0,1)'", "pg_sleep(0) IS NULL", "nothing.x IS NULL"),
    *("'abc'::int = 1", "'2026-13-01'::date IS NULL"),
    *("$9 = 1", "now() = now() OR true", "current_date > '2020-01-01'", "true -- and", "/* */ true", "'yes'", "NULL"),
)  # fmt: skip
"""Clauses of which most are refused, by Postgres or by us."""

_LINE = re.compile(r"(?P<kind>\w+) (?P<weight>\d+) (?P<text>.*) : (?P<args>.*)")


@dataclass(frozen=True)
class Rule:
    kind: str
    weight: int
    text: str
    args: tuple[str, ...]


def _rule(line: str) -> Rule:
    found = _LINE.fullmatch(line)
    assert found, line
    return Rule(found["kind"], int(found["weight"]), found["text"], tuple(found["args"].split()))


RULES: tuple[Rule, ...] = tuple(_rule(line) for line in _RULES.strip().splitlines())
BY_KIND: dict[str, tuple[Rule, ...]] = {
    kind: tuple(rule for rule in RULES if rule.kind == kind) for kind in {rule.kind for rule in RULES}
}
