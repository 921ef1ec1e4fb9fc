"""What migrations say of the whole server, as `init.sql` says it again. Pure.

Roles are the server's, not the database's: one that is there already, for another database of it, is taken as it is.
"""

from collections.abc import Iterator, Sequence

from medley.sql.lexer import Statement
from services.migrator.scratch.roles import is_server_wide, makes_role
from services.migrator.sql.bodies import deep, name_of
from services.migrator.sql.directives import Script
from services.migrator.sql.faults import excerpt

_KINDS = ("ROLE", "USER", "GROUP")
_IN_NO_TRANSACTION = {"DATABASE", "TABLESPACE", "SYSTEM", "SUBSCRIPTION"}


def server_wide(scripts: Sequence[Script]) -> Iterator[str]:
    """In their order: statements about the server, and the roles that DO blocks make."""
    for script in scripts:
        for statement in script.statements:
            if statement.words(1) == ("DO",) or makes_role(statement):
                yield from (_unless_there(name, text) for name, text in _roles(statement))
            elif is_server_wide(statement):
                yield _as_it_is(script, statement)


def _roles(statement: Statement) -> Iterator[tuple[str, str]]:
    """The name in each `CREATE ROLE …` and its text, inside bodies and strings too."""
    tokens = list(deep(statement.text))
    for index, token in enumerate(tokens[:-2]):
        if token.upper == "CREATE" and tokens[index + 1].upper in _KINDS and tokens[index + 2].upper != "MAPPING":
            rest = tokens[index + 2 :]
            last = next((place for place, each in enumerate(rest) if each.text == ";"), len(rest))
            text = statement.text[token.offset : rest[last - 1].end]
            yield name_of(rest[0]), text


def _unless_there(name: str, text: str) -> str:
    quoted = name.replace("'", "''")
    return (
        f"DO $role$\nBEGIN\n    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{quoted}') THEN\n"
        f"        {text};\n    END IF;\nEND $role$;"
    )


def _as_it_is(script: Script, statement: Statement) -> str:
    words = statement.words(3)
    if (
        words[0] in ("CREATE", "DROP", "ALTER")
        and words[1] in _IN_NO_TRANSACTION
        and words[:2] != ("ALTER", "DATABASE")
    ):
        return f"-- To be done apart, since it needs a session without a transaction ({script.filename}): " + excerpt(
            statement.text
        )
    return statement.text
