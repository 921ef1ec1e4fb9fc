"""COPY's text format (PostgreSQL documentation, "COPY", File Formats). Pure."""

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def fields(line: str) -> list[str | None]:
    """The values of one row.

    >>> fields("1\\ta\\\\tb\\t\\\\N")
    ['1', 'a\\tb', None]
    """
    values = line.split("\t")
    if "\\" not in line:
        return list(values)
    return [None if value == "\\N" else _unescape(value) for value in values]


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    first, *rest = value.split("\\")
    pieces = [first]
    escaped = iter(rest)
    for piece in escaped:
        if piece:
            pieces.append(_ESCAPES.get(piece[0], piece[0]) + piece[1:])
        else:
            pieces.append("\\" + next(escaped, ""))
    return "".join(pieces)
