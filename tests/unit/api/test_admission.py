"""So many at once, by kind, and no more; who leaves makes room."""

import pytest

from services.api.shape.admission import Admission, Refused


def test_kinds_are_counted_apart_and_room_comes_back() -> None:
    admission = Admission(initial=1, live=2)
    with admission.admitted("initial"), admission.admitted("live"), admission.admitted("live"):
        for kind, most in (("initial", 1), ("live", 2)):
            with pytest.raises(Refused) as refused, admission.admitted(kind):  # type: ignore[arg-type]
                pass
            assert refused.value.sentence == f"Concurrent {kind} request limit exceeded (limit: {most}), please retry"
    with admission.admitted("initial"), admission.admitted("live"), admission.admitted("existing"):
        pass


def test_a_failure_makes_room_too() -> None:
    admission = Admission(initial=1, live=1)
    with pytest.raises(ValueError), admission.admitted("live"):
        raise ValueError
    with admission.admitted("live"):
        pass
