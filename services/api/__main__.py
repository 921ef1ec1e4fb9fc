"""`python -m services.api`: shapes, blobs and jobs over HTTP."""

from medley.runtime.process import run
from services.api.app import main

if __name__ == "__main__":
    run("api", main)
