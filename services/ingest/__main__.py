"""`python -m services.ingest`: take jobs from the queue until told to stop."""

from medley.runtime.process import run
from services.ingest.app import main

if __name__ == "__main__":
    run("ingest", main, stop_within=60)  # of which jobs in hand have INGEST_STOP_SECONDS
