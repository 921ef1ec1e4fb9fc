"""`python -m services.sync`: capture and fan-out."""

from medley.runtime.process import run
from services.sync.app import main

if __name__ == "__main__":
    run("sync", main)
