"""Every kind of therapy in a run of a day: what it is meant to move, and nothing where its substrate is absent.

The rows are in ``rows_*.py`` beside this file, one file per model, in which all its therapies stand: what is taken away
is numbers, so that one program serves every arm. A row says

    moves    a species, summed over the tissue, or a function of (fields, model)
    sign     which way the therapy moves it
    without  what is taken away: ``species`` → start, ``tissue quantity`` → value, ``process.parameter`` → value
    still    the species that then stay as they are without the therapy; default: all of the model
    given    but for these, which a dose or what is carried consists of

Steps are fixed, so that arms take the same ones; what is left of differences is that of linear solves, 0.02 of the step
tolerance 1e-6 each.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde.interventions import REGISTRY

UNTIL = 24.0
CONTROL = tme.StepControl(dt=0.5, rtol=1e-6)
#: largest relative change of a field that linear solves can make in the 48 steps of a day
NOTHING = 48 * 0.02e-6
#: what counts as a change: a hundred times that
SOMETHING = 100 * NOTHING


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAMILIES = {path.stem[5:]: _load(path) for path in sorted(Path(__file__).parent.glob("rows_*.py"))}
#: families whose rows are part of the quick tests; `make test-slow` runs the others, a minute of compilation each
QUICK = ("vessels",)
KINDS = {cls: kind for kind, cls in REGISTRY.items()}
ROWS = [
    pytest.param(family, label, id=label, marks=() if family in QUICK else pytest.mark.slow)
    for family, module in FAMILIES.items()
    for label in sorted(module.ROWS)
]


def _set(scenario, name, value):
    """The scenario with ``value`` for a start, a tissue quantity or a parameter of a process."""

    def put(where):
        old = where(scenario)
        return eqx.tree_at(where, scenario, np.full(np.shape(old), value, np.result_type(old, float)))

    model = scenario.model
    if name in model.species:
        return put(lambda s: s.model.species[name].initial)
    if name in model.tissue:
        return put(lambda s: s.model.tissue[name])
    process, _, parameter = name.partition(".")
    return put(lambda s: getattr(s.model.processes[process], parameter))


class Bench:
    """The model of a family with all its therapies, and the fields a day later, by what is absent and what is on."""

    def __init__(self, family):
        module = FAMILIES[family]
        line = tme.Grid.line(800.0, 16)
        model = tme.library.solid_tumour(line, radius=220.0, therapies=module.PLAN, **module.OPTIONS)
        near = np.abs(np.asarray(model.tissue["region_margin_distance"]))
        cells = 2e3 / (1.0 + (near / 80.0) ** 2)
        self.scenario = tme.Scenario(model, module.PLAN, until=UNTIL)
        self.scenario = eqx.tree_at(lambda s: s.model.species["car_t"].initial, self.scenario, cells)
        for name, value in module.START.items():
            self.scenario = _set(self.scenario, name, value)
        self.seen = {}

    def after(self, without, *on):
        key = (tuple(sorted(without.items())), on)
        if key not in self.seen:
            scenario = self.scenario
            for name, value in without.items():
                scenario = _set(scenario, name, value)
            options = dict(save=[UNTIL], precision="f64", control=CONTROL)
            fields = tme.run_arms(scenario, {"arm": on}, **options)["arm"].fields
            self.seen[key] = {name: np.asarray(values[-1]) for name, values in fields.items()}
        return self.seen[key]


@pytest.fixture(scope="module")
def bench():
    """The model of a family, made when first asked for."""
    made = {}

    def of(family):
        if family not in made:
            made.clear()  # one at a time
            made[family] = Bench(family)
        return made[family]

    with jax.enable_x64(True):
        yield of


def test_every_kind_has_a_row():
    """A new kind of therapy needs one, and a row needs its therapy."""
    for module in FAMILIES.values():
        assert set(module.PLAN) == set(module.ROWS)
    assert {KINDS[type(one)] for module in FAMILIES.values() for one in module.PLAN.values()} == set(REGISTRY)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "label"), ROWS)
def test_it_moves_its_target_and_nothing_without_its_substrate(bench, family, label):
    lab, row = bench(family), FAMILIES[family].ROWS[label]
    model, moves = lab.scenario.model, row["moves"]
    level = moves if callable(moves) else lambda fields, model: float(np.sum(fields[moves]))
    treated, untreated = (level(lab.after({}, *on), model) for on in ([label], []))
    gain = row["sign"] * (treated - untreated)
    assert gain > SOMETHING * abs(untreated), f"{moves} went from {untreated:.4g} to {treated:.4g}"
    treated, untreated = (lab.after(row["without"], *on) for on in ([label], []))
    for name in row.get("still", model.species):
        if name not in row.get("given", ()):
            # solves are judged against the field or, where there is next to nothing of it, against what is negligible
            size = max(float(np.max(np.abs(untreated[name]))), float(model.species[name].negligible))
            np.testing.assert_allclose(treated[name], untreated[name], rtol=0, atol=NOTHING * size, err_msg=name)
