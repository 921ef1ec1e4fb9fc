"""What a request asks for, as values. Pure."""

from dataclasses import dataclass

from medley.contracts.offsets import Offset
from medley.contracts.shapes import ShapeDefinition


@dataclass(frozen=True, slots=True)
class SubsetAsked:
    """A subset snapshot (protocol section 1.7).

    `queryable`: the columns that `where` and `order_by` may use; None: any.
    """

    where: str | None = None
    params: tuple[str, ...] = ()
    limit: int | None = None
    offset: int | None = None
    order_by: str | None = None
    queryable: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid read. `offset` None stands for `now`; `handle` is None where the protocol ignores it.

    `led_to`: the handle that came with `offset=-1`, after must-refetch: the client expects that one, or a newer.
    """

    definition: ShapeDefinition
    offset: Offset | None
    offset_text: str
    handle: str | None = None
    live: bool = False
    sse: bool = False
    cursor: int | None = None
    subset: SubsetAsked | None = None
    led_to: str | None = None


@dataclass(frozen=True, slots=True)
class AskedToDelete:
    """A valid deletion: a definition, a handle, or both."""

    definition: ShapeDefinition | None
    handle: str | None
