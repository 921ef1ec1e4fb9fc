"""What came of cases: how many of which sort, and what was not as it should be."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Difference:
    """`what` names its sort: one that is made smaller stays of that sort."""

    what: str
    seed: str
    shape: int
    batch: int
    clause: str
    detail: str
    tier: str = ""


@dataclass
class Tally:
    tiers: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    """Of subqueries that were followed."""
    boundaries: int = 0
    """Comparisons after single transactions."""
    cases: int = 0
