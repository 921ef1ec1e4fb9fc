"""Statements that cannot stand in a migration, each with what to do instead. Pure.

The migrator makes the transaction and talks to the server itself: a file that ends the transaction, or that only psql
understands, would do something else than what was read.
"""

import re
from collections.abc import Iterator

from medley.sql.lexer import Statement, Token

_TRANSACTION = re.compile(
    r"(BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE TRANSACTION|SET TRANSACTION)(?!\S)"
)
# What Postgres refuses inside a transaction block, as far as the first words tell; the scratch database finds the rest.
_ALONE = re.compile(
    r"""(CREATE\ (?:UNIQUE\ )?INDEX\ CONCURRENTLY | DROP\ INDEX\ CONCURRENTLY
    | REINDEX\ (?:\(\ .*?\ \)\ )?(?:INDEX|TABLE)\ CONCURRENTLY | REINDEX\ (?:\(\ .*?\ \)\ )?(?:SCHEMA|DATABASE|SYSTEM)
    | VACUUM | ALTER\ SYSTEM | (?:CREATE|DROP)\ (?:DATABASE|TABLESPACE) | ALTER\ DATABASE\ \S+\ SET\ TABLESPACE
    | CLUSTER(?=\ ;|\ VERBOSE\ ;|$) | DISCARD\ ALL | ALTER\ TABLE\ .*?\ DETACH\ PARTITION\ .*?\ CONCURRENTLY
    )(?!\S)""",
    re.VERBOSE,
)
_COPY = re.compile(r"(?:FROM STDIN|TO STDOUT)(?!\S)")
_HEAD = 16


def refusals(statement: Statement, no_transaction: bool) -> Iterator[tuple[int, str, str]]:
    """Offset in the file, what is wrong, near what."""
    words = " ".join(statement.words(_HEAD))
    if ends := _TRANSACTION.match(words):
        yield (
            statement.offset,
            "the migrator makes the transaction, one for each file; leave this statement out",
            ends[1],
        )
    elif not no_transaction and (alone := _ALONE.match(words)):
        yield (
            statement.offset,
            f"{alone[1]} cannot run in a transaction; put it alone into a file that says -- migrate: no-transaction",
            alone[1],
        )
    elif words.startswith("COPY ") and (copies := _COPY.search(" ".join(statement.words(1000)))):
        yield statement.offset, "a migration has no input and no output; write INSERT … VALUES", f"COPY … {copies[0]}"
    if "\\" in statement.text:
        for token in statement.tokens():
            if token.kind == "meta":
                yield _psql(statement, token)


def _psql(statement: Statement, token: Token) -> tuple[int, str, str]:
    command = token.text.split(maxsplit=1)[0]
    return statement.offset + token.offset, "a command of psql is no SQL; leave it out", command
