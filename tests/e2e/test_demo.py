"""`medley demo --once`: real files in, live rows out, and the same again on a library that has them."""

from pathlib import Path

from tests.support import stacks


def test_the_demo_tells_its_story_twice(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = stacks.medley("demo", "--once", "--home", home, "--port", "0")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count("after commit  song ") == 7
    assert first.stdout.count("after commit  blob ") == 10
    assert "12 jobs in" in first.stdout and "11 done, 1 failed; 10 blobs and 7 songs" in first.stdout
    assert "broken-tape.flac" in first.stdout
    second = stacks.medley("demo", "--once", "--home", home, "--port", "0")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "11 done, 1 failed; 10 blobs and 7 songs" in second.stdout
    assert second.stdout.count("after commit") == 0
