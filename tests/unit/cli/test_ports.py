"""Ports are drawn apart for programs that run side by side."""

import pytest

from medley.cli.embedded.ports import draw_from_part, free_port


def test_parts_have_no_port_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medley.cli.embedded.ports._drawn", range(0))  # and back again afterwards
    drawn: list[set[int]] = []
    for part in range(3):
        draw_from_part(part, 3)
        drawn.append({free_port() for _ in range(200)})
    assert not drawn[0] & drawn[1] and not drawn[1] & drawn[2] and not drawn[0] & drawn[2]
