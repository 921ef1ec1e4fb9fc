"""What a clause stands on in the catalogue, and whether it still is what it was.

A function that is replaced keeps its OID, and so do an enum with other labels, a domain with other constraints and a
collation of another version. Their rows do not stay the same: a version is made of the rows' xmin.
"""

from collections.abc import Collection
from typing import Any

from medley.runtime import statements

SQL = statements.load(__file__)

Named = tuple[str, int]
"""(kind, OID)"""

_FIRST_OF_USERS = 16384  # FirstNormalObjectId: below it is what a database is made with
_TEXT_SEARCH_TYPES = {3734, 3769}  # regconfig, regdictionary
TEXT_SEARCH: Named = ("text search", 0)
"""All configurations and dictionaries together: a clause names them by constants."""


def watched(named: Collection[Named]) -> list[Named]:
    """Those of them that somebody could alter."""
    found = sorted(one for one in named if one[1] >= _FIRST_OF_USERS)
    if any(kind == "type" and oid in _TEXT_SEARCH_TYPES for kind, oid in named):
        found.append(TEXT_SEARCH)
    return found


async def versions(connection: Any, named: Collection[Named]) -> dict[Named, str]:
    """Each with its version now; what is not there any more has an empty one. Asks nothing about nothing."""
    if not named:
        return {}
    rows = await connection.fetch(SQL["versions"], [kind for kind, _ in named], [oid for _, oid in named])
    return {(row["kind"], row["oid"]): row["version"] for row in rows}
