"""The bench runs: some lines, quickly, give JSON, a table and charts; and goals are judged right."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from medley.cli.embedded.wheels import MissingWheel
from tests.bench import __main__ as bench
from tests.bench import report, results
from tests.bench.apart import Apart, Failed, apart
from tests.bench.bare import Bare
from tests.bench.followers import Followers
from tests.bench.frame import Goal, Line, Result, Sample, Used
from tests.bench.requests import Closed
from tests.bench.stage import Stage, until
from tests.bench.wire import framed, parsed, shape_path
from tests.support.servers import nothing

_SVG = "http://www.w3.org/2000/svg"


async def _nothing(_: Stage, size: int) -> Sample:
    return Sample({})


_LINE = Line("some", "a line", "clients", (10, 100), (10,), _nothing, goals=(Goal("ms", "<=", 5, peer="11"),))


def _result(line: Line, size: int, ours: list[float], limits: list[float] | None = None) -> Result:
    used = Used({"api": 0.5, "nats": 0.25, "postgres": 9.0}, {"api": 50_000_000, "nats": 9}, 0.125)
    samples = [Sample({"ms": value}, 1000, used) for value in ours]
    return Result(line, size, samples, [Sample({"ms": value}) for value in limits or []])


def test_a_row_is_the_median_beside_its_limit_and_its_goal() -> None:
    (row,) = results.rows([_result(_LINE, 10, [4.0, 9.0, 3.0], [2.0, 1.0, 4.0])])
    assert (row.ours, row.limit, row.ratio, row.spread, row.met, row.peer) == (4.0, 2.0, 2.0, 6.0, True, "11")
    assert (row.cpu_us, row.rss_mb, row.client_cpu_us) == (750.0, 50.0, 125.0)  # Postgres is apart


def test_a_goal_may_be_a_part_of_the_limit_or_of_another_size() -> None:
    of_limit = replace(_LINE, goals=(Goal("ms", ">=", 0.6, of="limit"),))
    assert [row.met for row in results.rows([_result(of_limit, 10, [5.0], [10.0])])] == [False]
    of_size = replace(_LINE, goals=(Goal("ms", ">=", 0.8, (100,), of=10),))
    rows = results.rows([_result(of_size, 10, [10.0]), _result(of_size, 100, [8.5])])
    assert [row.met for row in rows] == [None, True]
    assert [row.met for row in results.rows([_result(of_size, 100, [8.5])])] == [None], (
        "the other size was not measured"
    )


def test_a_change_is_marked_when_it_is_beyond_the_spread_of_both() -> None:
    old = results.document({}, [_result(_LINE, 10, [10.0, 12.0]), _result(_LINE, 100, [10.0, 11.0])])
    new = results.document({}, [_result(_LINE, 10, [12.0, 12.5]), _result(_LINE, 100, [20.0, 20.5])])
    changes = report.compared(old, new)
    assert [line[0] for line in changes if ", ms:" in line] == [" ", "!"]
    assert [line for line in changes if "CPU" in line and line[0] == "!"] == [], "it is as it was"


def test_answers_of_any_server_are_framed() -> None:
    known = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nElectric-Handle: a b\r\nelectric-offset: 1_0\r\n\r\n"
    assert [framed(known + b"12345"[:size]) for size in (0, 4, 5)] == [None, None, (len(known) - 4, len(known) + 5)]
    assert framed(known[:-1]) is None
    assert parsed(known[:-4]) == (200, b"&offset=1_0&handle=a+b", b"&offset=1_0&handle=a+b", False)
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nelectric-up-to-date: \r\n\r\n"
    assert framed(chunked + b"2\r\n[]\r\n") is None
    assert framed(chunked + b"2\r\n[]\r\n0\r\n\r\n") is not None
    assert parsed(chunked[:-4]).up_to_date
    assert framed(b"HTTP/1.1 304 Not Modified\r\n\r\n") is not None


async def test_clients_count_what_a_program_with_ready_bytes_answers() -> None:
    async with apart(Bare, 500) as server:
        url = await server.ask("listen")
        async with apart(Followers, url, [shape_path("bench")] * 50, False, True) as crowd:
            assert await crowd.ask("live") == 0
            await until(partial(_wait, server, 50), "all wait")
            await server.ask("release")
            assert sum(rows for _, rows in await crowd.ask("arrivals", 50, 30)) == 50
            assert await crowd.ask("distinct") == (50, 1)
        async with apart(Closed, url, shape_path("bench") + b"&offset=-1", 4) as client:
            assert await client.ask("connect") == 500
            answers, seconds = await client.ask("count", 0.2)
            assert answers > 0
            assert seconds > 0


async def _wait(server: Apart, count: int) -> bool:
    return bool(await server.ask("waits") == count)


async def test_a_client_apart_says_why_it_failed() -> None:
    async with apart(Bare) as server:
        with pytest.raises(Failed, match="AttributeError"):
            await server.ask("nonsense")


def test_some_lines_quickly(tmp_path: Path) -> None:
    arguments = ["--quick", "--only", "many rows,one transaction", "--results", str(tmp_path)]
    try:
        assert bench.main(arguments) == 0
    except MissingWheel as missing:
        nothing([str(missing)])
    document = json.loads((tmp_path / "latest.json").read_text())
    assert {"cpu", "cores", "kernel", "python", "versions", "date", "commit", "load_before"} <= document[
        "machine"
    ].keys()
    assert [line["failure"] for line in document["lines"]] == [""] * 3
    for row in document["rows"]:
        assert (row["figure"] == "rows/s") == (row["limit"] is not None)
        assert row["cpu_us"] > 0
        assert row["rss_mb"] > 0
    table = (tmp_path / "latest.md").read_text()
    assert "| transactions of many rows | 100 rows each | rows/s |" in table
    (chart,) = tmp_path.glob("*.svg")
    drawn = ElementTree.fromstring(chart.read_text())  # noqa: S314 - our own
    assert len(drawn.findall(f".//{{{_SVG}}}polyline")) == 5, "three figures, a limit, CPU"
