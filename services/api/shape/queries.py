"""What query strings ask for, kept: clients that follow one shape ask in the same words, again and again. Pure."""

from functools import cached_property

from services.api.shape import params
from services.api.shape.admission import Kind
from services.api.shape.asked import Asked
from services.api.shape.bodies import Bodies

_BYTES = 16 * 1024 * 1024
_EACH, _TIMES = 4096, 6
"""Bytes of memory that a query takes, and for each byte of its text."""


class Query:
    """One query string, read as far as somebody needs it."""

    def __init__(self, text: str) -> None:
        self.given = params.given(text)

    @cached_property
    def kind(self) -> Kind:
        return params.kind(self.given)

    @cached_property
    def asked(self) -> Asked | params.Errors:
        return params.parse(self.given)


def memory(text: int) -> int:
    """Bytes that a query of so many takes, roughly."""
    return _EACH + _TIMES * text


class Queries:
    """Those that came last."""

    def __init__(self) -> None:
        self._held: Bodies[Query] = Bodies(_BYTES)

    def of(self, query_string: bytes) -> Query:
        held = self._held.get(query_string)
        if held is None:
            held = Query(query_string.decode("latin-1"))
            self._held.keep(held, memory(len(query_string)), query_string)
        return held
