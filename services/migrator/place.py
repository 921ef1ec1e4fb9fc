"""The place of a server's complaint in a migration file. Pure."""

import asyncpg

from services.migrator.directives import Script
from services.migrator.lexer import Statement


def place_of(script: Script, statement: Statement | None, error: asyncpg.PostgresError) -> tuple[int, int]:
    """Line and column, from 1: where the server points, else where the statement begins, else the end of the file."""
    offset = len(script.text) if statement is None else statement.offset
    if statement is not None and error.position:
        offset += int(error.position) - 1
    before = script.text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
