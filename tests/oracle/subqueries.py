"""Random where clauses with subqueries: over any table of the scenario, its own one, too."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from medley.sql.quoting import quote_identifier
from tests.oracle.clauses import Clauses
from tests.oracle.kinds import KINDS
from tests.oracle.model import Expression, Table, TableColumn

_FORM = re.compile(r"((NOT )?IN|(NOT )?EXISTS|\S+ (ANY|ALL|SOME)) \(SELECT")
_ALIASES = ("s", "p", "In Ner", "set", "x", "~0", "größe")
_NOT_EQUAL = ("json",)
_NOT_ORDERED = ("spans", "char", "bool", "pair")
_WRAPS = (
    *("NOT {0}", "{0} IS TRUE", "{0} IS NOT TRUE", "{0} IS UNKNOWN", "{0} IS FALSE", "{0} IS NOT FALSE"),
    *("coalesce({0}, true)", "CASE WHEN {0} THEN true END", "NOT (NOT {0})", "({0}) = true", "{0} IS NOT UNKNOWN"),
)
_REFUSED = (
    *("{0} = (SELECT max({1}) FROM {2})", "{0} IN (SELECT {1} FROM {2} LIMIT 1)", "(SELECT {1} FROM {2}) IS NULL"),
    *("{0} IN (SELECT {1} FROM {2} GROUP BY 1)", "{0} IN (SELECT {1} FROM {2} UNION SELECT {1} FROM {2})"),
    *("{0} IN (WITH w AS (SELECT {1} FROM {2}) SELECT * FROM w)", "{0} IN (SELECT {1} FROM {2} JOIN {2} b ON true)"),
    *("{0} IN (SELECT max({1}) FROM {2})", "EXISTS (SELECT 1 FROM pg_catalog.pg_class)", "{0} IN (VALUES ({0}))"),
    *("EXISTS (SELECT 1 FROM generate_series(1, 2))", "{0} IN (SELECT {1} FROM {2} OFFSET 1)"),
    *("EXISTS (SELECT 1 FROM (SELECT {1} FROM {2}) q)", "{0} = ANY (ARRAY(SELECT {1} FROM {2}))"),
    *("{0} IN (SELECT {1} FROM {2} HAVING true)", "{0} IN (SELECT {1} FROM {2}, {2} AS b)"),
    *("{0} IN (SELECT row_number() OVER () FROM {2})", "EXISTS (SELECT FROM {2} FOR UPDATE)"),
    *("{0} IN (SELECT {1} FROM {2} TABLESAMPLE system (50))", "{0} IN (SELECT DISTINCT ON (1) {1} FROM {2})"),
)
"""Of a column, one of another table, and that table. Postgres takes most of these."""


class Scope(NamedTuple):
    """A table under the name that it has at a place in the clause."""

    number: int
    name: str
    clauses: Clauses


class Subqueries:
    def __init__(
        self, chance: random.Random, tables: Sequence[Table], pools: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> None:
        """`pools`: table → column → its values."""
        self._chance = chance
        self._tables = tables
        self._pools = pools

    def clause(self, number: int) -> Expression:
        """About the table of that number."""
        table = self._tables[number]
        scope = Scope(number, table.name, Clauses(self._chance, table, self._pools[table.name], quiet=True))
        if self._chance.random() < 0.05:
            return self._refused(scope)
        return self._wrapped(self._comparison([scope], 2), scope)

    def _wrapped(self, inner: Expression, scope: Scope) -> Expression:
        roll = self._chance.random()
        if roll < 0.4:
            return inner
        if roll < 0.6:
            return Expression(text=self._chance.choice(_WRAPS), kind="bool", args=(inner,))
        other = scope.clauses.simple() if self._chance.random() < 0.65 else self._comparison([scope], 1)
        parts = (inner, other) if self._chance.random() < 0.6 else (other, inner)
        text = self._chance.choice(("{0} AND {1}", "{0} AND {1}", "{0} OR {1}", "{0} OR {1}", "NOT ({0} AND {1})"))
        if self._chance.random() < 0.06:
            text = self._chance.choice(
                ("{0} = {1}", "CASE WHEN {0} THEN {1} ELSE NOT {1} END", "{0} IS DISTINCT FROM {1}")
            )
        joined = Expression(text=text, kind="bool", args=parts)
        return self._wrapped(joined, scope) if self._chance.random() < 0.15 else joined

    def _refused(self, scope: Scope) -> Expression:
        number = self._chance.randrange(len(self._tables))
        own, other = self._tables[scope.number], self._tables[number]
        pairs = self._pairs(own, other) or [(own.columns[0], other.columns[0])]
        left, right = self._chance.choice(pairs)
        args = (scope.clauses.leaf(left), Expression(text=right.sql, kind=""), self._table(number, ""))
        return Expression(text=self._chance.choice(_REFUSED), kind="bool", args=args)

    def _comparison(self, outer: Sequence[Scope], depth: int) -> Expression:
        """With a subquery over some table."""
        number = self._chance.randrange(len(self._tables))
        if number == outer[-1].number and len(self._tables) > 1 and self._chance.random() < 0.6:
            number = (number + 1) % len(self._tables)
        alias = self._chance.choice((*_ALIASES, "", "")) if len(outer) < 2 else f"in{len(outer)}"
        table = self._tables[number]
        name = alias or table.name
        scope = Scope(number, name, Clauses(self._chance, table, self._pools[table.name], name, quiet=True))
        pairs = self._pairs(self._tables[outer[-1].number], table)
        exists = not pairs or self._chance.random() < 0.35
        where = self._condition([*outer, scope], depth, correlated=exists and self._chance.random() < 0.85)
        source = self._table(number, alias)
        if exists:
            return self._exists(scope, source, where)
        return self._any(outer[-1], scope, source, where, pairs)

    def _table(self, number: int, alias: str) -> Expression:
        return Expression(text=str(number), kind=alias, style="table")

    def _exists(self, scope: Scope, source: Expression, where: Expression | None) -> Expression:
        word = self._chance.choice(("EXISTS", "EXISTS", "NOT EXISTS"))
        listed = self._chance.choice(("", "1", "NULL", "DISTINCT 1"))
        condition = " WHERE {1}" if where is not None else ""
        args = (source, where) if where is not None else (source,)
        return Expression(text=f"{word} (SELECT {listed} FROM {{0}}{condition})", kind="bool", args=args)

    def _any(
        self,
        outer: Scope,
        scope: Scope,
        source: Expression,
        where: Expression | None,
        pairs: Sequence[tuple[TableColumn, TableColumn]],
    ) -> Expression:
        """IN, or another comparison; of rows, too."""
        count = min(len(pairs), self._chance.choice((1, 1, 1, 1, 2, 3)))
        chosen = self._chance.sample(pairs, count)
        lefts = [self._side(outer, left) for left, _ in chosen]
        targets = [self._side(scope, right) for _, right in chosen]
        places = [f"{{{number}}}" for number in range(2 * count + 1)]
        left = places[0] if count == 1 else f"({', '.join(places[:count])})"
        distinct = "DISTINCT " if self._chance.random() < 0.08 else ""
        listed = distinct + ", ".join(places[count : 2 * count])
        condition = f" WHERE {{{2 * count + 1}}}" if where is not None else ""
        ordered = " ORDER BY 1" if self._chance.random() < 0.05 else ""
        text = f"{left} {self._operator(chosen)} (SELECT {listed} FROM {places[-1]}{condition}{ordered})"
        args = (*lefts, *targets, source, *((where,) if where is not None else ()))
        return Expression(text=text, kind="bool", args=args)

    def _operator(self, pairs: Sequence[tuple[TableColumn, TableColumn]]) -> str:
        roll = self._chance.random()
        if roll < 0.45:
            return "IN"
        if roll < 0.7:
            return "NOT IN"
        of = KINDS[pairs[0][0].kind].of
        if len(pairs) > 1:
            return self._chance.choice(("= ANY", "<> ALL", "= ALL", "<> ANY", "= SOME", "< ANY"))
        signs = ["=", "<>"] if of in _NOT_ORDERED else ["=", "<>", "<", "<=", ">", ">="]
        signs += {"text": ["LIKE", "!~~*"], "jsonb": ["@>", "<@"], "ints": ["&&", "@>"], "texts": ["&&"]}.get(of, [])
        return f"{self._chance.choice(signs)} {self._chance.choice(('ANY', 'ALL'))}"

    def _side(self, scope: Scope, column: TableColumn) -> Expression:
        """A column, or an expression of its kind."""
        # Of a text, since it may be unclear which collation counts.
        if self._chance.random() < 0.8 or KINDS[column.kind].of == "text":
            return scope.clauses.leaf(column)
        return scope.clauses.of(KINDS[column.kind].of, 1)

    def _condition(self, scopes: Sequence[Scope], depth: int, *, correlated: bool) -> Expression | None:
        """What the rows of the last scope's table must be."""
        inner = scopes[-1].clauses
        parts = [self._correlation(scopes)] if correlated or self._chance.random() < 0.15 else []
        if self._chance.random() < 0.55:
            parts.append(inner.simple())
        if depth > 1 and self._chance.random() < 0.25:
            parts.append(self._comparison(scopes, depth - 1))
        if self._chance.random() < 0.08:
            parts.append(inner.of("bool", 1))
        self._chance.shuffle(parts)
        while len(parts) > 1:
            joint = self._chance.choice(("AND", "AND", "AND", "OR", "AND NOT"))
            parts[:2] = [Expression(text=f"{{0}} {joint} {{1}}", kind="bool", args=(parts[0], parts[1]))]
        return parts[0] if parts else None

    def _correlation(self, scopes: Sequence[Scope]) -> Expression:
        """A row of the last scope compared with one of another."""
        inner = scopes[-1]
        outer = self._chance.choice(scopes[:-1])
        pairs = self._pairs(self._tables[outer.number], self._tables[inner.number])
        if not pairs:
            return inner.clauses.simple()
        left, right = self._chance.choice(pairs)
        sign = self._chance.choice(("=", "=", "=", "=", "<>", "IS NOT DISTINCT FROM"))
        if KINDS[left.kind].of not in _NOT_ORDERED and self._chance.random() < 0.1:
            sign = self._chance.choice(("<", ">="))
        away = Expression(text=f"{quote_identifier(outer.name)}.{left.sql}", kind=KINDS[left.kind].of)
        near = Expression(text=f"{quote_identifier(inner.name)}.{right.sql}", kind=KINDS[right.kind].of)
        return Expression(text=f"{{0}} {sign} {{1}}", kind="bool", args=(near, away))

    def _pairs(self, left: Table, right: Table) -> list[tuple[TableColumn, TableColumn]]:
        """Columns that can be compared; those that link the tables count for more."""
        found = []
        for a in left.columns:
            for b in right.columns:
                of = KINDS[a.kind].of
                alike = KINDS[a.kind].collation == KINDS[b.kind].collation
                if of == KINDS[b.kind].of and of not in _NOT_EQUAL and alike:
                    linked = a.name.startswith("l") and b.name.startswith("l")
                    found += [(a, b)] * (6 if linked else 1)
        return found


def forms(clause: Expression) -> Iterator[str]:
    """What its subqueries are, for a count of what was played."""
    for part in clause.parts():
        found = _FORM.search(part.text or "") if part.args else None
        if found is None:
            continue
        word = " ".join(found[0].removesuffix("(SELECT").split())
        yield f"{'row ' if (part.text or '').startswith('({0}, ') else ''}{word}"
        if any(arg.reads for arg in part.args if arg.style != "table"):
            yield "nested"
    if len(clause.reads) > 1:
        yield "over several tables"
