"""Names and texts as SQL, whatever they contain. Pure.

Neither holds NUL, which Postgres has no way to write: callers refuse it before.
"""


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """A literal that means the same whatever `standard_conforming_strings` says."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted
