"""Random where clauses over the columns of a table."""

import json
import random
import re
from collections.abc import Mapping, Sequence

from medley.sql.quoting import quote_identifier
from tests.oracle.kinds import CONSTANTS, KINDS, LONG
from tests.oracle.model import Expression, Table, TableColumn
from tests.oracle.rules import BY_KIND, REFUSED, Rule

# A constant of an expression's kind is one of these kinds of columns.
_CONSTANT_OF = {
    **{"int": ("int4", "int4", "int8", "int2"), "num": ("numeric",), "float": ("float8",), "text": ("text",)},
    **{"iv": ("interval",), "ts": ("ts",), "range": ("range",), "spans": ("ranges",), "mood": ("mood",)},
}
_SIGNS = ("<", "<=", ">", ">=")
_NOT_EQUAL = ("json",)  # without operators to compare with
_NOT_ORDERED = ("json", "spans", "char")
_LOUD = re.compile(
    r"abs|/| - |%|\*|\+|::|decode|picky|~|SIMILAR|SUBSTRING|substring|@\?|@@|jsonb?_|extract|range|doubled|regexp|age"
)
"""Rules of which some raise on some values."""


class Clauses:
    """Draws clauses about one table."""

    def __init__(
        self,
        chance: random.Random,
        table: Table,
        pools: Mapping[str, Sequence[str]],
        alias: str | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        """`pools`: the values that each column has. `alias`: what the table is called in a subquery. `quiet`: without
        what raises on some rows."""
        self._quiet = quiet
        self._chance = chance
        self._table = table
        self._pools = pools
        self._name = table.name if alias is None else alias
        self._qualified = 0.1 if alias is None else 0.7

    def clause(self) -> Expression:
        match self._chance.random():
            case x if x < 0.04:
                return Expression(text=self._chance.choice(REFUSED), kind="bool")
            case x if x < 0.34:
                return self._found()
            case x if x < 0.55:
                return self.about(self._column())
            case _:
                return self.of("bool", self._chance.randint(1, 3))

    def twin(self, one: Expression) -> Expression:
        """The same but for its constants."""
        if one.style == "table":
            return one
        if one.style and one.text is not None:
            return one.model_copy(update={"text": self._text(one.kind)})
        return one.model_copy(update={"args": tuple(self.twin(arg) for arg in one.args)})

    def _column(self, kind: str | None = None) -> TableColumn:
        fitting = [one for one in self._table.columns if kind is None or KINDS[one.kind].of == kind]
        return self._chance.choice(fitting)

    def simple(self) -> Expression:
        """A condition about one column, or equalities."""
        return self.about(self._column()) if self._chance.random() < 0.6 else self.equal()

    def leaf(self, column: TableColumn) -> Expression:
        qualified = self._chance.random() < self._qualified
        text = f"{quote_identifier(self._name)}.{column.sql}" if qualified else column.sql
        return Expression(text=text, kind=KINDS[column.kind].of)

    def _text(self, kind: str) -> str:
        texts = CONSTANTS[kind][1] if kind in CONSTANTS else KINDS[kind].texts
        return self._chance.choice([text for text in texts if text != LONG])

    def constant(self, kind: str, typed: float = 0.35) -> Expression:
        """Of a column's kind, or of CONSTANTS."""
        if self._chance.random() < 0.03:
            return Expression(text=None, kind=kind, style="literal")
        text = self._text(kind)
        roll = self._chance.random()
        if text.removeprefix("-").replace(".", "", 1).isdigit() and kind in ("int2", "int4", "int8", "few", "numeric"):
            return Expression(text=text, kind=kind, style="plain" if roll < 0.6 else "typed" if roll < 0.8 else "param")
        return Expression(text=text, kind=kind, style="typed" if roll < typed else "param" if roll < 0.7 else "literal")

    def _near(self, column: TableColumn) -> Expression:
        """A constant that the column may well equal."""
        if self._chance.random() < 0.7:
            texts = [text for text in self._pools[column.name] if text != LONG]
            return self.constant(column.kind, 0.15).model_copy(update={"text": self._chance.choice(texts)})
        return self.constant(
            "text" if KINDS[column.kind].of == "text" and self._chance.random() < 0.5 else column.kind, 0.15
        )

    def _found(self) -> Expression:
        """What an index may find, and what is made of such; sometimes with anything else."""
        parts = [
            self.equal() if self._chance.random() < 0.5 else self._reached(self._column())
            for _ in range(self._chance.choice((1, 1, 1, 2, 2, 3)))
        ]
        if self._chance.random() < 0.3:
            parts.append(self.of("bool", self._chance.randint(1, 2)))
        self._chance.shuffle(parts)
        while len(parts) > 1:
            joint = self._chance.choice(("AND", "AND", "OR"))
            parts[:2] = [Expression(text=f"{{0}} {joint} {{1}}", kind="bool", args=(parts[0], parts[1]))]
        return parts[0]

    def equal(self) -> Expression:
        column = self._column()
        leaf = self.leaf(column)
        if column.kind == "bool" and self._chance.random() < 0.6:
            text = self._chance.choice(
                ("{0}", "NOT {0}", "{0} IS TRUE", "{0} IS FALSE", "{0} = true", "{0} IS NOT TRUE")
            )
            return leaf if text == "{0}" else Expression(text=text, kind="bool", args=(leaf,))
        roll = self._chance.random()
        if roll < 0.6:
            text = "{0} = {1}" if self._chance.random() < 0.75 else "{1} = {0}"
            return Expression(text=text, kind="bool", args=(leaf, self._near(column)))
        return self._listed(leaf, column, "IN")

    def _reached(self, column: TableColumn) -> Expression:
        """What an index finds otherwise: by a range, a prefix, or what a value contains."""
        leaf = self.leaf(column)
        match KINDS[column.kind].of:
            case "text" | "name" | "bpchar" if self._chance.random() < 0.6:
                return self._begins(leaf, column)
            case "ints" | "texts" as of:
                return self._has(leaf, column, "int4" if of == "ints" else "text")
            case "jsonb":
                return self._holds(leaf, column)
            case of if of in (*_NOT_ORDERED, "range", "numrange"):
                return self.about(column)
        low, high, sign = self._near(column), self._near(column), self._chance.choice(_SIGNS)
        match self._chance.random():
            case x if x < 0.3:
                return Expression(text=f"{{0}} {sign} {{1}}", kind="bool", args=(leaf, low))
            case x if x < 0.5:
                return Expression(text=f"{{1}} {sign} {{0}}", kind="bool", args=(leaf, low))
            case x if x < 0.7:
                return Expression(text="{0} BETWEEN {1} AND {2}", kind="bool", args=(leaf, low, high))
        text = f"{{0}} {self._chance.choice(_SIGNS[2:])} {{1}} AND {{0}} {self._chance.choice(_SIGNS[:2])} {{2}}"
        return Expression(text=text, kind="bool", args=(leaf, low, high))

    def _begins(self, leaf: Expression, column: TableColumn) -> Expression:
        value = self._near(column).text or ""
        cut = value[: self._chance.randint(0, 3)]
        if column.kind not in ("name", "bpchar", "loose_char", "c_char") and self._chance.random() < 0.3:
            text = self._chance.choice(("{0} ^@ {1}", "starts_with({0}, {1})"))
            return Expression(text=text, kind="bool", args=(leaf, self._written(cut, "text")))
        escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in cut)
        pattern = escaped + self._chance.choice(("%", "%", "%", "%%", "_%", "%a", "", "\\%%"))
        return Expression(text="{0} LIKE {1}", kind="bool", args=(leaf, self._written(pattern, "pattern")))

    def _written(self, text: str, kind: str) -> Expression:
        return Expression(text=text, kind=kind, style=self._chance.choice(("literal", "typed", "param")))

    def _has(self, leaf: Expression, column: TableColumn, element: str) -> Expression:
        sign = self._chance.choice(("@>", "@>", "&&", "= ANY"))
        if sign != "= ANY":
            swapped = sign == "@>" and self._chance.random() < 0.3
            text = "{1} <@ {0}" if swapped else f"{{0}} {sign} {{1}}"
            return Expression(text=text, kind="bool", args=(leaf, self._near(column)))
        chosen = ("1", "2", "5", "7") if element == "int4" else ("a", "b", "a b", 'c"d', "null", "")
        value = self._written(self._chance.choice(chosen), element).model_copy(update={"style": "typed"})
        return Expression(text="{1} = ANY ({0})", kind="bool", args=(leaf, value))

    def _holds(self, leaf: Expression, column: TableColumn) -> Expression:
        """A part of a document that the column has, or what one of its keys is."""
        document = json.loads(self._near(column).text or "null")
        if isinstance(document, dict) and document:
            key = self._chance.choice(sorted(document))
            inner = document[key]
            if self._chance.random() < 0.5:
                text = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
                args = (leaf, self._written(key, "jkey"), self._written(text, "text"))
                return Expression(text="{0} ->> {1} = {2}", kind="bool", args=args)
            document = {key: inner}
        elif isinstance(document, list) and document:
            document = [self._chance.choice(document)]
        part = self._written(json.dumps(document, ensure_ascii=False), "jsonb")
        return Expression(text=self._chance.choice(("{0} @> {1}", "{1} <@ {0}")), kind="bool", args=(leaf, part))

    def _listed(self, leaf: Expression, column: TableColumn, word: str) -> Expression:
        count = self._chance.randint(1, 5)
        members = tuple(self._near(column) for _ in range(count))
        places = ", ".join(f"{{{number}}}" for number in range(1, count + 1))
        if word == "IN" and self._chance.random() < 0.3 and not KINDS[column.kind].sql.endswith("[]"):
            kind = KINDS[column.kind].sql
            return Expression(text=f"{{0}} = ANY (ARRAY[{places}]::{kind}[])", kind="bool", args=(leaf, *members))
        return Expression(text=f"{{0}} {word} ({places})", kind="bool", args=(leaf, *members))

    def about(self, column: TableColumn) -> Expression:
        """A comparison of a column with a constant, or what IS says of it."""
        leaf = self.leaf(column)
        of = KINDS[column.kind].of
        roll = self._chance.random()
        if roll < 0.15 or of in _NOT_EQUAL:
            word = self._chance.choice(("IS NULL", "IS NOT NULL"))
            return Expression(text=f"{{0}} {word}", kind="bool", args=(leaf,))
        if roll < 0.3:
            word = self._chance.choice(("IS DISTINCT FROM", "IS NOT DISTINCT FROM"))
            return Expression(text=f"{{0}} {word} {{1}}", kind="bool", args=(leaf, self._near(column)))
        if roll < 0.4:
            return self._listed(leaf, column, self._chance.choice(("IN", "NOT IN")))
        if roll < 0.5 and of not in _NOT_ORDERED:
            word = self._chance.choice(("BETWEEN", "NOT BETWEEN", "BETWEEN SYMMETRIC"))
            args = (leaf, self._near(column), self._near(column))
            return Expression(text=f"{{0}} {word} {{1}} AND {{2}}", kind="bool", args=args)
        signs = ("=", "<>") if of in _NOT_ORDERED else ("=", "<>", "<", "<=", ">", ">=")
        sign = self._chance.choice(signs)
        text = f"{{0}} {sign} {{1}}" if self._chance.random() < 0.8 else f"{{1}} {sign} {{0}}"
        return Expression(text=text, kind="bool", args=(leaf, self._near(column)))

    def of(self, kind: str, depth: int) -> Expression:
        """An expression of that kind: a column of it, something made of others, or a constant."""
        columns = [one for one in self._table.columns if KINDS[one.kind].of == kind]
        rules = BY_KIND.get(kind, ())
        if kind == "bool" and (depth <= 0 or self._chance.random() < 0.35):
            return self.about(self._column()) if self._chance.random() < 0.6 else self._comparison(depth - 1)
        if columns and (depth <= 0 or not rules or (kind != "bool" and self._chance.random() < 0.55)):
            return self.leaf(self._chance.choice(columns))
        if not rules or depth < -1:
            return self.constant(self._constant_kind(kind), typed=1)
        possible = self._possible(rules) or ([] if self._quiet else list(rules))
        if not possible:
            return self.about(self._column()) if kind == "bool" else self.constant(self._constant_kind(kind), typed=1)
        rule = self._chance.choices(possible, [rule.weight for rule in possible])[0]
        args = tuple(
            self.constant(self._constant_kind(arg[:-1])) if arg.endswith("!") else self.of(arg, depth - 1)
            for arg in rule.args
        )
        return Expression(text=rule.text, kind=kind, args=args)

    def _possible(self, rules: tuple[Rule, ...]) -> list[Rule]:
        """Those whose first kinds the table has columns for: clauses about rows, not about constants."""
        have = {KINDS[one.kind].of for one in self._table.columns} | {"bool"}
        possible = [rule for rule in rules if any(arg in have for arg in rule.args)]
        return [rule for rule in possible if not self._quiet or not _LOUD.search(rule.text)]

    def _constant_kind(self, kind: str) -> str:
        return self._chance.choice(_CONSTANT_OF[kind]) if kind in _CONSTANT_OF else kind

    def _comparison(self, depth: int) -> Expression:
        """Of two expressions of one kind."""
        kinds = sorted({KINDS[one.kind].of for one in self._table.columns} & BY_KIND.keys() - {"bool"}) or ["int"]
        kind = self._chance.choice((*kinds, "text", "int"))
        sign = self._chance.choice(("=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"))
        other = self.constant(self._constant_kind(kind)) if self._chance.random() < 0.8 else self.of(kind, depth)
        return Expression(text=f"{{0}} {sign} {{1}}", kind="bool", args=(self.of(kind, depth), other))
