"""A row as Postgres writes it as one text (PostgreSQL documentation, "Composite Types", Output Syntax). Pure."""

import re

_FIELD = re.compile(r'"((?:[^"\\]|""|\\.)*)"|([^,"]*)', re.DOTALL)
_ESCAPED = re.compile(r'""|\\(.)', re.DOTALL)


def fields(text: str) -> list[str | None]:
    """The values of `ROW(…)::text`.

    >>> fields('(1,,"","a ""b"" \\\\\\\\ c,")')
    ['1', None, '', 'a "b" \\\\ c,']
    """
    values: list[str | None] = []
    at, end = 1, len(text) - 1
    while True:
        match = _FIELD.match(text, at, end)
        assert match is not None
        quoted, plain = match.groups()
        if quoted is not None:
            values.append(_ESCAPED.sub(lambda found: found[1] or '"', quoted))
        else:
            values.append(plain or None)
        at = match.end() + 1
        if match.end() >= end:
            return values
