"""Names of species, and places to write to, that strangers come up with: right, or refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import tmepde as tme
from tmepde import config
from tmepde.cli.exits import Stop
from tmepde.cli.target import page_of, target, word
from tmepde.io.names import LONGEST, check_fields

OWN = """
import tmepde as tme

class M(tme.Process):
    def build(self, grid):
        return tme.Model(grid, {NAME: tme.Species(1.0, 100.0)}, {"m": self})

    def coefficients(self, clock, state, tissue):
        return {NAME + ".loss": 0.5}
"""
TOML = """
schema = 1
[grid]
extent = ["100 um"]
cells = [4]
[model]
kind = "own.py:M"
[run]
until = "1 h"
"""


@pytest.mark.parametrize("name", ["time", "x", "x_bounds", "scenario", "status", "cell_volume", "mask", "budget_lost"])
def test_a_species_called_like_a_variable_of_results_is_refused_before_the_run(name: str, tmp_path: Path) -> None:
    """Their fields were lost without a word, or left a store that nobody could read."""
    (tmp_path / "own.py").write_text(OWN.replace("NAME", repr(name)))
    (tmp_path / "a.toml").write_text(TOML)
    with pytest.raises(config.ConfigError, match=f"`model` was refused: Species must .* {name!r} is one of these"):
        config.load(tmp_path / "a.toml", code=True).build()


@pytest.mark.parametrize("name", ["u/v", "a\\b", "u\n", " u", ".u", "n" * (LONGEST + 1)])
def test_a_species_without_a_name_for_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"Species must have names .*(Rename it|has 151)\."):
        check_fields([name], ("x",))


def test_other_names_are_taken_and_an_observable_gives_way() -> None:
    """An observable called ``status`` is kept as ``obs_status`` beside the status of the run."""
    names = ["ü", "a b", "state", "tissue", "y", "c", "mean_u", "obs_u"]
    check_fields(names, ("x",))
    model = tme.Model(tme.Grid.line(100.0, 4), {n: tme.Species(1.0 + k, 1.0) for k, n in enumerate(names)})
    watched = {n: lambda clock, state, tissue: 100.0 * state["ü"][0] for n in ("status", "ü")}
    found = tme.simulate(tme.Scenario(model, until=1.0, observables=watched)).to_xarray()
    assert [float(found[n][-1, 0]) for n in names] == [1.0 + k for k in range(len(names))]
    assert str(found["status"].values) == "ok" and np.allclose(found["obs_status"], 100.0)
    assert np.allclose(found["obs_ü"], 100.0)


def test_a_place_that_cannot_be_a_store_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    for bad in (Path("."), Path(".."), Path("/"), tmp_path):
        with pytest.raises(Stop, match="a folder in use. Add a name"):
            target(bad)
    os.symlink("loop", "loop")
    for bad in (Path("loop"), Path("loop/a.zarr")):
        with pytest.raises(Stop, match="leads nowhere"):
            target(bad)
    for length in (221, 300):  # the second is more than the disk takes, too
        with pytest.raises(Stop, match="at most 220 bytes"):
            target(Path("n" * length))
    assert target(Path("../other.zarr")) == Path("../other.zarr")


def test_a_folder_that_was_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Stop, match="has been deleted"):
        target(Path("a.zarr"))


def test_the_reports_of_two_stores_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``a.v1`` and ``a.v2`` both had ``a.html``; a store is told from inside as well."""
    assert page_of(Path("o/a.zarr")) == Path("o/a.html")
    assert page_of(Path("o/a.v1")) != page_of(Path("o/a.v2"))
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.chdir(tmp_path / "a.zarr")
    assert page_of(Path(".")) == Path(os.path.realpath(tmp_path)) / "a.html"


def test_a_path_that_begins_with_a_dash_is_told_as_no_option():
    """`tmepde report -x.zarr`, which the end of a run asked for, was an unknown option."""
    assert word(Path("-x.zarr")) == "./-x.zarr" and word(Path("- y.zarr")) == "'./- y.zarr'"
    assert word(Path("a/-x.zarr")) == "a/-x.zarr"
