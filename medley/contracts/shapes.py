"""The shape: its definition, its handle, and what the registry (bucket `shapes`) holds of it."""

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from medley.contracts.offsets import INFINITE, SNAPSHOT_END, Offset


class ShapeDefinition(BaseModel):
    """What a client asks for. Two requests with equal definitions follow the same shape.

    `schema_name` and `table` are exact names (not quoted, not folded); `columns` None means all;
    `params` are the values of `$1`, `$2`, …
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: str
    table: str
    where: str | None = None
    params: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    replica: Literal["default", "full"] = "default"
    log: Literal["full", "changes_only"] = "full"

    def digest(self) -> str:
        """64 bits of the definition's sha256, as decimal digits (the first half of a handle)."""
        canonical = self.model_dump_json(exclude_defaults=True)
        return str(int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big"))


CHUNK_BYTES = 10 * 1024 * 1024


class Column(BaseModel):
    """One column as Postgres's catalogue has it. `modifier` is atttypmod; `pk_index` counts from 0."""

    model_config = ConfigDict(frozen=True)

    name: str
    type_oid: int
    modifier: int = -1
    not_null: bool = False
    pk_index: int | None = None


class ClauseColumn(BaseModel):
    """A column that a clause names, as it was when the clause was read.

    `type_sql` with modifier and collation; `type_name` is pg_type's, of an array its element's and `[]`.
    `made_of_text`: its values are made of text by a cast, being JSON or of a domain; others by their type's input
    function.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type_oid: int
    modifier: int
    type_sql: str
    type_name: str
    made_of_text: bool
    deterministic: bool
    """Equal texts are the same bytes."""
    bytewise: bool = False
    """Its texts are compared by their bytes in UTF-8."""
    enumerated: bool = False


class ClauseObject(BaseModel):
    """A function, type and so on that a clause stands on; another `version` means that it was altered."""

    model_config = ConfigDict(frozen=True)

    kind: str
    oid: int
    version: str


class TypeText(BaseModel):
    """What the texts of a type's values are made of: a type's name, the label of an enum's value (by the label's OID),
    or a composite's attributes."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["name", "label", "attributes"]
    oid: int
    text: str


class ClauseTable(BaseModel):
    """A table that a clause's subqueries read, as it was when the clause was read.

    `columns`: those that are read and the primary key's, `key`: its names in order, none where there is none.
    """

    model_config = ConfigDict(frozen=True)

    oid: int
    schema_name: str
    name: str
    partitioned: bool
    publication_entry: int
    columns: tuple[ClauseColumn, ...]
    key: tuple[str, ...]


Tier = Literal["whole", "index", "python", "postgres", "constant"]
"""Who finds a shape's changes: nobody is asked (`whole`), a hash look-up of equal values (`index`), that of one of
several (`python`), Postgres, or it is the same for every row (`constant`)."""


class Predicate(BaseModel):
    """A clause as Postgres understood it.

    `sql` is safe anywhere, and means the same whatever the search path is; `constant`: what it is for every row, when
    it names no column (NULL is false). `tier` and `index` tell people how changes find the shape.
    """

    model_config = ConfigDict(frozen=True)

    sql: str
    columns: tuple[ClauseColumn, ...]
    objects: tuple[ClauseObject, ...] = ()
    constant: bool | None = None
    tier: Tier = "postgres"
    index: tuple[str, ...] = ()
    tables: tuple[ClauseTable, ...] = ()
    """What its subqueries read; then `columns` has all that the shape shows, too."""
    partitioned: bool = False
    """Whether the shape's own table is; told where subqueries are."""


class Continued(BaseModel):
    """The log that a later generation of a shape goes on with: it has a snapshot of its own, and no log.

    `handle`: of the first generation, whose log it is. The snapshot is the state after everything in it up to and with
    `lsn`. `sequence`: in `SHAPES`, of a message at or before which every entry is in the snapshot; 0 for none;
    `size`: bytes that the log had ever held by then.
    """

    model_config = ConfigDict(frozen=True)

    handle: str
    lsn: int
    sequence: int
    size: int


class ShapeRecord(BaseModel):
    """A generation of a shape as the registry knows it; most shapes have one.

    `snapshotting`: rows are being exported, changes are already logged; `ready`: the snapshot is whole. Of the
    generations that are ready, clients are given the last one; an older one's readers go on with the log.
    A shape that is gone has no record.
    """

    model_config = ConfigDict(frozen=True)

    handle: str
    definition: ShapeDefinition
    state: Literal["snapshotting", "ready"]
    relation_oid: int
    publication_entry: int
    """OID of the table's place in the publication: another one means that it was taken out meanwhile."""
    columns: tuple[Column, ...]
    protocol_schema: dict[str, dict[str, Any]]
    conditions: tuple[tuple[str, str, str], ...] | None
    """A clause of equalities as the index takes it: (column, type, constant) each; None for any other, and for none."""
    snapshot: tuple[int, int, tuple[int, ...]]
    """xmin, xmax and xip of `pg_current_snapshot()`: transactions that it sees are not in the log."""
    changes_id: str
    """Identity of the CHANGES stream that the log was fed from; another one means a gap."""
    chunk_bytes: int = CHUNK_BYTES
    """A chunk of the snapshot is closed by the row that makes it this large; fixed for the handle's life."""
    predicate: Predicate | None = None
    """A clause that is more than equalities."""
    type_texts: tuple[TypeText, ...] = ()
    """Of the types of its columns that somebody made: altered, the same rows are other texts."""
    partitions: str = ""
    """A digest of what its table's partitions are: others, or one that was emptied, and rows came or went unseen."""
    late_key: bool = False
    """Its primary key is deferrable: in a transaction, two rows may have one key for a while."""
    continued: Continued | None = None
    """None for the first generation."""
    snapshot_bytes: int = 0
    """Of a snapshot that is whole."""

    @property
    def log(self) -> str:
        """The handle whose log it is."""
        return self.continued.handle if self.continued is not None else self.handle

    @property
    def snapshot_end(self) -> Offset:
        """The snapshot holds what is in the log up to here."""
        return Offset(self.continued.lsn, INFINITE) if self.continued is not None else SNAPSHOT_END

    @property
    def made(self) -> int:
        """When, to order the generations of a definition: the handle's second half."""
        return int(self.handle.partition("-")[2] or 0)


class OpenRequest(BaseModel):
    """`sync.shapes.open`: find the shape of this definition, or make it."""

    definition: ShapeDefinition
    chunk_bytes: int = CHUNK_BYTES
    """Where the snapshot of a new shape is cut into chunks."""


class OpenReply(BaseModel):
    """Either `record`, or `errors` by field (the caller's fault), or `unavailable` (try again)."""

    record: ShapeRecord | None = None
    errors: dict[str, list[str]] = Field(default_factory=dict)
    unavailable: str | None = None


class DropRequest(BaseModel):
    """`sync.shapes.drop`: forget the shape; its handle is never used again."""

    handle: str


class DropReply(BaseModel):
    dropped: bool


class HandlesRead(BaseModel):
    """`sync.read`, from each API every few seconds: the handles that were read since it said so last. `snapshots`:
    those of which a part of the snapshot was read."""

    handles: tuple[str, ...]
    snapshots: tuple[str, ...]


class Heartbeat(BaseModel):
    """`sync.heartbeat`, twice a second, from each worker of sync; `sync.hello` asks for one at once.

    `capturing`: it holds the replication slot. `slices`: those whose shapes it feeds, taken with the number `epoch`,
    higher than that of whoever had them before. `lsn`: no entry that is still to come for them is at or below it.
    """

    worker: str
    capturing: bool
    slices: tuple[int, ...]
    epoch: int
    lsn: int
    shapes: int
    leaving: bool = False
    """It stops in order: it is not to be waited for."""


class CaptureMark(BaseModel):
    """`sync.mark`, from the worker that captures: `CHANGES` (of this identity) holds, at or before `sequence`, every
    published change that was committed below `lsn`."""

    changes_id: str
    sequence: int
    lsn: int


class Announcement(BaseModel):
    """`shapes.position.<lowest slice>` in `SHAPES`: no entry that follows, of a shape of these slices, is at or below
    `lsn`. Of what two workers say of a slice, the one with the higher epoch is right."""

    changes_id: str
    epoch: int
    slices: tuple[int, ...]
    lsn: int
