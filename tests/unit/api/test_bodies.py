"""Bodies are shared within a bound of bytes."""

from services.api.shape.bodies import Bodies


def test_the_oldest_goes_when_the_bound_is_reached() -> None:
    bodies: Bodies[str] = Bodies(6400)
    for number in range(100):
        bodies.keep(f"body {number}", 100, "handle", number)
        bodies.get("handle", 0)
    assert bodies.size == 6400
    assert bodies.get("handle", 0) == "body 0", "used all the time"
    assert bodies.get("handle", 1) is None
    assert bodies.get("handle", 99) == "body 99"


def test_what_would_push_out_everything_is_not_kept() -> None:
    bodies: Bodies[str] = Bodies(6400)
    bodies.keep("large", 101, "x")
    assert (bodies.get("x"), bodies.size) == (None, 0)
