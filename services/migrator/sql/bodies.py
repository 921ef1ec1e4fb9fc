"""The tokens of a text, those of bodies included: dollar quotes, and strings that may hold SQL for EXECUTE. Pure."""

from collections.abc import Iterator

from medley.sql.lexer import Token, lex


def deep(text: str, start: int = 0) -> Iterator[Token]:
    """Every token but comments, in order; offsets count from where `text` begins, plus `start`."""
    for token in lex(text):
        offset = start + token.offset
        if token.kind == "dollar":
            tag = token.text[: token.text.index("$", 1) + 1]
            yield from deep(token.text[len(tag) : -len(tag)], offset + len(tag))
        elif token.kind == "string" and " " in token.text:
            opening = token.text.index("'") + 1
            yield from deep(token.text[opening:-1], offset + opening)
        elif token.kind != "comment":
            yield token._replace(offset=offset)


def name_of(token: Token) -> str:
    """The identifier as the catalogue has it; what a string holds; empty for the rest."""
    match token.kind:
        case "word":
            return token.text.lower()
        case "name":
            return token.text.lstrip('uU&"').removesuffix('"').replace('""', '"')
        case "string":
            return token.text.strip("'")
    return ""
