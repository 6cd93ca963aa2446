"""Stores of sweeps that somebody else has been at; rows are made up, nothing is computed."""

import numpy as np
import pytest

from tmepde.cli import integrity
from tmepde.sweep import store
from tmepde.sweep.damage import look
from tmepde.sweep.store import Array


@pytest.fixture
def out(tmp_path):
    """Four scenarios in batches of two, which are done."""
    arrays = {
        "time": Array(("time",), (3,), np.float64, {"coordinate": True}, [0.0, 1.0, 2.0], scenario=False),
        "scenario": Array((), (), np.int64, {"coordinate": True}, range(4)),
        "status": Array((), (), np.int8, {}),
        "message": Array((), (), str, {}),
        "n_steps": Array((), (), np.int32, {}),
        "burden": Array(("time",), (3,), np.float64, {}),
    }
    path = tmp_path / "made_up.zarr"
    store.create(path, 4, 2, arrays, {})
    rows = {"message": ["ok", "ok"], "n_steps": [7, 8], "burden": np.ones((2, 3)), "status": [store.OK] * 2}
    for start in (0, 2):
        store.write(path, start, start + 2, rows)
    assert look(path).good
    return path


def test_a_foreign_folder_is_no_damage(out, capsys):
    for name in ("lost+found", "@eaDir"):
        (out / name).mkdir()
    assert look(out).good
    integrity.repair(out)
    assert "nothing to repair" in capsys.readouterr().out
