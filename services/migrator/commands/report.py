"""What a command answers: for people, for programs, and as an exit code.

0 all is well · 1 it failed, or was refused · 2 wrong usage · 3 behind: migrations are pending · 4 incompatible: this
history and the database's are not one · 5 drift: the schema is not the one that its history makes · 6 unreachable
"""

from dataclasses import dataclass
from typing import Any

OK, FAILED, BEHIND, INCOMPATIBLE, DRIFT = 0, 1, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Report:
    text: str
    value: Any
    code: int = OK
