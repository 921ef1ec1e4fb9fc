"""`python -m services.migrator`: apply schema/*.sql, publish the verdict, end."""

from medley.runtime.process import run
from services.migrator.app import main

if __name__ == "__main__":
    run("migrator", main)
