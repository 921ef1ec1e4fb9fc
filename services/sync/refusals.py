"""Definitions that were refused a moment ago for what their rows are: not tried again for every request."""

import time

from medley.contracts.shapes import ShapeDefinition

_SECONDS = 10.0
_SECONDS_SLOW = 300.0  # it costs everybody to find that out again

Errors = dict[str, list[str]]


class Refusals:
    """Each with its reasons, until it may be tried again."""

    def __init__(self) -> None:
        self._until: dict[ShapeDefinition, tuple[float, Errors]] = {}

    def add(self, definition: ShapeDefinition, errors: Errors, *, slow: bool = False) -> None:
        self._until[definition] = (time.monotonic() + (_SECONDS_SLOW if slow else _SECONDS), errors)

    def of(self, definition: ShapeDefinition) -> Errors | None:
        now = time.monotonic()
        for old in [one for one, (until, _) in self._until.items() if until < now]:
            del self._until[old]
        found = self._until.get(definition)
        return found[1] if found is not None else None
