"""A child that died is started again, and given up when that is hopeless."""

import signal

from medley.cli.restarts import ALL_DEATHS, OWN_DEATHS, SETTLED, WINDOW, Restarts, fate


def pauses(code: int, lives: list[float]) -> list[float | None]:
    restarts, now, result = Restarts(), 1000.0, []
    for lived in lives:
        now += lived
        result.append(restarts.died(now, lived, code))
    return result


def test_pauses_grow_until_it_is_given_up() -> None:
    given = pauses(1, [0.5] * OWN_DEATHS)
    assert given[-1] is None
    kept = [pause for pause in given[:-1] if pause is not None]
    assert len(kept) == OWN_DEATHS - 1 and kept == sorted(kept)


def test_a_long_life_wipes_the_slate() -> None:
    assert None not in pauses(1, [0.5, 0.5, 0.5, SETTLED] * 5)


def test_deaths_far_apart_do_not_add_up() -> None:
    assert None not in pauses(1, [WINDOW / (OWN_DEATHS - 1)] * 50)


def test_kills_from_outside_are_forgiven_more_often() -> None:
    given = pauses(-signal.SIGKILL, [0.1] * ALL_DEATHS)
    assert given.index(None) == ALL_DEATHS - 1


def test_a_crash_is_the_childs_own_doing() -> None:
    assert pauses(-signal.SIGSEGV, [0.1] * OWN_DEATHS)[-1] is None


def test_fates_are_words() -> None:
    assert fate(0) == "ended with exit code 0"
    assert fate(-11) == "was killed by SIGSEGV"
    assert fate(-200) == "was killed by signal 200"
