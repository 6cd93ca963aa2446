"""Python code that a config names, written by a stranger: it runs, or its author is told file, line and reason.

No traceback of ours, nothing computed, nothing written.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tmepde import config
from tmepde.schedule import Clock
from tmepde.sweep.engine import plan

CLASS = """
from typing import Any

import jax.numpy as jnp
import numpy as np

import tmepde as tme


class M(tme.Process):
    k: Any = tme.param("1/h", doc="k", default=0.5, bounds=(0, 10))

    def build(self, grid):
        BUILD

    def coefficients(self, clock, state, tissue):
        RATES
"""
BUILD = 'return tme.Model(grid, {"u": tme.Species(1.0, 100.0)}, {"m": self})'
RATES = 'return {"u.loss": self.k}'
TOML = """
schema = 1
[grid]
extent = ["100 um"]
cells = [10]
[model]
kind = "own.py:M"
[run]
until = "1 h"
"""


def load(folder: Path, build: str = BUILD, rates: str = RATES, text: str = CLASS) -> config.Config:
    (folder / "own.py").write_text(text.replace("BUILD", build).replace("RATES", rates))
    (folder / "a.toml").write_text(TOML)
    return config.load(folder / "a.toml", code=True)


@pytest.mark.parametrize(
    "rates, said",
    [
        ('raise RuntimeError("boom")', r"own.py, line 17: RuntimeError: boom\. Correct it\."),
        ('return {"u.loss": 1 / 0}', "own.py, line 17: ZeroDivisionError: division by zero"),
        ("return self.coefficients(clock, state, tissue)", "RecursionError: maximum recursion depth"),
        ('return {"u.loss": state["w"]}', r"There is no species 'w'. Known: u. \(Process 'm' reads it\)"),
        ("return None", "Process 'm' must return a mapping .* but NoneType was returned"),
        ('return {"u.loss": jnp.ones(7)}', r"`u.loss` must be a number or have shape \(10,\), but has shape \(7,\)"),
        ('return {"u.loss": "a"}', "Process 'm': `u.loss` must be real numbers, but 'a' was given"),
        ('return {"u.loss": None}', "`u.loss` must be real numbers, but None was given"),
        ('return {"u.loss": 1j * state["u"]}', "`u.loss` must be real numbers, but numbers of type complex64"),
        ('return {"u.sorce": 1.0}', "There is no channel 'sorce'. Did you mean 'source'"),
        ('return {"u.loss": self.k if state["u"][0] > 0 else 0}', "must not branch on values"),
        ('return {"u.loss": np.exp(state["u"])}', "own.py, line 17: TracerArrayConversionError"),
        ("import sys; sys.exit(3)", "own.py, line 17: SystemExit: 3"),
    ],
)
def test_rates_that_cannot_be_evaluated_are_told_by_line(rates: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=f"`model` was refused: .*{said}"):
        load(tmp_path, rates=rates).build()


@pytest.mark.parametrize(
    "build, said",
    [
        ('raise RuntimeError("boom")', "own.py, line 14: RuntimeError: boom"),
        ('return {}["nokey"]', "own.py, line 14: KeyError: nokey"),
        ('open("/no/such")', r"own.py, line 14: FileNotFoundError: \[Errno 2\] No such file or directory: '/no/such'"),
        ("import notthere", "own.py, line 14: ModuleNotFoundError: No module named 'notthere'"),
        ("import sys; sys.exit(3)", "own.py, line 14: SystemExit: 3"),
        ('return tme.Model(grid, {"u": tme.Species(np.ones(9))})', r"`u.initial` must .* \(9,\)\. \(own.py, line 14\)"),
        ('return tme.Model(tme.Grid.line(50.0, 5), {"u": tme.Species(1.0)})', "on the grid that it is given"),
        ('return tme.Model(tme.Grid.line(50.0, 10), {"u": tme.Species(1.0)})', "or cells of another size"),
    ],
)
def test_a_model_that_cannot_be_built_is_told_by_line(build: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=f"`model` was refused: .*{said}"):
        load(tmp_path, build=build).build()


SWEPT = f'if float(self.k) > 1: raise RuntimeError("boom")\n        {BUILD}'


def test_a_sweep_whose_first_scenario_cannot_be_built_is_planned_by_another(tmp_path: Path) -> None:
    load(tmp_path, build=SWEPT)
    (tmp_path / "a.toml").write_text(TOML + '[sweep]\nbatch = 1\n[sweep.grid]\n"model.k" = ["5 1/h", "0.5 1/h"]\n')
    assert plan(config.load(tmp_path / "a.toml", code=True)) == (2, 1, 1)


def test_a_sweep_of_which_no_scenario_can_be_built_names_path_and_value(tmp_path: Path) -> None:
    load(tmp_path, build=SWEPT)
    (tmp_path / "a.toml").write_text(TOML + '[sweep]\nbatch = 1\n[sweep.grid]\n"model.k" = ["5 1/h", "6 1/h"]\n')
    with pytest.raises(config.ConfigError, match=r'`sweep` .* 2 tried .* 0, .* model.k = "5 1/h": `model` .* boom'):
        plan(config.load(tmp_path / "a.toml", code=True))


@pytest.mark.parametrize("name", ["kind", "table", "schema", "copy"])
def test_a_parameter_called_like_a_key_of_every_section_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=f"has a parameter '{name}', a word that configs use themselves"):
        load(tmp_path, text=CLASS.replace("    k: Any", f"    {name}: Any").replace("self.k", "0.5"))


@pytest.mark.parametrize("rates", ['{"u.loss": -1.0}', '{"u.source": -1.0}', '{"u.diffusivity": -200.0}'])
def test_coefficients_of_the_wrong_sign_are_warned_of(rates: str, tmp_path: Path) -> None:
    channel = rates.split(".")[1].split('"')[0]
    with pytest.warns(UserWarning, match=f"`u.{channel}` is -1.* at the start, but must be a number and not negative"):
        load(tmp_path, rates=f"return {rates}").build()


def test_good_code_is_not_warned_of(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(load(tmp_path).build().scenario.model.species) == {"u"}


THERAPY = """
import jax.numpy as jnp

import tmepde as tme


class Therapy(tme.Intervention):
    def effects(self, clock, state, tissue):
        EFFECTS
"""


def treated(folder: Path, effects: str) -> config.Config:
    """The model above with a therapy of the author's own."""
    (folder / "therapy.py").write_text(THERAPY.replace("EFFECTS", effects))
    (folder / "own.py").write_text(CLASS.replace("BUILD", BUILD).replace("RATES", RATES))
    (folder / "a.toml").write_text(TOML + '[interventions.t]\nkind = "therapy.py:Therapy"\n[arms]\n"t" = ["t"]\n')
    return config.load(folder / "a.toml", code=True)


@pytest.mark.parametrize(
    "effects, said",
    [
        ("return None", r"must return Effects\(.*, but NoneType was returned"),
        ("return tme.Effects(add=[1])", r"must return Effects\(.*, but list was returned"),
        (
            'return tme.Effects(add={"u.loss": jnp.ones(7)})',
            r"`add`: `u.loss` must be .* shape \(10,\), but has .*\(7,\)",
        ),
        ('return tme.Effects(add={"u.loss": 1j})', "`add`: `u.loss` must be real numbers, but 1j was given"),
        ('return tme.Effects(scale={"u.loss": "a"})', "`scale`: `u.loss` must be real numbers, but 'a' was given"),
        ('return tme.Effects(hazard={"u": jnp.ones((10, 2))})', "`hazard` of `u` must be a number or have shape"),
        ('return tme.Effects(add={"u.loss": 1.0 if state["u"][0] > 0 else 0.0})', "must not branch on values"),
        ('return tme.Effects(add={"u.loss": state["w"]})', "There is no species 'w'"),
    ],
)
def test_what_a_therapy_cannot_mean_is_told_by_its_name(effects: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(
        config.ConfigError, match=f"`model` was refused: Intervention 't'.*{said}|.*{said}.*Intervention 't'"
    ):
        treated(tmp_path, effects).build()


def test_what_a_therapy_writes_into_the_state_is_not_for_others(tmp_path: Path) -> None:
    effects = 'state["u"] = 0.0 * state["u"]; return tme.Effects()'
    scenario = treated(tmp_path, effects).build().scenario
    state = scenario.system.initial_state("float32")
    scenario.system.tissue(Clock(0.0, 0.0, 0.0, 1.0), state)
    assert float(state["u"][0]) == 1.0


@pytest.mark.parametrize("effects", ['add={"u.source": -1.0}', 'add={"u.loss": jnp.nan}', 'hazard={"u": -1.0}'])
def test_a_therapy_with_a_negative_coefficient_is_warned_of(effects: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"`u.\w+` is (-1|nan) at the start, but must be a number and not negative"):
        treated(tmp_path, f"return tme.Effects({effects})").build()
