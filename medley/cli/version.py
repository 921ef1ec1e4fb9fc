"""Our own version: of the installed package, or, where the code only lies in a folder (the image), of its project."""

import tomllib
from importlib import metadata
from pathlib import Path


def own() -> str:
    try:
        return metadata.version("medley")
    except metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"])
