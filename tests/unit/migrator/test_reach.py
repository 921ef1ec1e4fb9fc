"""A service has all of its own statements, and of the shared ones those that its code can come to."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.migrator.contract.reach import named_statements

STORE_SQL = "".join(f"-- name: {name}\nSELECT '{name}'\n\n" for name in ("get", "put", "size", "at_import", "entered"))
STORE = """
from medley.runtime import statements

SQL = statements.load(__file__)
FIRST = SQL["at_import"]

class Store:
    def __enter__(self):
        return SQL["entered"]

    def get(self):
        return self._size(SQL["get"])

    def put(self):
        return SQL["put"]

    def _size(self, found):
        return SQL["size"]
"""


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def reached(root: Path, service: str) -> set[str]:
    return {Path(name).name for name in named_statements(service, root)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(
        tmp_path,
        {
            "medley/__init__.py": "",
            "medley/store/__init__.py": "",
            "medley/store/store.py": STORE,
            "medley/store/store.sql": STORE_SQL,
            "medley/store/opening.py": "from medley.store.store import Store\n\ndef opened():\n    return Store()\n",
            "services/reader/app.py": "from medley.store.opening import opened\n\nopened().get()\n",
            "services/writer/app.py": "from medley.store import store\n\ndef run(it):\n    return it.put()\n",
            "services/lonely/deep/rows.py": "X = 1\n",
            "services/lonely/deep/rows.sql": "-- name: own\n-- what it does\nSELECT 1\n",
            "services/lonely/notes.sql": "-- name: no_module_runs_it\nSELECT 1\n",
        },
    )


def test_what_is_called_and_what_that_calls(root: Path) -> None:
    assert reached(root, "reader") == {f"store.sql:{name}" for name in ("get", "size", "at_import", "entered")}


def test_a_function_that_is_mentioned_counts_wherever_it_stands(root: Path) -> None:
    assert reached(root, "writer") == {f"store.sql:{name}" for name in ("put", "at_import", "entered")}


def test_its_own_statements_count_all_and_nothing_that_it_does_not_import(root: Path) -> None:
    assert named_statements("lonely", root) == {"services/lonely/deep/rows.sql:own": "-- what it does\nSELECT 1"}


def test_a_statement_that_is_chosen_while_running_may_be_any(root: Path) -> None:
    tree(root, {"medley/store/store.py": STORE.replace('SQL["size"]', "SQL[found]")})
    assert reached(root, "reader") == {f"store.sql:{name}" for name in ("get", "put", "size", "at_import", "entered")}
    assert "store.sql:size" not in reached(root, "writer")
