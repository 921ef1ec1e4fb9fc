"""Curves as SVG, by hand: a panel for each figure of a line, over its sizes; a bend must be seen at a glance."""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 340, 230, 58, 14, 34, 40
_COLUMNS = 3
_COLOURS = ("#1f6fb2", "#9a9a9a", "#c2541b")
_WIDE = 20.0  # beyond this ratio an axis is logarithmic
_HEAD = 30

Points = Sequence[tuple[float, float]]


class Panel(NamedTuple):
    title: str
    x: str
    series: dict[str, Points]


class _Axis:
    """From values to places; logarithmic where they are far apart."""

    def __init__(self, values: Sequence[float], start: float, end: float, from_zero: bool) -> None:
        low, high = min(values), max(values)
        self._log = low > 0 and high / low > _WIDE
        if not self._log and from_zero:
            low = min(low, 0.0)
        if high == low:
            low, high = (low / 2, high * 2) if self._log else (low - 0.5, high + 0.5)
        self._low, self._high, self._start, self._end = low, high, start, end

    def at(self, value: float) -> float:
        low, high = self._scaled(self._low), self._scaled(self._high)
        return self._start + (self._scaled(value) - low) / (high - low) * (self._end - self._start)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def ticks(self) -> list[float]:
        if self._log:
            first, last = math.floor(math.log10(self._low)), math.ceil(math.log10(self._high))
            decades = [10.0**power for power in range(first, last + 1)]
            return [tick for tick in decades if self._low <= tick <= self._high] or [self._low, self._high]
        step = 10 ** math.floor(math.log10((self._high - self._low) / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if (self._high - self._low) / (step * factor) <= 5)
        first = math.ceil(self._low / step)
        return [number * step for number in range(first, math.floor(self._high / step) + 1)]


def short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    points = [point for series in panel.series.values() for point in series]
    right, bottom = left + _WIDTH - _RIGHT, top + _HEIGHT - _BOTTOM
    sizes = sorted({x for x, _ in points})
    across = _Axis(sizes, left + _LEFT, right, from_zero=False)
    up = _Axis([y for _, y in points], bottom, top + _TOP, from_zero=True)
    drawn = [_text(left + _WIDTH / 2, top + 18, panel.title, size=12), _text(left + _WIDTH / 2, bottom + 32, panel.x)]
    for tick in up.ticks():
        y = up.at(tick)
        drawn.append(f'<path d="M{left + _LEFT:.1f} {y:.1f}H{right:.1f}" stroke="#e4e4e4"/>')
        drawn.append(_text(left + _LEFT - 5, y + 4, short(tick), "end"))
    drawn += [_text(across.at(size), bottom + 16, short(size)) for size in sizes]
    for colour, series in zip(_COLOURS, panel.series.values(), strict=False):
        places = [(across.at(x), up.at(y)) for x, y in series]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return drawn


def chart(title: str, panels: Sequence[Panel]) -> str:
    """The document; every panel has a point at least."""
    rows = math.ceil(len(panels) / _COLUMNS)
    width, height = _WIDTH * min(len(panels), _COLUMNS), _HEAD + 20 + _HEIGHT * rows
    drawn = [_text(12, 22, title, "start", 15)]
    for number, name in enumerate(dict.fromkeys(name for panel in panels for name in panel.series)):
        drawn.append(
            _text(14 + 150 * number, 42, f"● {name}", "start").replace("<text", f'<text fill="{_COLOURS[number]}"')
        )
    for number, panel in enumerate(panels):
        drawn += _panel(panel, _WIDTH * (number % _COLUMNS), _HEAD + 20 + _HEIGHT * (number // _COLUMNS))
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    style = 'font-family="system-ui, sans-serif" fill="#222"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><rect width="100%" height="100%" fill="#fff"/>' + (
        "".join(drawn) + "</svg>\n"
    )
