"""Names as clients write them: a table, a list of columns, by Postgres's rules for identifiers. Pure.

PostgreSQL documentation, "Identifiers and Key Words"; protocol section 1.1.
"""

import re

from medley.sql.quoting import storable

_UNQUOTED = re.compile(r"[^\W\d][\w$]*")
_MOST_BYTES = 63
_MOST_TEXT = 1_600 * 140  # the columns that a table can have, every character of them quoted
_FOLDED = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}  # in UTF-8, Postgres folds ASCII only


def identifier(text: str) -> str | None:
    """The name that Postgres would read: folded to lower case unless quoted; None when it is no identifier."""
    if text.startswith('"'):
        name = text[1:-1].replace('""', '"')
        fine = len(text) > 2 and text.endswith('"') and '"' not in text[1:-1].replace('""', "")
    else:
        name = text.translate(_FOLDED)
        fine = _UNQUOTED.fullmatch(text) is not None
    return name if fine and storable(name) and len(name.encode()) <= _MOST_BYTES else None


def table_name(text: str) -> tuple[str, str] | None:
    """(schema, table) of `t` or `s.t`; None when it is neither."""
    match [identifier(part) for part in _split(text[:_MOST_TEXT], ".")]:
        case [str(table)]:
            return "public", table
        case [str(schema), str(table)]:
            return schema, table
        case _:
            return None


def column_list(text: str) -> tuple[str, ...] | None:
    """The columns of `a,"B c"`; None when one of them is no identifier."""
    if len(text) > _MOST_TEXT:
        return None
    names = [identifier(part.strip()) for part in _split(text, ",")]
    return None if None in names else tuple(name for name in names if name is not None)


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside double quotes."""
    parts, start, quoted = [], 0, False
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return parts
