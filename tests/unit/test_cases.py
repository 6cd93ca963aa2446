"""The case studies of ``configs/``: every one makes finite coefficients, and runs and reports when it is coarsened."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde import config
from tmepde.io import combine_arms
from tmepde.model import System
from tmepde.schedule import Clock

CONFIGS = Path(__file__).parents[2] / "configs"
#: what makes a case coarse; a day and two hours hold the first dose of most arms
COARSE: dict[str, dict[str, Any]] = {
    "glioblastoma_mni": {"tissue.voxel_size": "8 mm"},
    "retina_vessels": {"tissue.cell_size": "96 um"},
    "spheroid_culture": {"grid.cells": 24},
    "mouse_flank": {"grid.cells": 24},
    "pancreas_desmoplastic": {"grid.cells": 24},
}
SHORT = {"run.until": "26 hour", "run.save.every": "13 hour"}


@pytest.fixture(params=sorted(COARSE))
def built(request: pytest.FixtureRequest) -> Any:
    name = request.param
    if name == "glioblastoma_mni":
        for package in ("nilearn", "nibabel"):
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"needs {package} for the brain maps")
    return config.load(CONFIGS / f"{name}.toml", {**SHORT, **COARSE[name]}).build()


def test_case_has_finite_coefficients(built: Any) -> None:
    system = System(built.scenario.model, built.scenario.interventions)
    state = system.initial_state(np.float32)
    clock = Clock(*(np.float32(t) for t in (24.0, 24.0, 24.0, 0.1)))
    for value in jax.tree.leaves(system.coefficients(clock, state)):
        assert np.all(np.isfinite(value))
    assert float(np.sum(state["tumour"])) > 0


@pytest.mark.slow
def test_case_runs_and_is_reported(built: Any) -> None:
    from tmepde.report import render

    solutions = tme.run_arms(built.scenario, built.arms, save=built.save, fields=built.fields)
    assert [s.status.name for s in solutions.values()] == ["ok"] * len(built.arms)
    dataset = combine_arms(solutions, region=built.region, name="a case")
    # sums over some thousand float32 terms: a budget closes to about 1e-5
    assert float(np.nanmax(np.abs(dataset["mass_balance_error"]))) < 1e-4
    page = render(dataset)
    assert page.count("<img") >= 8  # tissue, time, and at least six fields
    assert all(arm in page for arm in built.arms)


BRAIN = 'schema = 1\n[run]\nuntil = "1 day"\n[tissue]\nkind = "brain_mni"\n'


def test_bad_tissues_are_refused_before_anything_is_read() -> None:
    text = (
        BRAIN
        + 'voxel_size = "0.5 mm"\nextent = ["1 cm", "1 cm"]\ncenter = ["1 cm", "1 cm", "-1 cm"]\nradius = "5 mm"\n'
    )
    with pytest.raises(config.ConfigError) as refused:
        config.loads(text)
    assert "`tissue.voxel_size` must be at least 1000.0 um" in str(refused.value)
    with pytest.raises(config.ConfigError, match=r"`tissue.extent` must have 3 entries \(z, y, x\), but 2 were given"):
        config.loads(text, {"tissue.voxel_size": "2 mm"})
    with pytest.raises(config.ConfigError, match="`tissue.contrast` must be at least 1.0"):
        config.loads(text, {"tissue.contrast": 0.2})
    retina = {"tissue": {"kind": "retina", "pixel_size": "2 um", "cell_size": "1 um", "radius": "1 mm"}}
    with pytest.raises(config.ConfigError, match="`tissue.cell_size` must be at least pixel_size"):
        config.loads('schema = 1\n[run]\nuntil = "1 day"\n', retina)
    with pytest.raises(config.ConfigError, match="`grid` must be left out: the tissue 'retina' brings its own"):
        config.loads('schema = 1\n[run]\nuntil = "1 day"\n', {**retina, "tissue.cell_size": "9 um", "grid": {}})


def test_a_tumour_block_outside_of_the_brain_maps_is_a_config_error() -> None:
    if not all(importlib.util.find_spec(p) for p in ("nilearn", "nibabel")):
        pytest.skip("needs nilearn and nibabel for the brain maps")
    text = (
        BRAIN
        + 'voxel_size = "4 mm"\nextent = ["4 cm", "4 cm", "4 cm"]\n'
        + 'center = ["11 cm", "0 cm", "0 cm"]\nradius = "5 mm"\n'
    )
    with pytest.raises(config.ConfigError, match="`tissue` was refused: `extent` must stay inside the maps, z"):
        config.loads(text).build()
