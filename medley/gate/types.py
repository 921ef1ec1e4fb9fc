"""Which types hold what other types held. Pure; names are those of `format_type`."""

import re
from typing import Literal

_INTEGERS = {"smallint": 0, "integer": 1, "bigint": 2}
_FLOATS = {"real": 0, "double precision": 1}
_LENGTH = re.compile(r"(character varying|character|bit varying|varbit)(?:\((\d+)\))?")
_NUMERIC = re.compile(r"numeric(?:\((\d+),(-?\d+)\))?")
_TIMED = re.compile(r"(timestamp|time|interval)(?:\((\d)\))?( with(?:out)? time zone)?")

Widening = Literal["exact", "rounded", "narrower", "coarser", "other"]


def widens(was: str, now: str) -> Widening:
    """How a column of type `now` holds the values of `was`: every one of them under the same meaning (`exact`; or
    `rounded`, when all that can happen to values of `now` on their way back is that they lose digits), only some of
    them (`narrower`), only with fewer digits (`coarser`), or `other`."""
    if was in _INTEGERS and now in _INTEGERS:
        return "exact" if _INTEGERS[was] <= _INTEGERS[now] else "narrower"
    if was in _FLOATS and now in _FLOATS:
        return "exact" if _FLOATS[was] <= _FLOATS[now] else "coarser"
    return _text(was, now) or _numeric(was, now) or _timed(was, now) or "other"


def _text(was: str, now: str) -> Widening | None:
    """varchar(n) and text: a limit is all that differs. char(n) pads, and is another type."""
    old, new = _limit(was), _limit(now)
    if old is None or new is None:
        return None
    return "exact" if new >= old else "narrower"


def _limit(name: str) -> float | None:
    if name == "text":
        return float("inf")
    match = _LENGTH.fullmatch(name)
    if match is None or match.group(1) != "character varying":
        return None
    return float(match.group(2) or "inf")


def _numeric(was: str, now: str) -> Widening | None:
    old, new = _NUMERIC.fullmatch(was), _NUMERIC.fullmatch(now)
    if new is None or old is None:
        return None
    if new.group(1) is None:
        return "exact"
    if old.group(1) is None:
        return "coarser"
    (precision, scale), (wider, finer) = map(int, old.groups()), map(int, new.groups())
    holds_whole, holds_digits = wider - finer >= precision - scale, finer >= scale
    if holds_digits:
        return "exact" if holds_whole else "narrower" if finer == scale else "other"
    return "coarser"


def _timed(was: str, now: str) -> Widening | None:
    """The same kind of time with another number of digits: rounded on the way in."""
    old, new = _TIMED.fullmatch(was), _TIMED.fullmatch(now)
    if old is None or new is None or (old.group(1), old.group(3)) != (new.group(1), new.group(3)):
        return None
    return "rounded" if int(new.group(2) or 6) >= int(old.group(2) or 6) else "coarser"
