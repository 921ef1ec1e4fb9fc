"""What the texts of a shape's values are made of, besides its rows: an enum's labels, a composite's attributes.

They can be altered while no row changes, so nothing in the stream tells of it; yet Postgres writes the same rows
otherwise from then on. A label that is added alters no text that was written.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import asyncpg

from medley.contracts.shapes import Column, TypeText
from medley.runtime import statements
from services.sync.live import LiveShape

SQL = statements.load(__file__)

_FIRST_OF_USERS = 16384  # FirstNormalObjectId: types below it came with Postgres, and stay as they are


async def of_columns(connection: Any, columns: Iterable[Column]) -> tuple[TypeText, ...]:
    """Those of the columns' types, as they are now."""
    return await _read(connection, {column.type_oid for column in columns if column.type_oid >= _FIRST_OF_USERS})


async def altered_among(pool: asyncpg.Pool, shapes: Sequence[LiveShape]) -> set[str]:
    """The handles of those shapes whose values are written otherwise now; one question for all."""
    known = {shape.record.common for shape in shapes if shape.record.common.type_texts}
    types = {text.oid for common in known for text in common.type_texts if text.kind == "name"}
    now = frozenset(await _read(pool, types))
    altered = {common for common in known if not now.issuperset(common.type_texts)}
    return {shape.record.handle for shape in shapes if shape.record.common in altered}


async def _read(connection: Any, types: Collection[int]) -> tuple[TypeText, ...]:
    """Asks nothing about nothing."""
    if not types:
        return ()
    return tuple(TypeText(**row) for row in await connection.fetch(SQL["type_texts"], sorted(types)))
