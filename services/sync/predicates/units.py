"""What Postgres is asked about: a clause, cut into a template and its constants, and for which rows. Pure."""

from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from medley.contracts.shapes import ClauseColumn
from services.sync.predicates.sides import sides
from services.sync.predicates.template import Template

Constants = tuple[str, ...]


class Alike:
    """What clauses have in common that differ in their constants alone. One object each: compared by identity."""

    __slots__ = ("__weakref__", "columns", "sides", "template")

    def __init__(self, template: Template, columns: tuple[ClauseColumn, ...]) -> None:
        self.template, self.columns = template, columns
        self.sides = sides(template, columns)


_ALIKE: WeakValueDictionary[tuple[Template, tuple[ClauseColumn, ...]], Alike] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Unit:
    """One clause: a template, its constants, and the columns that it names."""

    template: Template
    constants: Constants
    columns: tuple[ClauseColumn, ...]
    alike: Alike = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        key = (self.template, self.columns)
        found = _ALIKE.get(key)
        if found is None:
            found = _ALIKE[key] = Alike(*key)
        object.__setattr__(self, "alike", found)
        object.__setattr__(self, "template", found.template)
        object.__setattr__(self, "columns", found.columns)


@dataclass(frozen=True, slots=True)
class Asked:
    """A unit, and the numbers of the rows that it is asked about; None for all."""

    unit: Unit
    rows: tuple[int, ...] | None = None
