"""`python -m services.ingest`: take jobs from the queue until told to stop."""

from medley.runtime.process import run
from services.ingest.app import main

if __name__ == "__main__":
    run("ingest", main)
