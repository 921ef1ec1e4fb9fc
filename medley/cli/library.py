"""The library on a screen: a row in a line, and the whole in tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medley.cli.jobs import Outcomes
from medley.client.materialise import Copy, Row

_MOST_ROWS = 40


def describe(table: str, row: Row) -> str:
    """One row for people, safe to print as markup."""
    if table == "songs":
        names = " · ".join(str(row[column]) for column in ("artist", "album") if row.get(column))
        return f"[green]song[/]  [bold]{escape(row['title'] or '')}[/]  {escape(names)}  {length(row.get('seconds'))}"
    digest = (row["sha256"] or "")[:12]
    return f"[cyan]blob[/]  {escape(row['mime'] or '')}  {size(row['size'])}  {digest}…  {place(row)}"


def place(row: Row) -> str:
    """Where a blob's bytes are kept."""
    return "S3" if row["placement"] == "s3" else "Postgres"


def length(seconds: str | None) -> str:
    """Minutes and seconds.

    >>> length("61.4"), length(None)
    ('1:01', '')
    """
    if seconds is None:
        return ""
    whole = round(float(seconds))
    return f"{whole // 60}:{whole % 60:02}"


def size(digits: str | None) -> str:
    """Bytes in a unit that fits.

    >>> size("900"), size("2500"), size("3000000000")
    ('900 B', '2.5 kB', '3.0 GB')
    """
    count = float(digits or 0)
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def show(console: Console, songs: Copy, blobs: Copy, outcomes: Outcomes, took: float) -> None:
    """What is in the library now, and what became of the jobs."""
    console.print()
    rows = sorted(songs.rows.values(), key=lambda row: (row["artist"] or "", row["album"] or "", row["title"] or ""))
    console.print(_table("songs", ("title", "artist", "album", "length"), [_song(row) for row in rows]))
    rows = sorted(blobs.rows.values(), key=lambda row: (row["mime"] or "", row["sha256"] or ""))
    console.print()
    console.print(_table("blobs", ("type", "size", "sha256", "kept in"), [_blob(row) for row in rows]))
    failed = outcomes.failed()
    if failed:
        console.print()
        reasons = [(outcomes.jobs[job].filename or "", row["error"] or "") for job, row in failed.items()]
        console.print(_table("failed jobs", ("file", "why"), reasons))
    count = len(outcomes.jobs)
    console.print()
    console.print(
        f"{count} jobs in {took:.1f} s: {count - len(failed)} done, {len(failed)} failed; "
        f"{len(blobs.rows)} blobs and {len(songs.rows)} songs in the library",
        highlight=False,
    )


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(*columns, title=f"{title} ({len(rows)})", title_justify="left", box=None, pad_edge=False)
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(escape(cell) for cell in row))
    if len(rows) > _MOST_ROWS:
        table.add_row(f"… and {len(rows) - _MOST_ROWS} more")
    return table


def _song(row: Row) -> tuple[str, ...]:
    return row["title"] or "", row["artist"] or "", row["album"] or "", length(row["seconds"])


def _blob(row: Row) -> tuple[str, ...]:
    return row["mime"] or "", size(row["size"]), f"{(row['sha256'] or '')[:16]}…", place(row)
