"""Therapies of vessels, matrix and particles in a run of a day: what they move, and nothing without their substrate.

All rows stand in one scenario, and what is taken away is numbers: one program serves every arm. Steps are fixed, so
that arms take the same ones; what is left of differences is that of linear solves, 0.02 of the step tolerance 1e-6
each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import tmepde as tme

UNTIL = 24.0
CONTROL = tme.StepControl(dt=0.5, rtol=1e-6)
#: largest relative change of a field that linear solves can make in the 48 steps of a day, and what counts as one
NOTHING, SOMETHING = 48 * 0.02e-6, 1e-3
PARTICLES = ("nanoparticle", "nanoparticle_bound", "nanoparticle_plasma", "payload")
PLAN = {
    "anti_vegf": tme.AntiVEGF(dose=tme.Infusion(0.5, 900.0, 1.0)),
    "checkpoint_blockade": tme.CheckpointBlockade(dose=tme.Infusion(0.5, 1400.0, 1.0)),
    "edb_targeting": tme.EdbTargeting(dose=tme.Infusion(0.5, 600.0, 1.0)),
    "endothelial_metabolism": tme.EndothelialMetabolism(dose=tme.Infusion(0.5, 1e5, 1.0)),
    "enzyme_car_t": tme.EnzymeCarT(),
    "enzyme_car_t_heparanase": tme.EnzymeCarT(substrate="collagen"),
    "fap_car_t": tme.FapCarT(dose=tme.Infusion(0.5, 1e9, 1.0)),
    "hyaluronidase_particle": tme.HyaluronidaseParticle(dose=tme.Infusion(0.5, 3000.0, 1.0)),
    "matrix_enzyme": tme.MatrixEnzyme(dose=tme.Infusion(0.5, 900.0, 1.0)),
    "nab_paclitaxel": tme.NabPaclitaxel(dose=tme.Infusion(0.5, 2.6e5, 1.0)),
    "oxygen_generator": tme.OxygenGenerator(dose=tme.Infusion(0.5, 3000.0, 1.0)),
    "pak4_inhibitor": tme.Pak4Inhibitor(dose=tme.Infusion(0.5, 1e5, 1.0)),
    "synnotch_car_t": tme.SynnotchCarT(),
    "vascular_disruption": tme.VascularDisruption(dose=tme.Infusion(0.5, 2.5e5, 1.0)),
}


def _start(scenario: tme.Scenario, **values: Any) -> tme.Scenario:
    """The scenario with these fields at the start."""
    for name, value in values.items():
        old = scenario.model.species[name].initial
        new = np.full(np.shape(old), value, float)
        scenario = eqx.tree_at(lambda s, n=name: s.model.species[n].initial, scenario, new)
    return scenario


def _tissue(scenario: tme.Scenario, *names: str) -> tme.Scenario:
    """The scenario with 0 for these quantities of the tissue."""
    for name in names:
        nought = 0.0 * scenario.model.tissue[name]
        scenario = eqx.tree_at(lambda s, n=name: s.model.tissue[n], scenario, nought)
    return scenario


def _no_vegf(scenario):
    made = scenario.model.processes["vegf_kinetics"]
    for name in ("tumour", "host"):
        if hasattr(made, name):
            scenario = scenario.replace(f"model.processes.vegf_kinetics.{name}", 0.0)
    return _start(scenario, vegf=0.0)


def _no_hyaluronan(scenario):
    return _tissue(_start(scenario, hyaluronan=0.0), "hyaluronan_base")


def _no_collagen(scenario):
    return _tissue(_start(scenario, collagen=0.0, fibroblast=0.0), "collagen_base")


def _no_tumour(scenario):
    return _tissue(_start(scenario, tumour=0.0, tumour_negative=0.0), "region_tumour")


def _no_vessels(scenario):
    return _tissue(_start(scenario, vessel_surface=0.0), "vessel_base")


def _no_t_cells(scenario):
    return _start(scenario, car_t=0.0, car_t_exhausted=0.0, car_t_plasma=0.0)


def _no_peroxide(scenario):
    rate = scenario.model.processes["peroxide_production"]
    name = next(f.name for f in dataclasses.fields(rate) if f.name in ("rate", "production", "tumour"))
    return scenario.replace(f"model.processes.peroxide_production.{name}", 0.0)


@dataclasses.dataclass(frozen=True)
class Row:
    """``field`` goes ``sign``; with ``absent`` applied the fields ``still`` (``None``: all but ``given``) stay."""

    field: str
    sign: int
    absent: Callable[[tme.Scenario], tme.Scenario]
    still: tuple[str, ...] | None = None
    given: tuple[str, ...] = ()


ROWS = {
    "anti_vegf": Row("pore_diameter", -1, _no_vegf, ("pore_diameter",)),
    "checkpoint_blockade": Row("tumour", -1, _no_t_cells),
    "edb_targeting": Row("collagen", -1, _no_vegf),
    "endothelial_metabolism": Row("car_t", 1, _no_vessels, ("car_t", "tumour", "oxygen")),
    "enzyme_car_t": Row("hyaluronan", -1, _no_hyaluronan),
    "enzyme_car_t_heparanase": Row("collagen", -1, _no_collagen),
    "fap_car_t": Row("fibroblast", -1, _no_collagen, ("fibroblast", "collagen", "hyaluronan")),
    "hyaluronidase_particle": Row("hyaluronan", -1, _no_hyaluronan, given=PARTICLES),
    "matrix_enzyme": Row("hyaluronan", -1, _no_hyaluronan),
    "nab_paclitaxel": Row("tumour", -1, _no_vessels, ("tumour", "tumour_negative", "fibroblast", "hyaluronan")),
    "oxygen_generator": Row("oxygen", 1, _no_peroxide, given=PARTICLES),
    "pak4_inhibitor": Row("car_t", 1, _no_vessels, ("car_t", "tumour", "oxygen")),
    "synnotch_car_t": Row("hyaluronan", -1, _no_tumour),
    "vascular_disruption": Row("oxygen", -1, _no_tumour),
}


@pytest.fixture(scope="module")
def scenario():
    with jax.enable_x64(True):
        model = tme.library.solid_tumour(tme.Grid.line(800.0, 16), radius=220.0, therapies=PLAN)
        made = tme.Scenario(model, PLAN, until=UNTIL)
        near = np.abs(np.asarray(model.tissue["region_margin_distance"]))
        cells = 2e3 / (1.0 + (near / 80.0) ** 2)
        made = eqx.tree_at(lambda s: s.model.species["car_t"].initial, made, cells)
        yield _start(made, car_t_plasma=30.0)


def _after(scenario, *on):
    options = dict(save=[UNTIL], precision="f64", control=CONTROL)
    fields = tme.run_arms(scenario, {"arm": list(on)}, **options)["arm"].fields
    return {name: np.asarray(fields[name][-1]) for name in scenario.model.species}


@pytest.mark.parametrize("therapy", sorted(ROWS))
def test_it_moves_its_target_and_nothing_without_its_substrate(scenario, therapy):
    row = ROWS[therapy]
    treated, untreated = _after(scenario, therapy)[row.field], _after(scenario)[row.field]
    gain = row.sign * float(np.sum(treated - untreated)) / float(np.sum(untreated))
    assert gain > SOMETHING, f"{row.field} moved by {row.sign * gain:.3g}"
    bare = row.absent(scenario)
    treated, untreated = _after(bare, therapy), _after(bare)
    names = row.still if row.still is not None else [n for n in untreated if n not in row.given]
    for name in names:
        size = float(np.max(np.abs(untreated[name])))
        np.testing.assert_allclose(treated[name], untreated[name], rtol=0, atol=NOTHING * size, err_msg=name)
