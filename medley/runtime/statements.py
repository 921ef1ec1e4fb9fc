"""Named SQL: a `.sql` file beside the module that runs it, read once.

Each statement begins with `-- name: <name>`; the comment lines after it say what it does and its parameters.
"""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)


def load(module_file: str) -> dict[str, str]:
    """The statements of the `.sql` file that has the module's own name.

    Raises ValueError on a statement named twice, and FileNotFoundError when there is no such file.
    """
    path = Path(module_file).with_suffix(".sql")
    pieces = _NAME.split(path.read_text(encoding="utf-8"))
    statements: dict[str, str] = {}
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in statements:
            raise ValueError(f"{path}: statement {name} is defined twice")
        statements[name] = text.strip()
    return statements
