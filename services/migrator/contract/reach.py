"""Which named statements a service can run: all of its own, and those of `medley` that its code reaches. Reads files.

Code is followed by name: a function is reached when code that is reached mentions its name, wherever it stands. Two
functions of one name are thus taken for one: the answer may hold a statement that never runs, and lacks none.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medley.runtime import statements

# The gate reads the ledger and the catalogue before there can be a contract; its names would only be taken for others'.
_READS_NO_TABLE = "medley.gate"
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Code:
    """A function, or what a module does when it is imported: the names and the statements that it mentions."""

    name: str | None  # None: runs with the import
    mentions: frozenset[str]
    statements: frozenset[str]


def named_statements(service: str, root: Path) -> dict[str, str]:
    """Their texts, by `<path of the .sql file>:<name>`, in that order."""
    own = sorted((root / "services" / service).rglob("*.py"))
    found = {(path, name) for path in own for name in _texts(path)}
    codes = {path: list(_codes(path)) for path in _imported(own, root)}
    mentioned = {name for path in own for name in _mentions(ast.parse(path.read_text(encoding="utf-8")))}
    waiting = [(path, code) for path, codes_of in codes.items() for code in codes_of]
    while reached := [(path, code) for path, code in waiting if code.name is None or code.name in mentioned]:
        waiting = [one for one in waiting if one not in reached]
        for path, code in reached:
            mentioned |= code.mentions
            found |= {(path, name) for name in code.statements}
    return {f"{path.with_suffix('.sql').relative_to(root)}:{name}": _texts(path)[name] for path, name in sorted(found)}


def _texts(module: Path) -> dict[str, str]:
    return statements.load(str(module)) if module.with_suffix(".sql").exists() else {}


def _imported(modules: list[Path], root: Path) -> list[Path]:
    """The files of `medley` that these modules import, and those that they import in turn."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        new = set(_imports(waiting.pop(), root)) - found
        found |= new
        waiting.extend(new)
    return sorted(found)


def _imports(module: Path, root: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                dotted = [alias.name for alias in names]
            case ast.ImportFrom(module=str(source), level=0, names=names):
                dotted = [source, *(f"{source}.{alias.name}" for alias in names)]
            case _:
                continue
        for name in dotted:
            path = root.joinpath(*name.split("."))
            if name.split(".")[0] == "medley" and not name.startswith(_READS_NO_TABLE):
                yield from (one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file())


def _codes(module: Path) -> Iterator[Code]:
    """Every function and method of a module, and the rest of it as one more."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    holders: list[ast.Module | ast.ClassDef] = [tree]
    holders += [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    functions = [node for holder in holders for node in holder.body if isinstance(node, _FUNCTION)]
    inside = {id(part) for function in functions for part in ast.walk(function)}
    rest = [node for node in ast.walk(tree) if id(node) not in inside]
    every = frozenset(_texts(module))
    for function in functions:
        parts = list(ast.walk(function))
        # What Python calls by itself is not mentioned by anybody.
        name = None if function.name.startswith("__") else function.name
        yield Code(name, frozenset(_names(parts)), _statements(parts, every))
    yield Code(None, frozenset(_names(rest)), _statements(rest, every))


def _mentions(tree: ast.AST) -> set[str]:
    return _names(list(ast.walk(tree)))


def _names(nodes: list[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                names.add(name)
    return names


def _statements(nodes: list[ast.AST], every: frozenset[str]) -> frozenset[str]:
    """The `SQL["name"]` among the nodes; all of the file's when `SQL` is used in another way."""
    found, uses = set(), 0
    for node in nodes:
        match node:
            case ast.Subscript(value=ast.Name(id="SQL"), slice=ast.Constant(value=str(name))):
                found.add(name)
                uses -= 1
            case ast.Name(id="SQL", ctx=ast.Load()):
                uses += 1
    return every if uses else frozenset(found)
