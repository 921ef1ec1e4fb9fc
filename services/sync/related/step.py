"""One step: some transactions, and the entries that they are for shapes of one family."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import asyncpg

from medley.contracts.shapes import ClauseTable
from services.sync.entries import Entry, Rotate, Transaction
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.verdicts import Verdicts
from services.sync.related import asof, record_text
from services.sync.related.asof import Undone
from services.sync.related.family import Family, column_names, columns_of
from services.sync.related.follower import Follower
from services.sync.related.statement import Constants, Question, Version, moves, probe, verdicts

Ask = Callable[[Question], Awaitable[Sequence[asyncpg.Record]]]
_BATCH = 20_000
"""Versions of rows in one question."""


class Step(NamedTuple):
    """`own`: whole transactions, those of the step; `later`: what was committed after them and is in the snapshot."""

    family: Family
    own: Sequence[Incoming]
    later: Sequence[Incoming]


class Judged(NamedTuple):
    """A row of a change, and the version of it that is asked about."""

    row: Mapping[str, str | None]
    version: Version


class Moved(NamedTuple):
    row: dict[str, str | None]
    inside: bool


async def entries_of(step: Step, group: Sequence[Follower], ask: Ask) -> dict[Follower, list[Entry] | Rotate]:
    """For each shape, its entries of the step, or why it cannot go on."""
    try:
        tables = _undone(step)
    except Rotate as reason:
        return dict.fromkeys(group, reason)
    if not tables:
        return {}
    changes = _changes(step)
    judged = _versions(step.family, changes)
    asked = [one.constants for one in group]
    true = await _true(step.family, tables, judged, asked, ask)
    moved = await _moved(step.family, tables, asked, ask)
    found: dict[Follower, list[Entry] | Rotate] = {}
    for place, follower in enumerate(group):
        known: Verdicts[LiveShape] = Verdicts()
        known.evaluated(one.row for one in judged)
        for number in true.get(place, ()):
            known.is_true(judged[number].row, {follower.shape.record.handle: follower.shape})
        try:
            found[follower] = _entries(follower.shape, step, changes, known, moved.get(place, []))
        except Rotate as reason:
            found[follower] = reason
    return found


async def shown(step: Step, ask: Ask) -> list[dict[str, str | None]]:
    """The rows of the family's probed table that match a row of the step's changes. Raises Rotate."""
    subquery = step.family.probe
    judged = _versions(step.family, _changes(step))
    if subquery is None or not judged:
        return []
    images = list(dict.fromkeys(one.version.image for one in judged))
    names = column_names(step.family.table(subquery))
    tables = _undone(step)
    found: dict[str, None] = {}
    for start in range(0, len(images), _BATCH):
        found.update((text, None) for (text,) in await ask(probe(step.family, tables, images[start : start + _BATCH])))
    return [dict(zip(names, record_text.fields(text), strict=True)) for text in found]


def _undone(step: Step) -> dict[int, Undone]:
    """The tables that changed, in the step or since. Raises Rotate for what cannot be undone."""
    found = {}
    for table in {one.oid: one for one in (step.family.own, *step.family.tables)}.values():
        own, later = (asof.steps(_of(table, which), column_names(table)) for which in (step.own, step.later))
        if own or later:
            found[table.oid] = asof.undone(own, later)
    return found


def _of(table: ClauseTable, messages: Sequence[Incoming]) -> list[Mapping[str, Any]]:
    changes: list[Mapping[str, Any]] = []
    seen: list[list[Any]] = []
    for message in messages:
        if message.oid != table.oid:
            continue
        if message.columns != seen:
            seen = message.columns
            if not columns_of(table) <= {(name, oid, modifier) for name, oid, modifier in seen}:
                raise Rotate(f"table {table.name} has other columns now")
        for change in message.changes:
            if change["op"] == "truncate":
                raise Rotate(f"table {table.name} was truncated")
            if change["op"] not in ("insert", "update", "delete"):
                raise Rotate(f"a change of table {table.name} is not known whole")
            if change["op"] != "insert" and change.get("old") is None:
                raise Rotate(f"table {table.name} lost REPLICA IDENTITY FULL")
            changes.append(change)
    return changes


class Change(NamedTuple):
    change: dict[str, Any]
    transaction: Transaction


def _changes(step: Step) -> list[Change]:
    """Those of the shapes' own table that alter an image. Of several transactions together they are numbered anew, and
    belong to the last one."""
    own = step.family.own
    names = column_names(own)
    altered = [
        Change(change, message.transaction)
        for message in step.own
        if message.oid == own.oid
        for change in message.changes
        if asof.steps([change], names)
    ]
    if not _several(step):
        return altered
    transaction = _transaction(step)
    return [Change({**one.change, "position": place}, transaction) for place, one in enumerate(altered)]


def _several(step: Step) -> bool:
    return any(message.transaction != step.own[0].transaction for message in step.own)


def _transaction(step: Step) -> Transaction:
    last = step.own[-1].transaction
    xids = dict.fromkeys(message.transaction.xid for message in step.own)
    return last._replace(others=tuple(xid for xid in xids if xid != last.xid))


def _versions(family: Family, changes: Sequence[Change]) -> list[Judged]:
    """Each row, old or new, with the moment that it belongs to. What a change of the step made is judged as it is
    after it, also when another one makes something else of it."""
    names = column_names(family.own)
    steps = asof.steps([one.change for one in changes], names)
    judged = []
    for one, step, before in zip(changes, steps, asof.was_there_before(steps), strict=True):
        if step.old is not None:
            judged.append(Judged(one.change["old"], Version(step.old, after=not before)))
        if step.new is not None:
            judged.append(Judged(one.change["new"], Version(step.new, after=True)))
    return judged


async def _true(
    family: Family, tables: Mapping[int, Undone], judged: Sequence[Judged], asked: Sequence[Constants], ask: Ask
) -> dict[int, list[int]]:
    """By place among what was asked, the numbers of the versions for which it is true."""
    found: dict[int, list[int]] = {}
    for start in range(0, len(judged), _BATCH):
        batch = [one.version for one in islice(judged, start, start + _BATCH)]
        for place, numbers in await ask(verdicts(family, tables, batch, asked)):
            found.setdefault(place, []).extend(start + number for number in numbers)
    return found


async def _moved(
    family: Family, tables: Mapping[int, Undone], asked: Sequence[Constants], ask: Ask
) -> dict[int, list[Moved]]:
    """By place among what was asked, the rows that moved: first those that went, in an order of their own."""
    question = moves(family, tables, asked)
    if question is None:
        return {}
    names = column_names(family.own)
    found: dict[int, list[Moved]] = {}
    for place, inside, text in sorted(await ask(question), key=lambda row: (row[1], row[2])):
        found.setdefault(place, []).append(Moved(dict(zip(names, record_text.fields(text), strict=True)), inside))
    return found


def _entries(
    shape: LiveShape, step: Step, changes: Sequence[Change], known: Verdicts[LiveShape], moved: Sequence[Moved]
) -> list[Entry]:
    """Raises Rotate."""
    if not all(shape.fits(one.oid, one.columns) for one in step.own if one.oid == shape.relation):
        raise Rotate("its table has other columns now")
    shape.answered_by(known)
    entries: list[Entry] = []
    for change, transaction in changes:
        entries += shape.encoder.entries((change,), transaction)
    transaction = _transaction(step) if _several(step) else step.own[-1].transaction
    place = len(changes) if _several(step) else step.own[-1].changes[-1]["position"] + 1
    for number, one in enumerate(moved, place):
        entries.append(shape.encoder.moved(one.row, transaction, number, inside=one.inside))
    shape.check(entries)
    return entries
