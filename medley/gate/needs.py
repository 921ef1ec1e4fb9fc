"""What a service needs of the schema: the columns that it reads and writes. Generated from its named SQL and its
models, pinned beside its code as `contract.json`, judged by `medley.gate.judge`.

Names of tables are `schema.table`, both quoted where Postgres would quote them; types are those of `format_type`.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from medley.runtime.errors import ConfigurationError


class Column(BaseModel):
    """A column as the code that uses it knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    nullable: bool


class Write(BaseModel):
    """What is written to one table. Every `INSERT` is a list of its own: what it leaves out must have a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, Column] = {}
    inserts: tuple[tuple[str, ...], ...] = ()
    updates: tuple[str, ...] = ()
    deletes: bool = False
    arbiters: tuple[tuple[str, ...], ...] = ()  # columns of each ON CONFLICT


class Needs(BaseModel):
    """The contract of one service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    reads: dict[str, dict[str, Column]] = {}
    writes: dict[str, Write] = {}


def load(path: Path) -> Needs:
    """The pinned contract. Raises ConfigurationError when there is none, or it is not one."""
    try:
        return Needs.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"no contract at {path} ({error}); make it with `make contracts`") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not a contract: {error}") from error


def of_service(module_file: str) -> Needs:
    """The contract that lies beside a service's module."""
    return load(Path(module_file).with_name("contract.json"))
