"""Where a verification goes on that was stopped, and what it had found by then: a small JSON file, written whole."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from medley.runtime.errors import ConfigurationError
from medley.verify.findings import Finding


class Checkpoint:
    """`after[part]`: the last handle, or blob's id, that was looked at. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.after: dict[str, str] = {}
        self.findings: list[Finding] = []
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            kept = json.loads(path.read_text())
            self.after = {str(part): str(last) for part, last in kept["after"].items()}
            self.findings = [Finding(**one) for one in kept["findings"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{path} is no state of a verification ({error}); remove it to begin anew"
            ) from error

    def reached(self, part: str, last: str, findings: list[Finding]) -> None:
        """`findings`: all up to here. Raises ConfigurationError when it cannot be written."""
        self.after[part] = last
        self.findings = findings
        self._write()

    def finished(self) -> None:
        """The next one begins anew."""
        self.after, self.findings = {}, []
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._path is None:
            return
        kept: dict[str, Any] = {"after": self.after, "findings": [finding.as_json() for finding in self.findings]}
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self._path.absolute().parent, prefix=f".{self._path.name}.")
            with os.fdopen(descriptor, "w") as file:
                json.dump(kept, file)
            Path(temporary).replace(self._path)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be written ({error}); choose another --state") from error
