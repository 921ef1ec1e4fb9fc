"""Makes text and values fit for Postgres and JSON: what strangers wrote into tags must not break a row. Pure."""

import math
from typing import Any

LONGEST_TEXT = 4096
MOST_KEYS = 128
DEEPEST = 6


def text(value: str, longest: int = LONGEST_TEXT) -> str:
    """Without NUL (jsonb refuses it), without lone surrogates (UTF-8 refuses them), not endless.

    >>> text("a\\x00b")
    'ab'
    """
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()[:longest]


def value(given: Any, depth: int = 0) -> Any:
    """The nearest value that jsonb takes; None for what has none."""
    match given:
        case None | bool():
            return given
        case str():
            return text(given)
        case int():
            return given if -(2**63) <= given < 2**63 else None
        case float():
            return given if math.isfinite(given) else None
        case dict() if depth < DEEPEST:
            items = list(given.items())[:MOST_KEYS]
            return {text(str(key), 255): value(item, depth + 1) for key, item in items}
        case list() | tuple() if depth < DEEPEST:
            return [value(item, depth + 1) for item in given[:MOST_KEYS]]
        case _:
            return None
