"""What was measured, for people: a Markdown table, a chart for each line, and what changed since another run."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.svg import Panel, Points, chart

Row = dict[str, Any]
_UNKNOWN_SPREAD = 0.2
"""Of a figure that was measured once: the noise that a small machine may well have."""


def number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def markdown(document: dict[str, Any]) -> str:
    of = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in of["versions"].items() if version)
    lines = [
        f"# Bench of {of['date']}",
        "",
        f"{of['cpu']}, {of['cores']} cores, {of['memory_gib']} GiB; Linux {of['kernel']}; {versions};"
        f" commit {of['commit']}. Load average before: {of['load_before']:.2f}. Medians of the runs;"
        f" limit and ratio of the same run."
        " Peer: Electric 1.7.12, as measured elsewhere.",
    ]
    for family in dict.fromkeys(line["family"] for line in document["lines"]):
        lines += ["", f"## {family}", "", *_family(document, family)]
    return "\n".join(lines) + "\n"


def _family(document: dict[str, Any], family: str) -> list[str]:
    found = [
        "| line | size | figure | ours | ± | limit | ratio | target | met | peer | CPU µs | peak MB | client's µs |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found += [_shown(row) for row in document["rows"] if row["family"] == family]
    lines = [line for line in document["lines"] if line["family"] == family]
    for line in lines:
        if line["failure"]:
            found += ["", f"No figure, or not all: {line['line']}, {line['size']:,} {line['unit']}: {line['failure']}"]
    limits = dict.fromkeys(
        f"{line['line']}: the limit is {line['limited_by']}." for line in lines if line["limited_by"]
    )
    charts = [line for line in dict.fromkeys(line["line"] for line in lines) if _is_drawn(document, line)]
    found += [text for limit in limits for text in ("", limit)]
    return found + [text for line in charts for text in ("", f"![{line}]({slug(line)}.svg)")]


def _shown(row: Row) -> str:
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    cells = [row["line"], f"{row['size']:,} {row['unit']}", row["figure"], number(row["ours"])]
    cells += [number(row["spread"] / 2) if row["runs"] > 1 else "", number(row["limit"]), number(row["ratio"])]
    cells += [row["goal"], met, row["peer"], number(row["cpu_us"]), number(row["rss_mb"]), number(row["client_cpu_us"])]
    return "| " + " | ".join(cells) + " |"


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _is_drawn(document: dict[str, Any], line: str) -> bool:
    return len({row["size"] for row in document["rows"] if row["line"] == line}) > 1


def charts(document: dict[str, Any]) -> dict[str, str]:
    """SVG by file name, for each line that was measured at more than one size."""
    found = {}
    for line in dict.fromkeys(row["line"] for row in document["rows"]):
        if _is_drawn(document, line):
            rows = [row for row in document["rows"] if row["line"] == line]
            found[f"{slug(line)}.svg"] = chart(line, [*_panels(rows)])
    return found


def _panels(rows: list[Row]) -> Iterable[Panel]:
    for figure in dict.fromkeys(row["figure"] for row in rows):
        of = sorted((row for row in rows if row["figure"] == figure), key=lambda row: row["size"])
        series: dict[str, Points] = {"ours": [(row["size"], row["ours"]) for row in of]}
        if limits := [(row["size"], row["limit"]) for row in of if row["limit"] is not None]:
            series["limit"] = limits
        yield Panel(figure, of[0]["unit"], series)
    costs = {row["size"]: row["cpu_us"] for row in rows if row["cpu_us"] is not None}
    if costs:
        yield Panel("CPU µs each, services and bus", rows[0]["unit"], {"ours": sorted(costs.items())})


def write(document: dict[str, Any], folder: Path) -> None:
    """The table and the charts."""
    (folder / "latest.md").write_text(markdown(document))
    for name, text in charts(document).items():
        (folder / name).write_text(text)


class _Value(NamedTuple):
    value: float
    spread: float
    runs: int

    @property
    def noise(self) -> float:
        return self.spread if self.runs > 1 else abs(self.value) * _UNKNOWN_SPREAD


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """A line of text for each figure that both have; `!` where the change is beyond the noise of both runs."""
    before = _values(old)
    found = []
    for name, now in _values(new).items():
        if (was := before.get(name)) is not None:
            change = now.value - was.value
            mark = "!" if abs(change) > max(was.noise, now.noise) else " "
            part = f" ({change / was.value:+.1%})" if was.value else ""
            found.append(f"{mark} {name}: {number(was.value)} -> {number(now.value)}{part}")
    return found


def _values(document: dict[str, Any]) -> dict[str, _Value]:
    """Every figure, and for each line and size the CPU of an operation, by what they are called."""
    found = {}
    for row in document["rows"]:
        of = f"{row['line']}, {row['size']:,} {row['unit']}"
        found[f"{of}, {row['figure']}"] = _Value(row["ours"], row["spread"], row["runs"])
        if row["cpu_us"] is not None:
            found[f"{of}, CPU us each"] = _Value(row["cpu_us"], row["cpu_spread"], row["runs"])
    return found
