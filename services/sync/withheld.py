"""Tables that are never published to clients (`SYNC_WITHHELD`). Pure."""

from collections.abc import Collection

from services.sync.table import Refused


class Withheld:
    """`names`: each as `schema.table`."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def check(self, field: str, schema: str, name: str) -> None:
        """Raises Refused, about this parameter."""
        if f"{schema}.{name}" in self._names:
            raise Refused(field, f'"{schema}"."{name}" is never published to clients (SYNC_WITHHELD).')

    def check_names(self, where: str | None) -> None:
        """A withheld table is not looked at for a clause, so that no answer tells of its columns. Raises Refused."""
        if where is None or "select" not in where.lower():
            return
        for name in self._names:
            if name.rpartition(".")[2].lower() in where.lower():
                raise Refused("where", f"{name} is never published to clients (SYNC_WITHHELD).")
