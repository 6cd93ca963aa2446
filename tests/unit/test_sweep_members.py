"""A row of a sweep is the run that ``--set`` makes of the same values, whatever varies."""

import shutil

import jax
import numpy as np
import pytest

from tmepde import config as configs
from tmepde.cli.exits import Stop
from tmepde.config.modules import catalogue
from tmepde.sweep import ChangedConfig, check_same, create, pending, run_batch, store
from tmepde.sweep.engine import ordered
from tmepde.sweep.members import Members

BASE = """
schema = 1
[grid]
kind = "radial"
radius = "400 um"
cells = 8
[model]
kind = "solid_tumour"
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "1 hour", amount = "1e8 cells" }
[run]
until = "6 hour"
save = { every = "3 hour" }
"""
PUBLISHED = """
schema = 1
[grid]
extent = ["40 um"]
cells = [1]
[model]
kind = "kuznetsov_1994"
[run]
until = "6 hour"
save = { every = "3 hour" }
[sweep]
batch = 2
[sweep.grid]
"model.kind" = ["kuznetsov_1994", "carrgo"]
"""
PRESETS = {n: list(o["sets"]) for n, o in catalogue()["models"]["solid_tumour"]["options"].items() if o.get("sets")}


def numbers(scenario):
    return [np.asarray(x) for x in jax.tree.leaves(scenario) if np.asarray(x).dtype.kind in "fiub"]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_that_varies_sets_its_numbers(name):
    """They were those of the first preset, whatever the coordinate said: the resolved config gives them all."""
    words = PRESETS[name][:3]
    given = ", ".join(f'"{word}"' for word in words)
    config = configs.loads(BASE + f'[sweep.grid]\n"model.{name}" = [{given}]\n')
    rows = ordered(config)
    members = Members(config, rows)
    found = []
    for i, word in enumerate(rows.values[f"model.{name}"]):
        build = configs.loads(BASE, {f"model.{name}": word}).build()
        expected = numbers(build.scenario.only(build.arms["unnamed"]))
        found.append(numbers(members.build(i)[0]))
        assert len(found[i]) == len(expected) and all(map(np.array_equal, found[i], expected)), word
    assert any(len(a) != len(found[0]) or not all(map(np.array_equal, a, found[0])) for a in found[1:])


def test_models_of_several_kinds_are_one_sweep(tmp_path):
    """Each row holds the observables of its model, and NaN for those of the others."""
    out = tmp_path / "kinds.zarr"
    config = configs.loads(PUBLISHED)
    create(config, out)
    assert run_batch(out, 0).ok == 2 and pending(out) == []
    alone = configs.loads(PUBLISHED.split("[sweep]")[0], {"model.kind": "carrgo"}).build().scenario
    own = set(alone.observables) - set(configs.loads(PUBLISHED).build().scenario.observables)
    kinds = ordered(config).values["model.kind"]
    for name in own or alone.observables:
        values = store._read(out, name)
        assert np.all(np.isfinite(values[kinds.index("carrgo")]))
        assert not own or np.all(np.isnan(values[kinds.index("kuznetsov_1994")]))


def test_a_number_that_a_swept_preset_would_set_cannot_be_added_later(tmp_path):
    """Written out, a default stays whatever the preset; the resolved configs are the same."""
    sweep = '[sweep]\nbatch = 1\n[sweep.grid]\n"model.stroma" = ["desmoplastic", "inflamed"]\n'
    config, out = configs.loads(BASE + sweep), tmp_path / "stroma.zarr"
    name = next(
        iter(set(catalogue()["models"]["solid_tumour"]["options"]["stroma"]["sets"]["desmoplastic"]) - {"processes"})
    )
    written = configs.loads(BASE + sweep, {f"model.{name}": config.table()["model"][name]})
    assert written == config
    create(config, out)
    check_same(config, out)
    with pytest.raises(ChangedConfig, match=f"model.{name}"):
        check_same(written, out)


def test_a_field_that_no_scenario_has_stops_a_dry_run_in_words(tmp_path):
    from tmepde.cli import sweep

    file = tmp_path / "a.toml"
    file.write_text(BASE + '[sweep]\nfields = ["oxigen"]\n[sweep.grid]\n"model.stroma" = ["excluded", "inflamed"]\n')
    with pytest.raises(Stop, match="oxygen"):
        sweep.run(file, tmp_path / "a.zarr", [], sweep.Where(), None, dry_run=True)


OWN = """
import os
import tmepde as tme

class M(tme.Process):
    fatal: object = tme.param("1/h", doc="k", default=0.0, bounds=(0, 10))

    def build(self, grid):
        if float(self.fatal) > 1.5:
            os._exit(0)
        return tme.Model(grid, {"u": tme.Species(1.0)}, {"m": self})

    def coefficients(self, clock, state, tissue):
        return {"u.loss": 0.5}
"""


@pytest.mark.slow
def test_a_retry_survives_code_that_ends_its_process(tmp_path, monkeypatch):
    """The command itself ended, with 0, and what it had not reached stayed pending."""
    from tmepde.cli.sweep import retry
    from tmepde.sweep import fail

    monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1")
    (tmp_path / "own.py").write_text(OWN)
    text = PUBLISHED.replace("kuznetsov_1994", "own.py:M", 1).split("[sweep]")[0]
    text += '[sweep]\nbatch = 1\n[sweep.grid]\n"model.fatal" = ["0 1/h", "1 1/h", "2 1/h"]\n'
    (tmp_path / "a.toml").write_text(text)
    out = tmp_path / "a.zarr"
    create(configs.load(tmp_path / "a.toml"), out)
    for index in (1, 2):
        fail(out, index, "its process was killed, twice")
    run_batch(out, 0)
    assert retry(out) == 1
    assert list(store.statuses(out)) == [store.OK, store.OK, store.FAILED]
    assert store.messages(out)[2] == "its process ended with code 0, twice"
    shutil.rmtree(out)
