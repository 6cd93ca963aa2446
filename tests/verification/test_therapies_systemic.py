"""What therapies of the whole body do, and that they do nothing where what they act on is absent.

All of them stand in one system, switched by their strengths, so that one program serves most tests.
"""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import library, observables
from tmepde.model import System
from tmepde.physiology import OPTIONAL, REGISTRY, BloodKinetics, CarTExposure, ForcedBloodKinetics
from tmepde.schedule import Clock
from tmepde.units import day

_DOSE = tme.Infusion(0.0, 900.0, 1.0)
_CELLS = tme.Infusion(0.0, 1e6, 1.0)
_PLAN = {
    "anakinra": tme.Anakinra(dose=_DOSE),
    "backpack": tme.CytokineBackpack(dose=_DOSE, engraftment=0.1),
    "carrier": tme.DrugCarrier(dose=_DOSE, drug="checkpoint", glutathione=0.05),
    "dna": tme.InSituProgramming(dose=_DOSE, vector="dna"),
    "film": tme.ThinFilm(dose=_CELLS, site=[620.0], reach=100.0),
    "folate": tme.TargetedCarrier(ligand="folate"),
    "free": tme.FreeCytokine(dose=_DOSE),
    "ganglioside": tme.TargetedCarrier(ligand="ganglioside"),
    "glyco": tme.Glycoengineering(dose=_DOSE),
    "mrna": tme.InSituProgramming(dose=_DOSE, vector="mrna"),
    "needles": tme.MicroneedleArray(dose=_CELLS, needles=4.0),
    "regional": tme.RegionalInfusion(dose=_CELLS),
    "scaffold": tme.CellScaffold(dose=_CELLS, site=[300.0]),
    "scavenger": tme.CytokineScavenger(dose=_DOSE),
    "steroid": tme.Corticosteroid(dose=_DOSE),
    "switch": tme.SuicideSwitch(dose=_DOSE),
    "tocilizumab": tme.Tocilizumab(dose=_DOSE),
}
#: mm³ of the rod for which a line stands, per µm
_ROD = 1e-9 * 1000.0**2


class Lab:
    """Terms at one instant, with chosen therapies on and chosen values of the state."""

    def __init__(self):
        model = library.solid_tumour(tme.Grid.line(800.0, 16), radius=220.0, milieu="systemic")
        self.system = System(model, _PLAN)
        self.state = self.system.initial_state(jnp.float64)
        near = np.abs(np.asarray(model.tissue["region_margin_distance"]))
        self.state["car_t"] = jnp.asarray(2e3 / (1.0 + (near / 80.0) ** 2))
        self.clock = Clock(*(jnp.asarray(v) for v in (1e4, 0.0, 0.0, 0.5)))  # long after all doses
        self._terms = jax.jit(self._evaluate)

    def _evaluate(self, strengths, state, acidity):
        system = eqx.tree_at(
            lambda s: [s.interventions[n].strength for n in sorted(_PLAN)], self.system, list(strengths)
        )
        system = eqx.tree_at(lambda s: s.model.tissue["acidity"], system, acidity)
        tissue, _ = system.tissue(self.clock, state)
        watched = {n: o(self.clock, state, tissue) for n, o in observables.systemic(system.model).items()}
        return system.coefficients(self.clock, state), tissue.quantities, watched

    def __call__(self, *on, acidity=0.0, **values):
        state = {k: jnp.full_like(v, values[k]) if k in values else v for k, v in self.state.items()}
        strengths = jnp.asarray([float(n in on) for n in sorted(_PLAN)])
        coefficients, tissue, watched = self._terms(strengths, state, jnp.asarray(acidity))
        return Terms(coefficients, tissue, watched, {k: np.asarray(v) for k, v in state.items()})


@dataclasses.dataclass(frozen=True)
class Terms:
    coefficients: object
    tissue: dict
    watched: dict
    state: dict

    def __getitem__(self, target):
        name, channel = target.rsplit(".", 1)
        return np.asarray(getattr(self.coefficients, channel).get(name, 0.0))


@pytest.fixture(scope="module")
def lab():
    return Lab()


def _gain(lab, therapy, target, **state):
    """What ``therapy`` adds to ``target``."""
    return lab(therapy, **state)[target] - lab(**state)[target]


def _cells_per_hour(field):
    return float(np.sum(np.broadcast_to(field, 16)) * 50.0 * _ROD)


def test_backpack_lets_go_on_antigen_and_hardly_elsewhere(lab):
    made = _gain(lab, "backpack", "growth_factor.source", car_t_cargo=1.0)
    inside = lab.system.model.tissue["region_tumour"] > 0.99
    assert made[inside].min() > 7 * made[~inside].min() > 0  # (k₀ + k_a A)/k₀ ≈ 8.5 at A = 0.96
    without = _gain(lab, "backpack", "growth_factor.source", car_t_cargo=1.0, tumour=0.0)
    np.testing.assert_allclose(without, 0.0032 / 0.2, rtol=1e-12)
    assert not np.any(_gain(lab, "backpack", "growth_factor.source", car_t_cargo=0.0))


def test_backpacks_of_cells_that_are_injected_arrive_with_them(lab):
    """All went into blood, with the share of infused cells that engraft, whatever the way of the cells."""
    place = {"route": "intratumoral", "site": [400.0], "width": 50.0}
    plan = {
        "cells": tme.CellInfusion(dose=tme.Infusion(0.0, 1e4, 1.0), **place),
        "load": tme.CytokineBackpack(dose=tme.Infusion(0.0, 2e-3, 1.0), **place),
    }
    system = System(lab.system.model, plan)
    clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 0.5)))
    state = system.initial_state(jnp.float64) | {"car_t": jnp.zeros(16)}
    source = system.coefficients(clock, state).source
    np.testing.assert_allclose(source["car_t_cargo"], 2e-3 / 1e4 * 1e6 * source["car_t"], rtol=1e-9)
    assert not any(np.any(source.get(name, 0.0)) for name in ("car_t_cargo_plasma", "growth_factor_plasma"))


def test_free_cytokine_comes_through_perfused_vessels_only(lab):
    """The dose enters plasma (contract tests); plasma reaches tissue through the wall."""
    assert np.all(lab(growth_factor_plasma=10.0)["growth_factor.source"] > 0)
    assert not np.any(lab(growth_factor_plasma=10.0, vessel_surface=0.0)["growth_factor.source"])
    assert not np.any(lab(growth_factor_plasma=0.0)["growth_factor.source"])


def test_programming_makes_car_t_cells_of_host_t_cells(lab):
    made = _gain(lab, "mrna", "car_t_plasma.source", vector_plasma=3.0)
    assert made == pytest.approx(0.05 * 0.002 * 3.0 * 1000.0)
    assert _gain(lab, "mrna", "host_t_plasma.loss", vector_plasma=3.0) == pytest.approx(0.006)
    assert _gain(lab, "mrna", "car_t_plasma.source", vector_plasma=3.0, host_t_plasma=0.0) == 0.0


def test_a_receptor_made_from_messenger_is_lost_and_one_from_dna_is_not(lab):
    assert _gain(lab, "mrna", "car_t.loss", programmed=0.5) == pytest.approx(0.2 / 24)
    assert not np.any(_gain(lab, "mrna", "car_t.loss", programmed=0.0))
    assert not np.any(_gain(lab, "dna", "car_t.loss", programmed=0.5))


def test_infused_cells_keep_their_receptor_whenever_they_come():
    """The share with a transient receptor is diluted: of cells infused later all lost theirs, with those programmed."""
    plan = {"car": tme.CellInfusion(dose=_CELLS, engraftment=1.0), "mrna": _PLAN["mrna"]}
    system = System(library.solid_tumour(tme.Grid.line(800.0, 8), radius=220.0, milieu="systemic"), plan)
    start = system.initial_state(jnp.float64)
    state = start | {"car_t_plasma": jnp.asarray(0.3), "programmed": jnp.asarray(1.0)}
    later, during = (Clock(*(jnp.asarray(v) for v in (t, 0.0, 0.0, 0.5))) for t in (5.0, 0.25))
    assert not np.any(system.coefficients(later, state).loss["programmed"])
    arriving = 1e6 / (5.0 * 1e6)  # cells/µL in an hour
    assert float(system.coefficients(during, state).loss["programmed"]) == pytest.approx(arriving / 0.3, rel=0.01)


@pytest.mark.parametrize(("carrier", "cargo"), [("generic", 1000.0), ("liposome_125nm", 1.5e4), ("peg", 1.0)])
def test_a_triggered_carrier_lets_go_of_what_its_particle_holds(carrier, cargo):
    """It let go of 1000 molecules of any particle, a fifteenth of what a liposome of 125 nm holds."""
    model = library.solid_tumour(tme.Grid.point(), radius=1e4, carrier=carrier)
    plan = {"drug": tme.DrugCarrier(dose=tme.Bolus(1e3, 1.0), acid=0.0, glutathione=0.5)}
    clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))
    found = []
    for system in (System(model, plan), System(model, {})):
        state = system.initial_state(jnp.float64)
        state["nanoparticle"] = jnp.full_like(state["nanoparticle"], 2.0)
        found.append(system.coefficients(clock, state))
    gone = np.asarray(found[0].loss["nanoparticle"] - found[1].loss["nanoparticle"]) * 2.0
    made = np.asarray(found[0].source["payload"] - found[1].source["payload"])
    np.testing.assert_allclose(made, cargo * gone, rtol=1e-9)


def test_ligands_bind_their_cells_and_nobody_else(lab):
    for therapy, state in (("folate", {}), ("glyco", {"azide": 1.0})):
        assert np.max(_gain(lab, therapy, "nanoparticle.loss", **state)) > 0.1
        assert not np.any(_gain(lab, therapy, "nanoparticle.loss", tumour=0.0, tumour_negative=0.0, **state))
    assert not np.any(_gain(lab, "glyco", "nanoparticle.loss", azide=0.0))
    bound = _gain(lab, "ganglioside", "nanoparticle.loss")
    assert bound[0] > 0 and bound[8] == pytest.approx(0.0, abs=1e-9)  # stroma cells, of which the nest has none


def test_what_binds_leaves_the_free_particles(lab):
    """k (B − b)₊ n leaves n and enters b, in the middle of binding and beyond the sites."""
    for bound in (0.0, 100.0, 1e4):
        state = {"nanoparticle": 5.0, "nanoparticle_bound": bound}
        lost = _gain(lab, "folate", "nanoparticle.loss", **state) * 5.0
        won = _gain(lab, "folate", "nanoparticle_bound.source", **state)
        won = won - _gain(lab, "folate", "nanoparticle_bound.loss", **state) * bound
        np.testing.assert_allclose(lost, won, rtol=1e-9, atol=1e-9)


def test_drug_carriers_let_go_on_their_trigger(lab):
    neutral = _gain(lab, "carrier", "payload.source", nanoparticle=1.0, tumour=0.0, tumour_negative=0.0)
    assert not np.any(neutral)  # neither acid nor glutathione
    acid = _gain(lab, "carrier", "payload.source", nanoparticle=1.0, tumour=0.0, tumour_negative=0.0, acidity=0.5)
    np.testing.assert_allclose(acid, 1000.0 * 0.1 * 0.5, rtol=1e-12)
    assert np.max(_gain(lab, "carrier", "payload.source", nanoparticle=1.0)) > 0
    assert not np.any(_gain(lab, "carrier", "payload.source", nanoparticle=0.0, nanoparticle_bound=0.0, acidity=0.5))


def test_a_drug_blocks_what_it_is_against_and_nothing_without_cargo(lab):
    bound = lab.system.model.processes["checkpoint_engagement"].baseline
    assert np.min(lab("carrier", payload=100.0).tissue["pd1_engagement"]) == pytest.approx(0.5 * float(bound))
    assert np.min(lab("carrier", payload=0.0).tissue["pd1_engagement"]) == pytest.approx(float(bound))


@pytest.mark.parametrize(
    ("therapy", "species", "rate"),
    [
        ("scaffold", "scaffold_cells", 0.15 / 24),
        ("film", "film_cells", 0.5 / 24),
        ("regional", "cavity_cells", 0.3 / 24),
        ("needles", "needle_cells", math.log(2.0)),
    ],
)
def test_cells_that_leave_a_reservoir_arrive_in_tissue(lab, therapy, species, rate):
    arriving = _gain(lab, therapy, "car_t.source", **{species: 1e5})
    assert _cells_per_hour(arriving) == pytest.approx(rate * 1e5, rel=1e-9)
    assert not np.any(_gain(lab, therapy, "car_t.source", **{species: 0.0}))


def test_film_and_cavity_seed_the_margin(lab):
    margin = np.abs(np.asarray(lab.system.model.tissue["region_margin_distance"]))
    regional = _gain(lab, "regional", "car_t.source", cavity_cells=1e5)
    film = _gain(lab, "film", "car_t.source", film_cells=1e5)
    assert np.argmax(regional) in np.flatnonzero(margin <= margin.min() + 1e-9)
    assert regional[8] < 0.01 * regional.max()
    assert np.argmax(film) >= 8 and film[:8].max() < 0.01 * film.max()  # on its side only


def test_a_scaffold_without_cytokine_only_empties(lab):
    fed = lab(scaffold_cells=1e5, scaffold_cytokine=1.0)
    starved = lab(scaffold_cells=1e5, scaffold_cytokine=0.0)
    assert fed["scaffold_cells.source"] > fed["scaffold_cells.loss"] * 1e5
    assert starved["scaffold_cells.source"] == 0.0 and starved["scaffold_cells.loss"] > 0


def test_more_needles_seed_more_evenly():
    """Coefficient of variation over the plane under the array, at one dose."""
    grid = tme.Grid.square(900.0, 45)

    def variation(needles):
        shape = np.asarray(tme.MicroneedleArray(dose=_CELLS, needles=needles).shape(grid))
        row = shape[22]  # at the depth of the tips
        return row.std() / row.mean()

    found = [variation(n) for n in (1.0, 2.0, 4.0, 8.0)]
    assert all(a > 1.3 * b for a, b in zip(found, found[1:], strict=False)), found


def test_receptor_blockers(lab):
    sick = {"il1_plasma": 20.0, "il6_plasma": 2000.0, "macrophage_activation": 0.5}
    plain, toci = lab(**sick), lab("tocilizumab", tocilizumab_plasma=700.0, **sick)
    anakinra = lab("anakinra", anakinra_plasma=500.0, **sick)
    grade, neural = "cytokine_release_grade", "neural_exposure.source"
    assert toci.watched[grade] < 0.2 * plain.watched[grade]
    assert toci["il6_plasma.loss"] < 0.2 * plain["il6_plasma.loss"]  # cleared by its receptor
    assert toci[neural] == plain[neural]
    assert anakinra[neural] < 0.2 * plain[neural] and anakinra["il6_plasma.source"] < 0.3 * plain["il6_plasma.source"]
    no_il1 = {**sick, "il1_plasma": 0.0}
    assert lab("anakinra", anakinra_plasma=500.0, **no_il1)["il6_plasma.source"] == lab(**no_il1)["il6_plasma.source"]
    assert lab("tocilizumab", tocilizumab_plasma=0.0, **sick)["il6_plasma.loss"] == plain["il6_plasma.loss"]


def test_scavenger_steroid_and_switch(lab):
    sick = {"macrophage_activation": 0.5}
    assert _gain(lab, "scavenger", "il6_plasma.loss", scavenger_plasma=10.0) == pytest.approx(0.2)
    assert _gain(lab, "scavenger", "il6_plasma.loss", scavenger_plasma=0.0) == 0.0
    plain, steroid = lab(**sick), lab("steroid", dexamethasone_plasma=500.0, **sick)
    assert steroid["il1_plasma.source"] < 0.2 * plain["il1_plasma.source"]
    assert np.all(steroid["car_t.source"] <= plain["car_t.source"]) and np.all(
        steroid["car_t.loss"] > plain["car_t.loss"]
    )
    assert lab("steroid", dexamethasone_plasma=0.0, **sick)["il1_plasma.source"] == plain["il1_plasma.source"]
    for name in ("car_t", "car_t_exhausted", "car_t_plasma", "car_t_plasma_memory"):
        assert np.min(_gain(lab, "switch", f"{name}.loss", dimeriser_plasma=1e5)) > 2.0
        assert not np.any(_gain(lab, "switch", f"{name}.loss", dimeriser_plasma=0.0))
    assert not np.any(_gain(lab, "switch", "tumour.loss", dimeriser_plasma=1e5))


def test_cytokine_release_follows_kills_and_rests_without(lab):
    rest = lab(car_t=0.0, car_t_plasma=0.0)
    assert rest["ifn_gamma_plasma.source"] == 0.0 and rest["killed_cells.source"] == 0.0
    assert rest["il6_plasma.source"] == pytest.approx(5.0 * float(rest["il6_plasma.loss"]), rel=1e-12)
    busy = lab()
    killing = lab.system.model.processes["cytokine_release"]
    nest = np.asarray(lab.system.model.tissue["region_tumour"])
    simulated = busy["killed_cells.source"] * nest.sum() * 50.0 * _ROD / float(killing.tumour_volume)
    assert simulated == pytest.approx(float(busy.watched["kill_rate"]), rel=1e-9)
    assert lab(car_t=0.0, car_t_plasma=36.0)["ifn_gamma_plasma.source"] > 0
    assert lab(car_t=0.0, car_t_plasma=36.0, systemic_antigen=0.0)["ifn_gamma_plasma.source"] == 0.0


@pytest.mark.slow
def test_what_rides_moves_and_dies_with_its_carrier():
    """b = E/1000 at the start, and neither division nor entry: the same a day later, through drift and death."""
    model = library.solid_tumour(tme.Grid.line(800.0, 16), radius=220.0).without("expansion", "extravasation")
    near = np.abs(np.asarray(model.tissue["region_margin_distance"]))
    start = 2e3 / (1.0 + (near / 80.0) ** 2)
    species = {**model.species, "car_t": dataclasses.replace(model.species["car_t"], initial=start)}
    species["load"] = tme.Species(1e-3 * start, negligible=1e-6, unit="nM", carrier="car_t")
    model = tme.Model(model.grid, species, model.processes, model.tissue)
    control = tme.StepControl(rtol=1e-6)
    found = tme.simulate(tme.Scenario(model, until=day), precision="f64", control=control).fields
    assert np.max(np.abs(found["car_t"][-1] / start - 1.0)) > 0.1
    np.testing.assert_allclose(found["load"][-1], 1e-3 * found["car_t"][-1], rtol=1e-5)


def test_a_carrier_must_exist():
    species = {"load": tme.Species(1.0, carrier="car_tt"), "car_t": tme.Species(1.0)}
    with pytest.raises(ValueError, match="Did you mean 'car_t'"):
        System(tme.Model(tme.Grid.line(10.0, 2), species), {})


@pytest.mark.slow
def test_binding_front_moves_with_the_root_of_time():
    """x_f = 2 λ √(D t), λ e^{λ²} erf λ = c₀/(B √π): Stefan's front where binding is fast (Damköhler number 5e4).

    For c₀ ≪ B that is √(2 D c₀ t/B). A cell fills as a whole, so that the front is known to half a cell (1 µm of 62).
    """
    cells, level, sites, diffusivity = 100, 50.0, 500.0, 1e4
    grid = tme.Grid.line(200.0, cells)
    whole = library.solid_tumour(region=tme.Region.uniform(grid))
    species = dict(whole.species)
    species["nanoparticle"] = tme.Species(0.0, diffusivity, {"x-": tme.Dirichlet(level)}, 0.01, unit="nM")
    model = tme.Model(grid, species, {}, whole.tissue)
    dense = sum(float(np.mean(whole.species[n].initial)) for n in ("tumour", "tumour_negative"))
    plan = {"folate": tme.TargetedCarrier(ligand="folate", sites=sites * 2.3e5 / dense, association=100.0)}
    scenario = tme.Scenario(model, plan, until=8.0)
    solution = tme.simulate(scenario, save=[2.0, 8.0], precision="f64", control=tme.StepControl(rtol=1e-5))
    front = solution.fields["nanoparticle_bound"][1:].sum(axis=1) * (200.0 / cells) / sites
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        over = middle * math.exp(middle**2) * math.erf(middle) * math.sqrt(math.pi) > level / sites
        low, high = (low, middle) if over else (middle, high)
    wanted = 2.0 * low * np.sqrt(diffusivity * np.array([2.0, 8.0]))
    np.testing.assert_allclose(front, wanted, atol=1.0)
    assert front[1] / front[0] == pytest.approx(2.0, abs=2.0 / front[0])


def test_blood_levels_are_five_to_ten_times_lower_in_solid_tumours():
    """Equal doses, peak and area under the curve of 90 days (the published ratio; presets of 36 and 240 cells/µL)."""
    found = {}
    for name in ("human_solid", "human_leukaemia"):
        change = library.BLOOD[name]["processes"]["blood_kinetics"]
        names = ("car_t_plasma", "car_t_plasma_memory", "systemic_antigen", "car_t_exposure")
        species = {n: tme.Species(kind="compartment", negligible=1e-3) for n in names}
        species["systemic_antigen"] = tme.Species(1.0, kind="compartment", negligible=1e-3)
        species["car_t_plasma"] = tme.Species(36.0 / 3900, kind="compartment", negligible=1e-3)
        processes = {"blood": BloodKinetics(**change), "exposure": CarTExposure()}
        model = tme.Model(tme.Grid.line(10.0, 2), species, processes)
        solution = tme.simulate(tme.Scenario(model, until=90 * day), save=tme.every(6.0), precision="f64")
        found[name] = (solution.fields["car_t_plasma"].max(), solution.fields["car_t_exposure"][-1])
    for solid, leukaemia in zip(found["human_solid"], found["human_leukaemia"], strict=True):
        assert 5.0 < leukaemia / solid < 10.0


def test_forced_curve_is_that_of_stein():
    """Copies/µg at days 2 to 365; the handbook's values of the published fit, printed to 0.14 % or better."""
    process = ForcedBloodKinetics(peak=24000.0)
    days = np.array([2, 5, 14, 21, 28, 60, 100, 365.0])
    wanted = [36.4, 524.6, 11412, 3845, 1374, 168.4, 141.9, 60.7]
    np.testing.assert_allclose(sum(np.asarray(c) for c in process.curve(days * day)), wanted, rtol=2e-3)
    assert not np.any(np.asarray(ForcedBloodKinetics(start=48.0).curve(24.0)))


def test_presets_name_numbers_that_exist():
    known = {**REGISTRY, **OPTIONAL}
    for sets in library.PRESETS.values():
        for label, values in sets.items():
            for name, value in values.items():
                if name != "processes":
                    assert hasattr(library.SolidTumour(**{name: value}), name), label
            for name, change in values.get("processes", {}).items():
                if name in known:
                    known[name](**{k: v for k, v in change.items() if k != "enabled"})


def test_presets_fill_what_is_not_given():
    grid = tme.Grid.line(800.0, 16)
    options = {"tumour": "pdac", "scale": "mouse", "carrier": "plga"}
    model = library.solid_tumour(grid, radius=220.0, milieu=("cytokine_release",), **options)
    assert float(model.processes["blood_kinetics"].peak) == 2400.0
    assert float(model.processes["cytokine_release"].volume) == 1e-3
    assert float(np.max(model.tissue["particle_diameter"])) == 120.0
    given = {"growth": {"rate": 0.03}, "cytokine_release": {"volume": 0.5}}
    own = library.solid_tumour(grid, radius=220.0, collagen_tumour=0.01, processes=given, **options)
    assert float(own.processes["growth"].rate) == 0.03 and float(own.processes["cytokine_release"].volume) == 0.5
    assert float(own.processes["cytokine_release"].tumour_volume) == 200.0
    bare = library.solid_tumour(grid, radius=220.0, **options)
    assert "cytokine_release" not in bare.processes
    with pytest.raises(ValueError, match="Did you mean 'melanoma'"):
        library.solid_tumour(grid, tumour="melanom")
