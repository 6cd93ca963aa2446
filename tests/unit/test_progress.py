"""How far a run is."""

from __future__ import annotations

import pytest

from tmepde.cli import progress


def test_what_is_left_does_not_count_the_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes of compilation before a tenth of the first of seven arms were told as two more hours."""
    clock = iter([120.0, 120.0, 121.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    told: list[tuple[int, float, str]] = []
    callback = progress._follow(2, lambda *what: told.append(what))
    callback(1.0, 10.0)
    callback(2.0, 10.0)
    assert told == [(0, 0.1, ""), (0, 0.2, "18 s")]


def test_arms_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, float, str]] = []
    callback = progress._follow(2, lambda *what: told.append(what))
    for now in (5.0, 10.0, 5.0, 10.0):
        callback(now, 10.0)
    assert [(arm, share) for arm, share, _ in told] == [(0, 0.5), (0, 1.0), (1, 0.5), (1, 1.0)]
    assert told[-1][2] == "0 s"
