"""Names and texts as SQL, whatever they contain. Pure.

Neither holds NUL, which Postgres has no way to write: callers refuse it before (`storable`).
"""


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """A literal that means the same whatever `standard_conforming_strings` says."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def storable(text: str) -> bool:
    """Whether Postgres can hold the text: valid UTF-8 without NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
