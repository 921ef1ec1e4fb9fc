"""What query strings ask for, kept: clients that follow one shape ask in the same words, again and again. Pure."""

from collections import OrderedDict
from functools import cached_property

from services.api.shape import params
from services.api.shape.admission import Kind
from services.api.shape.asked import Asked

_MOST = 4096
_LONGEST = 2048  # bytes; together at most 8 MiB, and what they were made into


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


class Queries:
    """Those that came last."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, Query] = OrderedDict()

    def of(self, query_string: bytes) -> Query:
        held = self._held.get(query_string)
        if held is None:
            held = Query(query_string.decode("latin-1"))
            if len(query_string) <= _LONGEST:
                self._held[query_string] = held
                if len(self._held) > _MOST:
                    self._held.popitem(last=False)
        return held
