"""A file that the workers of the running home may not open by its path is lent to them in the home's inbox.

Workers open only what lies below allowed folders, so that a job from anybody on the bus cannot read the machine. Who
runs the command can read both the file and the home, and so may hand it over: as a hard link, or a copy elsewhere.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from medley.cli.home import Home
from medley.runtime.errors import ConfigurationError


class Inbox:
    """Lends files until their jobs have ended."""

    def __init__(self, folder: Path, allowed: Iterable[Path]) -> None:
        self._folder = folder
        self._allowed = tuple(allowed)
        self._usable = self.opens(folder)
        self._lent: dict[UUID, Path] = {}

    @classmethod
    def of(cls, home: Path) -> "Inbox | None":
        """The inbox of the stack that runs on the home; None when none does: its workers are elsewhere."""
        place = Home(home)
        try:
            state = place.running()
        except ConfigurationError:
            return None
        return cls(place / "inbox", (Path(folder) for folder in state["allowed"]))

    def opens(self, path: Path) -> bool:
        """Whether the workers may open this path as it is."""
        real = path.resolve()
        return any(real.is_relative_to(folder) for folder in self._allowed)

    def path_for(self, path: Path, job_id: UUID) -> Path:
        """The path that the job names: the file's own, or where it was lent."""
        if not self._usable or self.opens(path):
            return path
        place = self._folder / str(job_id) / path.name
        place.parent.mkdir()
        self._lent[job_id] = place
        try:
            os.link(path.resolve(), place)
        except OSError:
            shutil.copyfile(path, place)
        return place

    def take_back(self, job_ids: Iterable[str]) -> None:
        """The jobs have ended: nothing of what they were lent stays."""
        for job_id in map(UUID, job_ids):
            if (place := self._lent.pop(job_id, None)) is not None:
                shutil.rmtree(place.parent, ignore_errors=True)
