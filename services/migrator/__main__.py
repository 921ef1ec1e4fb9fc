"""`python -m services.migrator`: apply schema/*.sql, publish the outcome, end. With a command: what people ask for."""

import sys

from medley.runtime.process import run
from services.migrator.app import main
from services.migrator.commands import on_database, on_files
from services.migrator.commands.group import migrate

__all__ = ["on_database", "on_files"]  # imported for the commands that they add

if __name__ == "__main__":
    if sys.argv[1:]:
        migrate(prog_name="medley migrate")
    run("migrator", main)
