"""What the texts of a shape's values are made of, besides its rows: an enum's labels, a composite's attributes.

They can be altered while no row changes, so nothing in the stream tells of it; yet Postgres writes the same rows
otherwise from then on. A label that is added alters no text that was written.
"""

from collections.abc import Collection, Iterable
from typing import Any

import asyncpg

from medley.contracts.shapes import Column, TypeText
from medley.runtime import statements
from services.sync.kept import Common

SQL = statements.load(__file__)

_FIRST_OF_USERS = 16384  # FirstNormalObjectId: types below it came with Postgres, and stay as they are


async def of_columns(connection: Any, columns: Iterable[Column]) -> tuple[TypeText, ...]:
    """Those of the columns' types, as they are now."""
    return await _read(connection, {column.type_oid for column in columns if column.type_oid >= _FIRST_OF_USERS})


async def altered_among(pool: asyncpg.Pool, commons: Iterable[Common]) -> set[Common]:
    """Those whose values are written otherwise now; one question for all."""
    known = {common for common in commons if common.type_texts}
    types = {text.oid for common in known for text in common.type_texts if text.kind == "name"}
    now = frozenset(await _read(pool, types))
    return {common for common in known if not now.issuperset(common.type_texts)}


async def _read(connection: Any, types: Collection[int]) -> tuple[TypeText, ...]:
    """Asks nothing about nothing."""
    if not types:
        return ()
    return tuple(TypeText(**row) for row in await connection.fetch(SQL["type_texts"], sorted(types)))
