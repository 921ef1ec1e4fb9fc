"""The router finds exactly the shapes that a change may concern, and looks at no others."""

from dataclasses import dataclass

from services.sync.router import Router
from services.sync.where import Where, compile_conditions

T = 16_400


@dataclass(eq=False)
class Shape:
    name: str
    where: Where | None


def shape(name: str, **equal: str) -> Shape:
    return Shape(name, compile_conditions([(c, "text", v) for c, v in equal.items()]) if equal else None)


def names(shapes: list[Shape]) -> list[str]:
    return sorted(found.name for found in shapes)


def test_a_change_reaches_whole_tables_and_equal_values_of_old_and_new() -> None:
    router: Router[Shape] = Router()
    for each in (
        shape("whole"),
        shape("ann", owner="ann"),
        shape("bob", owner="bob"),
        shape("both", owner="ann", k="1"),
    ):
        router.add(T, each)
    router.add(16_401, shape("elsewhere"))
    assert names(router.concerned(T, None, {"owner": "ann", "k": "2"})) == ["ann", "whole"]
    assert names(router.concerned(T, {"owner": "bob", "k": "1"}, {"owner": "ann", "k": "1"})) == [
        "ann",
        "bob",
        "both",
        "whole",
    ]
    assert names(router.concerned(T, {"owner": None, "k": "1"}, None)) == ["whole"]
    assert names([*router.whole(T), *router.routed(T)]) == ["ann", "bob", "both", "whole"]


def test_a_shape_is_found_once_when_old_and_new_agree() -> None:
    router: Router[Shape] = Router()
    router.add(T, shape("ann", owner="ann"))
    assert names(router.concerned(T, {"owner": "ann"}, {"owner": "ann"})) == ["ann"]


def test_a_removed_shape_is_found_no_more() -> None:
    router: Router[Shape] = Router()
    shapes = [shape("whole"), shape("ann", owner="ann"), shape("ann too", owner="ann")]
    for each in shapes:
        router.add(T, each)
    for each in shapes:
        router.remove(T, each)
        assert each.name not in names(router.concerned(T, {"owner": "ann"}, {"owner": "ann"}))
    assert [*router.whole(T), *router.routed(T)] == []


def test_shapes_that_want_the_same_come_and_go() -> None:
    router: Router[Shape] = Router()
    shapes = [shape(f"ann {number}", owner="ann") for number in range(4)]
    row = {"owner": "ann"}
    for number, each in enumerate(shapes):
        router.add(T, each)
        assert (
            names(router.concerned(T, row))
            == names([*router.whole(T), *router.routed(T)])
            == names(shapes[: number + 1])
        )
    for number, each in enumerate(shapes):
        router.remove(T, each)
        assert (
            names(router.concerned(T, row))
            == names([*router.whole(T), *router.routed(T)])
            == names(shapes[number + 1 :])
        )
    router.add(T, shapes[0])
    assert names(router.concerned(T, row)) == ["ann 0"]


def test_a_clause_that_nothing_matches_is_never_found() -> None:
    router: Router[Shape] = Router()
    never = Shape("never", compile_conditions([("x", "text", "1"), ("x", "text", "2")]))
    router.add(T, never)
    assert router.concerned(T, {"x": "1"}, {"x": "2"}) == []
    router.remove(T, never)
