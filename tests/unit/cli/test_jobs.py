"""Files become jobs, and the shape says what became of them."""

from pathlib import Path

import pytest

from medley.cli import jobs, library, services
from medley.cli.embedded.ports import Ports
from medley.client.http import Message
from medley.runtime.errors import Permanent


def row(job_id: str, state: str, operation: str = "insert") -> Message:
    return {"key": job_id, "value": {"id": job_id, "state": state}, "headers": {"operation": operation}}


def test_folders_are_walked_in_order_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b.mp3", "a/z.mp3", "a/.hidden.mp3", ".git/x.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in jobs.files([tmp_path])]
    assert found == ["b.mp3", "a/z.mp3"]
    assert list(jobs.files([tmp_path / "a" / ".hidden.mp3"])) == [tmp_path / "a" / ".hidden.mp3"]


def test_a_job_names_the_whole_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp3").touch()
    (path,) = jobs.files([Path("a.mp3")])
    job = jobs.job_for(path)
    assert job.source.model_dump() == {"kind": "path", "path": str(tmp_path / "a.mp3")}
    assert job.filename == "a.mp3"


def test_a_name_that_is_not_text_is_one_sentence() -> None:
    with pytest.raises(Permanent, match="not UTF-8"):
        jobs.job_for(Path("/music/caf\udce9.mp3"))


def test_outcomes_are_those_of_our_own_jobs(tmp_path: Path) -> None:
    ours = [jobs.job_for(tmp_path / name) for name in ("a", "b")]
    first, second = (str(job.job_id) for job in ours)
    outcomes = jobs.Outcomes()
    outcomes.expect(ours)
    outcomes.apply([row("somebody-else", "failed"), row(first, "queued"), row(second, "running")])
    assert not outcomes.ended() and set(outcomes.rows()) == {first, second}
    outcomes.apply([row(first, "done", "update"), row(second, "failed", "update")])
    assert set(outcomes.ended()) == {first, second} and set(outcomes.failed()) == {second}


def test_folders_that_may_be_ingested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    inbox = tmp_path / "inbox"
    assert services.allowed_folders((), None, inbox) == f"{tmp_path}:{inbox}"
    assert services.allowed_folders((), "/given", inbox) == "/given"
    assert services.allowed_folders((Path("/asked"),), "/given", inbox) == f"/asked:{inbox}"


def test_ports_are_remembered_while_they_are_free() -> None:
    taken = 20_001
    ports = Ports({"nats": 20_000, "s3": taken}, free=lambda port: port != taken)
    assert ports("nats") == ports("nats") == 20_000
    assert ports("s3") not in (taken, 20_000)


def test_sizes_and_lengths_are_for_people() -> None:
    assert [library.size(digits) for digits in ("900", "2500", "3000000000")] == ["900 B", "2.5 kB", "3.0 GB"]
    assert [library.length(seconds) for seconds in ("61.4", None)] == ["1:01", ""]
