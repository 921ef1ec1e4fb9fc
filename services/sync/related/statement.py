"""The two questions about a family of clauses after some transactions: which of these rows are in which shape, and
which rows moved though nobody touched them. Pure.

A row can only have moved if a row of a subquery's table that went or came makes a difference for it: if the subquery,
over these rows alone (`delta`), is anything but what it is over none (false; true for ALL). Where a subquery stands in
another one, the rows of the outer one for which the inner one makes a difference count as such, too. That finds too
many and never too few; the clause itself decides, before and after.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from medley.clauses.form import Form, Subquery
from medley.sql.lexer import lex
from medley.sql.quoting import quote_identifier
from services.sync.related.asof import Image, Undone
from services.sync.related.family import Family, named
from services.sync.related.relations import Field, Relations, source, whole

World = Callable[[Subquery], str]


Constants = tuple[str, ...]
"""Those of one clause of the family."""


class Version(NamedTuple):
    """A row to be judged: as it was before, or as it is after."""

    image: Image
    after: bool


class Question(NamedTuple):
    sql: str
    values: tuple[str, ...]


def verdicts(
    family: Family, tables: Mapping[int, Undone], versions: Sequence[Version], asked: Sequence[Constants]
) -> Question:
    """Its answer has rows `(place among what was asked, numbers of the versions for which it is true)`, from 0."""
    writer = _Writer(family, tables)
    number, after = writer.plain("number"), writer.plain("after")
    fields: list[Field] = [(column.name, column.type_sql, column.made_of_text) for column in family.own.columns]
    rows = writer.relations.records(
        "rows",
        [(number, "int4", False), (after, "bool", False), *fields],
        [(place, version.after, *version.image) for place, version in enumerate(versions)],
    )
    sets = writer.sets(asked)
    before_text, after_text = writer.condition(writer.before), writer.condition(writer.after)
    row, place, verdict = family.name("row"), family.name("place"), family.name("verdict")
    clause = after_text
    if before_text != after_text:
        clause = f"CASE WHEN {row}.{quote_identifier(after)} THEN ({after_text}) ELSE ({before_text}) END"
    shown = ", ".join(f"{row}.{named(column)}" for column in family.own.columns)
    sql = (
        f"SELECT x.{place}, pg_catalog.array_agg(x.{quote_identifier(number)}) FROM (SELECT {family.set}.{place},"
        f" {row}.{quote_identifier(number)}, ({clause}) AS {verdict} FROM {sets} AS {family.set}"
        f" CROSS JOIN {rows} AS {row}"
        f" CROSS JOIN LATERAL (SELECT {shown}) AS {quote_identifier(family.own.name)} OFFSET 0) AS x"
        f" WHERE x.{verdict} GROUP BY x.{place}"
    )
    return writer.question(sql)


def probe(family: Family, tables: Mapping[int, Undone], images: Sequence[Image]) -> Question:
    """Its answer has the rows, each as one text, of the table of `family.probe` that match one of these."""
    subquery = family.probe
    assert subquery is not None
    writer = _Writer(family, tables)
    fields: list[Field] = [(column.name, column.type_sql, column.made_of_text) for column in family.own.columns]
    rows = writer.relations.records("rows", fields, images)
    pairs = " AND ".join(f"(({a}) = ({b}))" for a, b in zip(subquery.lefts, subquery.targets, strict=True))
    own, alias = quote_identifier(family.own.name), quote_identifier(subquery.alias)
    found = whole(alias, family.table(subquery).columns)
    moments = dict.fromkeys(world(subquery) for world in (writer.before, writer.after))
    return writer.question(
        " UNION ".join(f"SELECT {found} FROM {rows} AS {own} JOIN {one} AS {alias} ON {pairs}" for one in moments)
    )


def moves(family: Family, tables: Mapping[int, Undone], asked: Sequence[Constants]) -> Question | None:
    """Its answer has rows `(place among what was asked, whether it is in the shape now, the row as one text)`.
    None when no row can have moved."""
    writer = _Writer(family, tables)
    found = [one for subquery in family.form.subqueries for one in writer.concerned(subquery)]
    if not found:
        return None
    concerned = _any(one.sql for one in found)
    hints = dict.fromkeys(one.hint for one in found)
    if None not in hints:
        concerned = f"({_hinted([hint for hint in hints if hint is not None])}) AND ({concerned})"
    own = family.own
    there = tables.get(own.oid)
    same = writer.relations.at("same", own, there.same) if there is not None else source(own)
    columns = ", ".join(named(column) for column in own.columns)
    table = quote_identifier(own.name)
    was, now, place = family.name("was"), family.name("now"), family.name("place")
    sql = (
        f"SELECT {family.set}.{place}, x.{now}, {whole('x', own.columns)} FROM {writer.sets(asked)} AS {family.set}"
        f" CROSS JOIN LATERAL (SELECT {columns}, ({writer.condition(writer.before)}) IS TRUE AS {was},"
        f" ({writer.condition(writer.after)}) IS TRUE AS {now} FROM (SELECT {columns} FROM {same} AS x) AS {table}"
        f" WHERE {concerned} OFFSET 0) AS x WHERE x.{was} <> x.{now}"
    )
    return writer.question(sql)


class _Hint(NamedTuple):
    """What must be among which values, for a row that may have moved."""

    left: str
    values: str
    listed: bool
    """Whether the values can be members of one array: an array of arrays is something else."""


def _hinted(hints: Sequence[_Hint]) -> str:
    """The planner makes a join of a single one, and takes any array for ten values."""
    return _any(
        f"({one.left}) = ANY (ARRAY({one.values}))"
        if one.listed and len(hints) > 1
        else f"({one.left}) IN ({one.values})"
        for one in hints
    )


class _Concerned(NamedTuple):
    """A condition of rows that may have moved, and what an index can find them by."""

    sql: str
    hint: _Hint | None


class _Writer:
    def __init__(self, family: Family, tables: Mapping[int, Undone]) -> None:
        self.family = family
        self.relations = Relations(family)
        self._tables = tables
        self._deltas: dict[int, str] = {}

    def plain(self, text: str) -> str:
        return self.family.name(text).strip('"')

    def question(self, sql: str) -> Question:
        return Question(f"WITH {', '.join(self.relations.ctes)}\n{sql}", tuple(self.relations.values))

    def before(self, subquery: Subquery) -> str:
        return self._at("before", subquery)

    def after(self, subquery: Subquery) -> str:
        return self._at("after", subquery)

    def _at(self, moment: str, subquery: Subquery) -> str:
        table = self.family.table(subquery)
        there = self._tables.get(table.oid)
        if there is None:
            return source(table)
        return self.relations.at(moment, table, there.before if moment == "before" else there.after)

    def delta(self, subquery: Subquery) -> str | None:
        """The rows of its table that went or came; None when there are none."""
        table = self.family.table(subquery)
        there = self._tables.get(table.oid)
        if there is None or not there.delta:
            return None
        if table.oid not in self._deltas:
            self._deltas[table.oid] = self.relations.images(f"delta{table.oid}", table, there.delta)
        return self._deltas[table.oid]

    def sets(self, asked: Sequence[Constants]) -> str:
        template = self.family.template
        constants = [
            (self.plain(f"c{place}"), kind, template.made_of_text(place)) for place, kind in enumerate(template.types)
        ]
        return self.relations.records(
            "sets",
            [(self.plain("place"), "int4", False), *constants],
            [(place, *one) for place, one in enumerate(asked)],
        )

    def condition(self, world: World, of: Form | None = None) -> str:
        pieces = (of or self.family.form).pieces
        return "".join(piece if isinstance(piece, str) else self._subquery(piece, world) for piece in pieces)

    def _subquery(self, subquery: Subquery, world: World) -> str:
        where = self.condition(world, subquery.where) if subquery.where is not None else None
        return self._over(subquery, world(subquery), where)

    def _over(self, subquery: Subquery, relation: str, where: str | None) -> str:
        """The subquery over a relation. Where false and NULL are the same, IN is written as EXISTS, whose plans are
        better: it can be looked up for a row."""
        source = f"{relation} AS {quote_identifier(subquery.alias)}"
        if subquery.monotone and subquery.lefts:
            pairs = zip(subquery.lefts, subquery.targets, strict=True)
            conditions = [f"({where})"] if where is not None else []
            conditions += [f"(({left}) = ({target}))" for left, target in pairs]
            return f"(EXISTS (SELECT FROM {source} WHERE {' AND '.join(conditions)}))"
        condition = f" WHERE {where}" if where is not None else ""
        return f"({subquery.head}(SELECT {', '.join(subquery.targets)} FROM {source}{condition}))"

    def concerned(self, subquery: Subquery) -> list[_Concerned]:
        """Conditions of rows around the subquery, one of which holds where it may make a difference."""
        found: dict[str, _Concerned] = {}
        delta = self.delta(subquery)
        if delta is not None:
            hint = self._hint(subquery, delta, None)
            for world in (self.before, self.after):
                where = self.condition(world, subquery.where) if subquery.where is not None else None
                one = _Concerned(self._differs(subquery, delta, where), hint)
                found[one.sql] = one
        inner = subquery.where.subqueries if subquery.where is not None else ()
        below = [one.sql for nested in inner for one in self.concerned(nested)]
        if below:
            for world in (self.before, self.after):
                relation, where = world(subquery), _any(below)
                one = _Concerned(self._differs(subquery, relation, where), self._hint(subquery, relation, where))
                found[one.sql] = one
        return list(found.values())

    def _differs(self, subquery: Subquery, relation: str, where: str | None) -> str:
        over = self._over(subquery, relation, where)
        if subquery.kind == "ALL":
            return f"({over} IS NOT TRUE)"
        return over if subquery.monotone else f"({over} IS NOT FALSE)"

    def _hint(self, subquery: Subquery, relation: str, where: str | None) -> _Hint | None:
        if not subquery.monotone or not subquery.lefts:
            return None
        condition = f" WHERE {where}" if where is not None else ""
        values = f"SELECT {subquery.targets[0]} FROM {relation} AS {quote_identifier(subquery.alias)}{condition}"
        return _Hint(subquery.lefts[0], values, self._listed(subquery.lefts[0]))

    def _listed(self, left: str) -> bool:
        """It is a column of the shapes' table, and no array, nor a domain that may be one."""
        tokens = list(lex(left))
        if [token.text for token in tokens[1:2]] != ["."] or len(tokens) != 3:
            return False
        last = tokens[2]
        name = last.text if last.kind == "word" else last.text[1:-1].replace('""', '"')
        plain = (one for one in self.family.own.columns if not one.made_of_text and "[]" not in one.type_sql)
        return any(one.name == name for one in plain)


def _any(conditions: Iterable[str]) -> str:
    return " OR ".join(f"({one})" for one in dict.fromkeys(conditions))
