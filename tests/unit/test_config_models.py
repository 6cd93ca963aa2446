"""Configs run models of the literature and of one's own, with the same checks, units and provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmepde as tme
from tmepde import config
from tmepde.cli.exits import Stop
from tmepde.cli.record import check_resume
from tmepde.cli.run import run

OWN = '''
from typing import Any

import numpy as np

import tmepde as tme


class Turnover(tme.Process):
    """du/dt = s - k u in every cell."""

    supply: Any = tme.param("nM/h", doc="s", default=2.0, bounds=(0, 10))
    decay: Any = tme.param("1/h", doc="k", default=1.0, bounds=(0, 10))

    def build(self, grid):
        fields = {"u": tme.Species(np.ones(grid.shape), kind="local", unit="nM", long_name="Drug")}
        return tme.Model(grid, fields, {"turnover": self})

    def coefficients(self, clock, state, tissue):
        return {"u.source": self.supply, "u.loss": self.decay}


class Regional(Turnover):
    """The same, started in the nests."""

    def build(self, grid, region):
        return tme.Model(grid, {"u": tme.Species(region.tumour, kind="local")}, {"turnover": self})


class Nothing(tme.Process):
    """No model."""


class Wrong(Turnover):
    """Returns no model."""

    def build(self, grid):
        return grid
'''
TEXT = """\
schema = 1
name = "own"
[grid]
extent = ["30 um", "20 um"]
cells = [3, 2]
[model]
kind = "own.py:Turnover"
decay = "0.5 1/h"
[run]
until = "2 hour"
save = { every = "1 hour" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "a.toml").write_text(TEXT)
    return tmp_path


def load(folder: Path, *changes: Any, code: bool = True) -> Any:
    text = TEXT
    for old, new in changes:
        text = text.replace(old, new)
    return config.loads(text, folder=str(folder), code=code)


def test_a_model_of_ones_own_has_units_bounds_and_suggestions(folder: Path) -> None:
    loaded = load(folder)
    build = loaded.build()
    assert float(build.scenario.at("model.processes.turnover.decay")) == 0.5
    assert config.loads(loaded.toml(), folder=str(folder), code=True) == loaded
    with pytest.raises(config.ConfigError) as refused:
        load(folder, ("decay", "decya"), ("schema = 1", "schema = 1\nnmae = 1"))
    assert "Did you mean 'decay'" in str(refused.value) and "nmae" in str(refused.value)
    with pytest.raises(config.ConfigError, match="at most 10"):
        load(folder, ("0.5 1/h", "11 1/h"))
    with pytest.raises(config.ConfigError, match="dimension"):
        load(folder, ("0.5 1/h", "1 um"))


def test_code_runs_only_where_it_is_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMEPDE_ALLOW_CODE", raising=False)
    with pytest.raises(config.ConfigError, match="--allow-code"):
        load(folder, code=False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own.py:Tunrover", "Did you mean 'Turnover'"),
        ("own.py:Nothing", "with a method `build"),
        ("none.py:Turnover", "no file"),
        ("kuznetsov_1995", "Did you mean 'kuznetsov_1994'"),
    ],
)
def test_what_is_no_model_is_refused(folder: Path, name: str, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said):
        load(folder, ("own.py:Turnover", name))


def test_what_the_objects_refuse_is_told_with_the_file(folder: Path) -> None:
    (folder / "a.toml").write_text(TEXT.replace("Turnover", "Wrong"))
    with pytest.raises(config.ConfigError) as refused:
        config.load(folder / "a.toml", code=True).build()
    assert str(refused.value).startswith(f"{folder / 'a.toml'} has 1 problem")


def test_one_value_where_a_list_is_wanted_is_written_as_a_list(folder: Path) -> None:
    with pytest.raises(config.ConfigError, match=r'Write \["1 hour"\]'):
        load(folder, ('every = "1 hour"', 'times = "1 hour"'))


def test_a_builder_must_return_a_model(folder: Path) -> None:
    with pytest.raises(config.ConfigError, match="must return a tmepde.Model, but Grid came"):
        load(folder, ("Turnover", "Wrong")).build()


@pytest.mark.parametrize(
    ("code", "said"),
    [("def x(:", "in line 1: SyntaxError"), ("\n1 / 0", "in line 2: ZeroDivisionError"), ("import nil", "No module")],
)
def test_a_file_that_cannot_run_is_named_with_its_line(folder: Path, code: str, said: str) -> None:
    (folder / "own.py").write_text(code)
    with pytest.raises(config.ConfigError, match=said):
        load(folder)


def test_a_builder_may_take_the_tissue(folder: Path) -> None:
    tissue = ("[model]", '[tissue]\nkind = "nodule"\nradius = "8 um"\n[model]')
    build = load(folder, tissue, ("Turnover", "Regional")).build()
    assert np.array_equal(build.scenario.model.species["u"].initial, build.region.tumour)


def test_tissue_that_a_model_does_not_read_is_refused(folder: Path) -> None:
    tissue = ("[model]", '[tissue]\nkind = "nodule"\nradius = "8 um"\n[model]')
    with pytest.raises(config.ConfigError, match="`tissue` must be left out"):
        load(folder, tissue).build()
    with pytest.raises(config.ConfigError, match="`tissue` must be given"):
        load(folder, ("Turnover", "Regional")).build()
    np.save(folder / "mask.npy", np.array([[True, False, True]]))  # a picture brings the grid and its mask
    picture = ('[grid]\nextent = ["30 um", "20 um"]\ncells = [3, 2]\n', "")
    labels = ("[model]", '[tissue]\nkind = "labels"\nfile = "mask.npy"\npixel_size = "9 um"\n[model]')
    grid = load(folder, picture, labels).build().scenario.model.grid
    assert grid.shape == (1, 3) and list(grid.mask[0]) == [True, False, True]


def test_a_model_of_the_literature_runs_from_a_config() -> None:
    text = 'schema = 1\n[grid]\nextent = ["1 mm"]\ncells = [1]\n[model]\nkind = "kuznetsov_1994"\n'
    text += 'growth = "0.2 1/day"\n[run]\nuntil = "1 day"\n'
    build = config.loads(text).build()
    given = tme.library.published("kuznetsov_1994", tme.Grid.line(1000.0, 1), growth=0.2 / 24.0)
    assert build.scenario.model.species.keys() == given.species.keys()
    process = build.scenario.model.processes["kuznetsov_1994"]
    assert float(process.growth) == pytest.approx(0.2 / 24.0) and build.region is None


def test_a_run_keeps_its_code_and_goes_on_with_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """u = 4 + (1 − 4) e^(−t/2) ; the store holds the means, the parameters and the hash of the file."""
    import xarray as xr

    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    run(folder / "a.toml", folder / "a.zarr", [], False, True)
    found = xr.open_zarr(folder / "a.zarr", consolidated=False)
    expected = 4.0 - 3.0 * np.exp(-0.5 * found["time"].values)
    assert np.allclose(found["mean_u"], expected, rtol=1e-3) and found["u"].attrs["units"] == "nM"
    paths = [row["path"] for row in json.loads(found.attrs["parameters"])]
    assert "model.processes.turnover.decay" in paths and list(json.loads(found.attrs["code_sha256"])) == ["own.py"]
    assert check_resume(folder / "a.zarr", config.load(folder / "a.toml")) is not None
    (folder / "own.py").write_text(OWN.replace("default=2.0", "default=3.0").replace('"u.loss": ', '"u.loss": 2 * '))
    with pytest.raises(Stop, match="own.py was edited since|supply"):
        check_resume(folder / "a.zarr", config.load(folder / "a.toml"))
    (folder / "own.py").write_text(OWN.replace('"u.loss": ', '"u.loss": 2 * '))
    with pytest.raises(Stop, match="own.py was edited since"):
        check_resume(folder / "a.zarr", config.load(folder / "a.toml"))


def test_a_sweep_goes_on_with_no_other_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ``--resume`` nor a process that runs a batch takes a file that was edited."""
    from tmepde.cli import sweep
    from tmepde.sweep import create, engine, origin, run_batch, store

    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    (folder / "a.toml").write_text(TEXT + '[sweep]\nbatch = 1\n[sweep.grid]\n"model.decay" = ["0.5 1/h", "1 1/h"]\n')
    out = folder / "sweep.zarr"
    create(config.load(folder / "a.toml"), out)
    assert run_batch(out, 0).ok == 1 and list(json.loads(store.head(out)["code_sha256"])) == ["own.py"]
    origin.check_same(config.load(folder / "a.toml"), out)
    (folder / "own.py").write_text(OWN.replace('"u.loss": ', '"u.loss": 2 * '))
    with pytest.raises(Stop, match="own.py was edited since. Take back"):
        sweep.run(folder / "a.toml", out, [], sweep.Where(), None, resume=True)
    engine._known.cache_clear()  # another process has not seen the file as it was
    with pytest.raises(store.StoreError, match="own.py was edited since. Take back"):
        run_batch(out, 1)
    (folder / "own.py").write_text(OWN)
    assert run_batch(out, 1).ok == 1 and store.pending(out) == []


def test_priors_of_a_model_of_ones_own_have_the_paths_of_its_config(folder: Path) -> None:
    from tmepde.sweep.table import table

    changed = ("[run]", '[sweep.priors]\nsamples = 4\npaths = ["model.decay"]\n[run]')
    numbers, unit = table(load(folder, changed)).column("model.decay")
    assert len(set(numbers)) == 4 and numbers.min() >= 0.5 / 3.01 and numbers.max() <= 0.5 * 3.01 and unit == "1/h"


def test_a_file_that_own_code_misses_fails_its_scenarios_and_no_sweep(folder: Path, monkeypatch) -> None:
    """An ``OSError`` of the code is a result; one of ours (the disk of the store) stops the batch."""
    from tmepde.sweep import create, run_batch, store

    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    read = 'open(__file__.replace("own.py", "rates.txt")).read()'
    (folder / "own.py").write_text(OWN.replace('return {"u.source"', f'{read}\n        return {{"u.source"'))
    (folder / "rates.txt").write_text("1")
    (folder / "a.toml").write_text(TEXT + '[sweep]\nbatch = 2\n[sweep.grid]\n"model.decay" = ["0.5 1/h", "1 1/h"]\n')
    out = folder / "sweep.zarr"
    create(config.load(folder / "a.toml"), out)
    (folder / "rates.txt").unlink()
    assert list(run_batch(out, 0).bad) == [0, 1]
    assert all("own.py, line" in text and "rates.txt" in text for text in store.messages(out))
