"""Translates what asyncpg raises into the tree of `medley.runtime.errors`, once, at the edge of the database."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from medley.runtime.errors import Permanent, Transient, Unavailable

# The values themselves are at fault (SQLSTATE classes 22 and 23): the same statement fails again.
_PERMANENT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
# The server went away, or is about to (SQLSTATE classes 08 and 57).
_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


@contextmanager
def database() -> Iterator[None]:
    """Permanent for values that Postgres refuses, Unavailable when it cannot be reached, else Transient."""
    try:
        yield
    except _PERMANENT as error:
        raise Permanent(f"Postgres refused the values: {error}") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, *_LOST) as error:
        raise Unavailable(f"Postgres cannot be reached ({str(error) or type(error).__name__})") from error
    except asyncpg.PostgresError as error:
        raise Transient(f"Postgres could not do it now: {error}") from error
