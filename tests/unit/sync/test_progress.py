"""What may be announced: below the mark, only once its messages are processed, and never backwards."""

from hypothesis import given
from hypothesis import strategies as st

from services.sync.progress import Mark, Progress, Reached


def test_a_mark_counts_once_everything_before_it_is_processed() -> None:
    progress = Progress(Reached(4, 100))
    progress.marked(Mark(sequence=6, lsn=500))
    assert progress.at(5) == Reached(4, 100)
    progress.transaction_ended(6, 450)
    assert progress.at(6) == Reached(6, 499, 450), "a commit may begin at 500"


def test_marks_of_an_idle_database_move_the_lsn_alone() -> None:
    progress = Progress(Reached(4, 100))
    for lsn in (200, 300):
        progress.marked(Mark(4, lsn))
    assert progress.at(4) == Reached(4, 299)


def test_it_never_goes_back() -> None:
    """Postgres reads its log again from an earlier place after a restart."""
    progress = Progress(Reached(4, 1000))
    progress.marked(Mark(4, 300))
    assert progress.at(4) == Reached(4, 1000)
    progress.transaction_ended(5, 900)
    assert progress.at(5) == Reached(5, 1000, 900)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5), st.booleans()), max_size=40), st.data())
def test_no_transaction_comes_at_or_below_what_was_reached(
    commits: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """Commits of `size` bytes after `gap` others, published or not; fan-out lags by any number of steps."""
    end, sequence = 100, 0
    steps: list[tuple[int, int] | Mark] = []
    for size, gap, published in commits:
        begin = end + gap
        end = begin + size
        if published:
            sequence += 1
            steps.append((sequence, begin))
        steps.append(Mark(sequence, end))
    progress = Progress(Reached(0, 0))
    marks = [step for step in steps if isinstance(step, Mark)]
    told = 0
    for processed, lsn in [step for step in steps if not isinstance(step, Mark)]:
        for _ in range(data.draw(st.integers(0, len(marks) - told))):
            progress.marked(marks[told])
            told += 1
        assert progress.at(processed - 1).lsn < lsn
        progress.transaction_ended(processed, lsn)
    for mark in marks[told:]:
        progress.marked(mark)
    assert progress.at(sequence).lsn == (end - 1 if commits else 0)
