"""A run or a sweep goes on with the files it was begun with: Python files, what these import, and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tmepde import _sources, config
from tmepde.cli import sweep
from tmepde.cli.exits import Stop
from tmepde.cli.record import check_resume
from tmepde.cli.run import run
from tmepde.io.provenance import edited
from tmepde.sweep import create, engine, origin, run_batch, store

OWN = """
from typing import Any

import tmepde as tme
from helper import speed

class M(tme.Process):
    decay: Any = tme.param("1/h", doc="rate", default=0.5, bounds=(0, 10))

    def build(self, grid):
        return tme.Model(grid, {"u": tme.Species(1.0, 100.0)}, {"m": self})

    def coefficients(self, clock, state, tissue):
        return {"u.loss": speed() * self.decay}
"""
HELPER = "from deeper.more import FACTOR\n\ndef speed():\n    return FACTOR\n"
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
SWEEP = '[sweep]\nbatch = 2\n[sweep.grid]\n"model.decay" = ["0.5 1/h", "1 1/h", "2 1/h"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "__init__.py").write_text("")
    (tmp_path / "deeper" / "more.py").write_text("FACTOR = 1.0\n")
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "a.toml").write_text(TOML + SWEEP)
    return tmp_path


def test_imports_are_followed_by_reading(tmp_path: Path) -> None:
    texts = {
        "a.py": "import b, numpy\ndef f():\n    from p.q import r as s\n    import a\n",
        "b.py": "from . import c\nfrom .. import out\n",
        "c.py": "def broken(:\n",
        "p/__init__.py": "",
        "p/q.py": "from .r import x\nfrom ..b import y\n",
        "p/r.py": "",
        "unused.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sorted(_sources.of_file(tmp_path / "a.py")) == sorted(set(texts) - {"unused.py"})
    assert "json/__init__.py" in _sources.of_module("json") and "json/decoder.py" in _sources.of_module("json")
    assert _sources.of_module("no_such_module.at_all") == {} and _sources.of_module("math") == {}


def test_a_helper_that_was_edited_is_found_by_runs_sweeps_and_batches(folder: Path) -> None:
    """u = e^(−λt). Both members of a batch are of one class, so that they are one program."""
    run(folder / "a.toml", folder / "a.zarr", [], False, True)
    out = folder / "s.zarr"
    create(config.load(folder / "a.toml"), out)
    assert run_batch(out, 0).ok == 2
    assert sorted(json.loads(store.head(out)["code_sha256"])) == [
        "deeper/__init__.py",
        "deeper/more.py",
        "helper.py",
        "own.py",
    ]
    (folder / "deeper" / "more.py").write_text("FACTOR = 2.0\n")
    with pytest.raises(Stop, match=r"must go on with the code it was begun with, but deeper/more.py was edited"):
        check_resume(folder / "a.zarr", config.load(folder / "a.toml"))
    with pytest.raises(Stop, match="deeper/more.py was edited since"):
        sweep.run(folder / "a.toml", out, [], sweep.Where(), None, resume=True)
    engine._known.cache_clear()  # as in another process
    with pytest.raises(store.StoreError, match="deeper/more.py was edited since"):
        run_batch(out, 1)
    clock, state = None, {"u": 1.0}
    made = config.load(folder / "a.toml").build().scenario.model.processes["m"]
    assert float(made.coefficients(clock, state, None)["u.loss"]) == 1.0  # what is edited is read anew


def test_a_retry_that_is_refused_forgets_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished batches had become pending."""
    out = folder / "s.zarr"
    create(config.load(folder / "a.toml"), out)
    for index in (0, 1):
        engine.fail(out, index, "its process was killed, twice")
    monkeypatch.delenv("TMEPDE_ALLOW_CODE")
    engine._known.cache_clear()  # as in another process
    with pytest.raises(config.ConfigError, match="would run Python code"):
        sweep.retry(out)
    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    (folder / "helper.py").write_text("def speed():\n    return 2.0\n")
    with pytest.raises(store.StoreError, match=rf"helper.py was edited since.*Looked in {folder}"):
        sweep.retry(out)
    assert store.pending(out) == [] and store.unsuccessful(out) == [0, 1]


def test_a_sweep_goes_on_where_its_files_are_now(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Batches looked for them where they were at first, and said that they had been edited."""
    out = tmp_path_factory.mktemp("results") / "s.zarr"
    create(config.load(folder / "a.toml"), out)
    moved = folder.rename(folder.with_name("moved"))
    with pytest.raises(store.StoreError, match=rf"{folder}, is not there"):
        run_batch(out, 0)
    sweep.run(moved / "a.toml", out, [], sweep.Where(), None, resume=True, only_create=True)
    assert store.head(out)["config_folder"] == str(moved)
    assert engine.ready(out)[0].folder == str(moved)
    (moved / "own.py").rename(moved / "other.py")
    engine._known.cache_clear()  # as in another process
    with pytest.raises(config.ConfigError, match=rf"{moved}, has 1 problem:\n.*There is no file 'own.py'"):
        run_batch(out, 0)
    (moved / "other.py").rename(moved / "own.py")
    (moved / "helper.py").write_text("def speed():\n    return 2.0\n")
    with pytest.raises(Stop, match="helper.py was edited since"):
        sweep.run(moved / "a.toml", out, [], sweep.Where(), None, resume=True)


def test_a_member_whose_code_raises_fails_alone_and_says_where(folder: Path) -> None:
    """Anything but three kinds of errors ended the whole sweep with a traceback."""
    label = 'label: str = eqx.field(static=True, default="good")\n\n    def build'
    own = OWN.replace("import tmepde as tme\n", "import equinox as eqx\nimport tmepde as tme\n").replace(
        "def build", label, 1
    )
    raises = 'if self.label == "bad":\n            raise RuntimeError("boom")\n        return {"u'
    (folder / "own.py").write_text(own.replace('return {"u', raises))
    (folder / "a.toml").write_text(TOML + '[sweep]\nbatch = 2\n[sweep.grid]\n"model.label" = ["good", "bad"]\n')
    create(config.load(folder / "a.toml"), folder / "s.zarr")
    report = run_batch(folder / "s.zarr", 0)
    assert report.ok == 1 and list(report.bad.values()) == ["own.py, line 18: RuntimeError: boom. Correct it."]


def test_folders_do_not_share_a_helper(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "own.py").write_text(OWN)
    (other / "helper.py").write_text("def speed():\n    return 3.0\n")
    (other / "a.toml").write_text(TOML)
    rates = []
    for place in (folder, other, folder):
        process = config.load(place / "a.toml", code=True).build().scenario.model.processes["m"]
        rates.append(float(process.coefficients(None, {}, None)["u.loss"]))
    assert rates == [0.5, 1.5, 0.5]


def test_a_sweep_over_own_code_needs_no_more_leave_than_its_config(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMEPDE_ALLOW_CODE")
    with pytest.raises(config.ConfigError, match="would run Python code"):
        config.load(folder / "a.toml")
    create(config.load(folder / "a.toml", code=True), folder / "s.zarr")
    assert store.pending(folder / "s.zarr") == [0, 1]


def test_a_label_image_that_was_edited_is_found(tmp_path: Path) -> None:
    """The arms, or batches, that are left would have run on another tissue than those that are done."""
    labels = np.ones((8, 8), np.uint8)
    np.save(tmp_path / "a.npy", labels)
    text = 'schema = 1\n[tissue]\nkind = "labels"\nfile = "a.npy"\npixel_size = "10 um"\n[run]\nuntil = "1 h"\n'
    (tmp_path / "a.toml").write_text(text + '[sweep.grid]\n"tissue.pixel_size" = ["10 um", "20 um"]\n')
    loaded = config.load(tmp_path / "a.toml")
    create(loaded, tmp_path / "s.zarr")
    origin.check_same(loaded, tmp_path / "s.zarr")
    assert list(loaded.pictures) == ["a.npy"] and not edited({"picture_sha256": json.dumps(loaded.pictures)}, loaded)
    labels[0] = 2
    np.save(tmp_path / "a.npy", labels)
    with pytest.raises(origin.ChangedConfig, match=r"must go on with the picture .* a.npy was edited since"):
        origin.check_same(loaded, tmp_path / "s.zarr")
    with pytest.raises(store.StoreError, match="a.npy was edited since"):
        run_batch(tmp_path / "s.zarr", 0)
