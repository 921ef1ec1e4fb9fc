"""Rules about the text of a migration: what runs, and is regretted later. Pure.

A rule is here only when what it finds cannot be taken back cheaply: data that lands in the wrong column, a view that
misses columns, a type that does not hold what is put into it, a setting that outlives its file. What locks a table is
not judged by the text; see locks.py.
"""

from collections.abc import Callable, Iterator, Sequence

from medley.sql.lexer import Lines, Statement, Token
from services.migrator.lint.findings import Finding
from services.migrator.sql.bodies import deep, name_of
from services.migrator.sql.directives import Script

Told = Iterator[tuple[int, str, str, str]]  # offset in the statement, rule, why, what to write instead

# Type: rule, why, instead.
_TYPES = {
    "timestamp": ("timestamp", "a timestamp without time zone is another moment in each session", "write timestamptz"),
    "char": ("char", "char(n) pads with blanks, and compares without them", "write text with a CHECK"),
    "character": ("char", "char(n) pads with blanks, and compares without them", "write text with a CHECK"),
    "varchar": (
        "varchar",
        "a limit in the type cannot be changed without breaking replicas",
        "write text with a CHECK",
    ),
    "money": ("money", "money is read by the server's locale", "write numeric, or bigint in the smallest unit"),
    "serial": ("serial", "serial leaves its sequence's rights and owner apart", "GENERATED ALWAYS AS IDENTITY"),
    "json": ("json", "json keeps text: no equality, no index, no DISTINCT", "write jsonb"),
}
_ALIASES = {"bigserial": "serial", "smallserial": "serial", "serial4": "serial", "serial8": "serial", "bpchar": "char"}
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE"}
_ABSENT_IN_PGLITE = {"ROLE", "USER", "GROUP", "TABLESPACE", "DATABASE", "SUBSCRIPTION", "SERVER", "FOREIGN", "SYSTEM"}
_IN_PGLITE = {"plpgsql"}
_LANGUAGES = {"sql", "plpgsql"}
_SERVER_ONLY = "mark what clients get with -- :electric:txn:start and end, or say -- server-only"


def find_unwise(scripts: Sequence[Script]) -> list[Finding]:
    """What the rules say of each file; what a file accepts is judged later."""
    found = []
    for script in scripts:
        lines = Lines(script.text)
        for statement, (offset, rule, why, instead) in _told(script):
            found.append(Finding(script.filename, *lines.at(statement.offset + offset), rule, why, instead))
    return sorted(set(found))


def _told(script: Script) -> Iterator[tuple[Statement, tuple[int, str, str, str]]]:
    made = {name for statement in script.statements for name in _made(statement)}
    changes = any(s.words(1)[0] in _DDL and not made & _names(s) for s in script.statements)
    for statement in script.statements:
        tokens = list(deep(statement.text))
        for rule in _RULES:
            for told in rule(statement, tokens):
                yield statement, told
        if changes and statement.words(1) != ("CREATE",):  # a function's body runs later
            for told in _bulk(tokens, made):
                yield statement, told


def _made(statement: Statement) -> Iterator[str]:
    tokens = list(statement.tokens())
    if tokens[0].upper == "CREATE" and "TABLE" in [token.upper for token in tokens[:4]]:
        yield from _after(tokens, {"TABLE"})


def _names(statement: Statement) -> set[str]:
    return {name_of(token) for token in statement.tokens()}


def _after(tokens: Sequence[Token], words: set[str]) -> Iterator[str]:
    """The names right after a word, without schema."""
    for index, token in enumerate(tokens):
        if token.upper in words:
            index += 1
            while index < len(tokens) and tokens[index].upper in ("IF", "NOT", "EXISTS", "ONLY"):
                index += 1
            while index + 2 < len(tokens) and tokens[index + 1].text == ".":
                index += 2
            if index < len(tokens):
                yield name_of(tokens[index])


def _bulk(tokens: list[Token], made: set[str]) -> Told:
    """UPDATE or DELETE of tables that were there before, in a file that changes such tables."""
    for index, token in enumerate(tokens):
        starts = index == 0 or _word(tokens, index - 1) in (";", "BEGIN", "THEN", "LOOP", "ELSE")
        if not starts or token.upper not in ("UPDATE", "DELETE"):
            continue
        name = next(_after(tokens[index:], {"FROM"} if token.upper == "DELETE" else {"UPDATE"}), "")
        if name not in made:
            yield (
                token.offset,
                "data-and-ddl",
                f"the locks of this file's other statements are held until all rows of {name} are written",
                "put it into a file of its own, in small steps",
            )


def _insert_columns(statement: Statement, tokens: list[Token]) -> Told:
    for index, token in enumerate(tokens[:-2]):
        if token.upper != "INSERT" or _word(tokens, index + 1) != "INTO":
            continue
        rest = index + 3
        while _word(tokens, rest) == ".":
            rest += 2
        rest += 2 if _word(tokens, rest) == "AS" else 0
        listed = _word(tokens, rest) == "(" and _word(tokens, rest + 1) not in ("SELECT", "WITH", "VALUES", "(")
        if not listed and _word(tokens, rest) not in ("DEFAULT", "OVERRIDING"):
            yield token.offset, "insert-columns", "a column added later moves the values", "name the columns"


def _select_star(statement: Statement, tokens: list[Token]) -> Told:
    words = statement.words(6)
    if words[0] != "CREATE" or not {"VIEW", "FUNCTION", "PROCEDURE"} & set(words):
        return
    for index, token in enumerate(tokens):
        if token.text != "*" or _word(tokens, index - 1) not in ("SELECT", "DISTINCT", "ALL", "."):
            continue
        if [_word(tokens, i) for i in range(index - 3, index)] != ["EXISTS", "(", "SELECT"]:
            why = "* means the columns of today: one added later is missed by a view and breaks a function"
            yield token.offset, "select-star", why, "name the columns"


def _drop_cascade(statement: Statement, tokens: list[Token]) -> Told:
    if statement.words(2) == ("CREATE", "EXTENSION"):
        return
    for index, token in enumerate(tokens):
        if token.upper == "CASCADE" and _word(tokens, index - 2) != "ON":
            why = "CASCADE drops what nobody wrote here, and on another database something else"
            yield token.offset, "drop-cascade", why, "drop by name, what depends on it first"


def _session_setting(statement: Statement, tokens: list[Token]) -> Told:
    if statement.words(1) == ("CREATE",):  # a function's body runs later
        return
    why, instead = "it stays set for the files that come after it in the same session", "write SET LOCAL"
    for index, token in enumerate(tokens):
        starts = index == 0 or _word(tokens, index - 1) in (";", "BEGIN", "THEN", "LOOP", "ELSE")
        if starts and token.upper == "SET" and _word(tokens, index + 1) not in ("LOCAL", "CONSTRAINTS", "TRANSACTION"):
            yield token.offset, "session-setting", why, instead
        if name_of(token) == "set_config" and _word(tokens, index + 6) == "FALSE":
            yield token.offset, "session-setting", why, "give set_config true as its third argument"


def _types(statement: Statement, tokens: list[Token]) -> Told:
    if statement.words(1)[0] not in ("CREATE", "ALTER") or not {"TABLE", "DOMAIN"} & set(statement.words(5)):
        return
    for index, token in enumerate(tokens[2:], 2):
        named = tokens[index - 1].kind in ("word", "name")
        column = named and _word(tokens, index - 2) in ("(", ",", "ADD", "COLUMN", "EXISTS")
        if token.kind != "word" or not (column or _word(tokens, index - 1) == "TYPE"):
            continue
        name = _ALIASES.get(name_of(token), name_of(token))
        following = [_word(tokens, i) for i in range(index + 1, index + 5)]
        limited = following[0] == "(" or following[:2] == ["VARYING", "("]
        if name == "character" and following[0] == "VARYING":
            name = "varchar"
        if (name == "varchar" and not limited) or (name == "timestamp" and "WITH" in (following[0], following[3])):
            continue
        if name in _TYPES:
            yield token.offset, *_TYPES[name]


def _absent_in_pglite(statement: Statement, tokens: list[Token]) -> Told:
    """What a browser's database does not have, in what is replicated to it."""
    if not statement.replicated:
        return
    words = [token.upper or token.text for token in tokens]
    for index, token in enumerate(tokens):
        made = words[index] in ("CREATE", "ALTER", "DROP") and index + 1 < len(words)
        if made and words[index + 1] in _ABSENT_IN_PGLITE:
            what = f"{words[index + 1]} is nothing that a client's database has"
        elif (
            made
            and words[index + 1] == "EXTENSION"
            and not _IN_PGLITE & set(map(name_of, tokens[index + 2 : index + 6]))
        ):
            what = "a client's database has no such extension"
        elif words[index] == "LANGUAGE" and name_of(tokens[min(index + 1, len(tokens) - 1)]) not in _LANGUAGES:
            what = "a client's database has no such language"
        elif (index == 0 and words[0] in ("GRANT", "REVOKE")) or words[index : index + 2] == ["OWNER", "TO"]:
            what = "the roles of a server do not exist in a client's database"
        else:
            continue
        yield token.offset, "not-in-pglite", what, _SERVER_ONLY


def _word(tokens: Sequence[Token], index: int) -> str:
    """The word in upper case, or the text; empty outside."""
    return (tokens[index].upper or tokens[index].text) if 0 <= index < len(tokens) else ""


_RULES: tuple[Callable[[Statement, list[Token]], Told], ...] = (
    _insert_columns,
    _select_star,
    _drop_cascade,
    _session_setting,
    _types,
    _absent_in_pglite,
)
