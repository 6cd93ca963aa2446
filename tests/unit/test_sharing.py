"""Two entries of one therapy: what they bring is one amount, and acts once."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.scenario import mixtures
from tmepde.schedule import Clock


class Drug(tme.Intervention):
    """dP/dt = dose/V − k P slows growth by 1/(1 + P/K)."""

    dose: tme.Schedule
    elimination: Any = tme.param("1/h", doc="clearance", default=0.1, bounds=(0, 10))
    half: Any = tme.param("nM", doc="level that halves growth", default=1.0, bounds=(1e-3, 1e6))

    def species(self, grid):
        return {"level": tme.Species(kind="compartment", unit="nM", negligible=1e-6)}

    def kinetics(self, clock, state, tissue):
        return {"level.loss": self.elimination}

    def effects(self, clock, state, tissue):
        return tme.Effects(
            scale={"growth": 1 / (1 + state["level"] / self.half)}, add={"level.source": clock.rate(self.dose)}
        )


class Depot(tme.Intervention):
    """dN/dt = dose − r N, du/dt += r N: cells that wait and move over."""

    dose: tme.Schedule
    release: Any = tme.param("1/h", doc="cells that leave", default=0.2, bounds=(0, 10))

    def species(self, grid):
        return {"waiting": tme.Species(kind="compartment", negligible=1e-6)}

    def kinetics(self, clock, state, tissue):
        return {"waiting.loss": self.release}

    def effects(self, clock, state, tissue):
        return tme.Effects(add={"waiting.source": clock.rate(self.dose), "u.source": self.release * state["waiting"]})


def model(growth=0.05):
    rate = tme.process(lambda clock, state, tissue: {"u.source": tissue["growth"] * state["u"]})
    return tme.Model(tme.Grid.point(), {"u": tme.Species(1.0, kind="local")}, {"growth": rate}, {"growth": growth})


def end(plan, growth=0.05, **changes):
    scenario = tme.Scenario(model(growth), plan, until=24.0)
    for path, value in changes.items():
        scenario = scenario.replace("interventions." + path.replace("__", "."), value)
    found = tme.simulate(scenario, control=tme.StepControl(rtol=1e-6), precision="f64").fields
    return {n: float(np.ravel(u[-1])[0]) for n, u in found.items()}


def drug(amount, **keys):
    return Drug(dose=tme.Bolus(1.0, amount), **keys)


@pytest.fixture(scope="module")
def once():
    return end({"a": drug(4.0)})


@pytest.mark.parametrize("amounts", [(2.0, 2.0), (4.0, 0.0), (1.0, 3.0)])
def test_a_dose_in_two_entries_is_that_dose(once, amounts):
    twice = end({"a": drug(amounts[0]), "b": drug(amounts[1])})
    assert twice["level"] == pytest.approx(once["level"], rel=1e-6)
    assert twice["u"] == pytest.approx(once["u"], rel=1e-6)
    assert once["u"] < 0.9 * end({"a": drug(0.0)})["u"]


def test_half_strength_is_half_a_dose():
    half, whole = end({"a": drug(4.0)}, a__strength=0.5), end({"a": drug(2.0)})
    assert half == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("on, off", [("slow", "fast"), ("fast", "slow")])
def test_of_two_regimens_the_one_that_is_given_counts_by_its_own_numbers(on, off):
    numbers = {"slow": {"elimination": 0.02, "half": 3.0}, "fast": {"elimination": 1.0, "half": 0.2}}
    plan = {name: drug(4.0, **keys) for name, keys in numbers.items()}
    found = end(plan, **{f"{off}__strength": 0.0})
    assert found == pytest.approx(end({on: plan[on]}), rel=1e-9)
    assert found["level"] == pytest.approx(4.0 * np.exp(-numbers[on]["elimination"] * 23.0), rel=2e-2)


def test_diffusivity_is_that_of_the_entry_which_is_given():
    plan = {
        name: tme.CheckpointBlockade(dose=tme.Bolus(0.0, 1.0), diffusivity=value)
        for name, value in {"a": 1.0, "b": 5e4}.items()
    }
    scenario = tme.Scenario(tme.library.solid_tumour(tme.Grid.line(800.0, 8), radius=200.0), plan)
    for on, wanted in {"a": 1.0, "b": 5e4}.items():
        assert float(scenario.only([on]).system.species["pd1_antibody"].diffusivity) == wanted


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_cells_that_leave_a_depot_arrive(strength):
    plan = {name: Depot(dose=tme.Bolus(0.5, 1e3)) for name in ("a", "b")}
    found = end(plan, growth=0.0, a__strength=strength)
    assert found["u"] + found["waiting"] == pytest.approx(1.0 + 1e3 * (1.0 + strength), rel=1e-5)
    assert found["u"] > 500.0


def test_entries_that_differ_and_are_given_together_are_told_of():
    plan = {"a": drug(1.0), "b": drug(1.0, elimination=0.5)}
    scenario = tme.Scenario(model(), plan, until=1.0)
    (told,) = mixtures(scenario)
    assert "'a' and 'b'" in told and "`elimination`" in told and "level" in told and "`half`" not in told
    assert mixtures(scenario.only(["a"])) == []
    assert mixtures(tme.Scenario(model(), {"a": drug(1.0), "b": drug(3.0)}, until=1.0)) == []
    with pytest.warns(UserWarning, match="means of their numbers"):
        tme.simulate(scenario)


def test_one_name_for_two_kinds_of_thing_is_refused():
    class Other(Drug):
        def species(self, grid):
            return {"level": tme.Species(kind="local", unit="nM")}

    with pytest.raises(ValueError, match=r"'a' and 'b' both bring the species 'level'.*two names"):
        tme.Scenario(model(), {"a": drug(1.0), "b": Other(dose=tme.Bolus(1.0, 1.0))}, until=1.0)


def test_two_drugs_of_one_action_multiply():
    """Only what is the same is taken together."""

    class Second(Drug):
        def species(self, grid):
            return {"second": tme.Species(kind="compartment", unit="nM", negligible=1e-6)}

        def kinetics(self, clock, state, tissue):
            return {"second.loss": self.elimination}

        def effects(self, clock, state, tissue):
            return tme.Effects(scale={"growth": 1 / (1 + state["second"] / self.half)})

    scenario = tme.Scenario(model(), {"a": drug(1.0), "b": Second(dose=tme.Bolus(1.0, 1.0))}, until=1.0)
    clock = Clock(*(jnp.asarray(x, float) for x in (0.0, 0.0, 0.0, 1e-3)))
    tissue, _ = scenario.system.tissue(clock, {"u": jnp.ones(1), "level": jnp.asarray(1.0), "second": jnp.asarray(3.0)})
    assert float(tissue["growth"]) == pytest.approx(0.05 / 2 / 4)


LATER = tme.Bolus(1e3, 1.0)
#: therapies that act by way of species of the model, and what of these is there
THROUGH: dict = {
    "manganese": tme.OxygenGenerator(dose=LATER),
    "catalase": tme.OxygenGenerator(dose=LATER, catalyst="catalase"),
    "enzyme": tme.HyaluronidaseParticle(dose=LATER),
    "carrier": tme.DrugCarrier(dose=LATER),
    "cytotoxic": tme.DrugCarrier(dose=LATER, drug="cytotoxic"),
    "cargo": tme.TgfBetaInhibitor(dose=LATER, carrier="nanoparticle"),
    "virus": tme.OncolyticVirus(dose=LATER, antigen="delivered"),
    "armour": tme.CellInfusion(dose=LATER, armour=tme.Secretes(chemokine=3.0)),
}
THERE = {"nanoparticle": 3.0, "nanoparticle_bound": 2.0, "payload": 50.0, "tumour_infected": 1e4, "car_t": 1e3}


@pytest.fixture(scope="module")
def tumour():
    return tme.library.solid_tumour(tme.Grid.radial(800.0, 4), radius=400.0, milieu=["viral_infection"])


def rates(model, plan, **strengths):
    """Every source and loss rate at one instant, by name."""
    scenario = tme.Scenario(model, plan, until=1.0)
    for name, value in strengths.items():
        scenario = scenario.replace(f"interventions.{name}.strength", value)
    state = scenario.system.initial_state(jnp.float32)
    state |= {n: jnp.full_like(state[n], value) for n, value in THERE.items()}
    clock = Clock(*(jnp.asarray(x, jnp.float32) for x in (0.0, 0.0, 0.0, 1e-3)))
    found = scenario.system.coefficients(clock, state)
    parts = {"source": found.source, "loss": found.loss}
    return {f"{n}.{c}": np.asarray(v) for c, terms in parts.items() for n, v in terms.items() if n in model.species}


@pytest.mark.parametrize("kind", THROUGH)
def test_what_acts_by_way_of_the_model_acts_once(tumour, kind):
    """Two entries turned over twice the peroxide that is made, and twice the contact of a virus made rates negative."""
    one, none = rates(tumour, {"a": THROUGH[kind]}), rates(tumour, {})
    for name, value in rates(tumour, {"a": THROUGH[kind], "b": THROUGH[kind]}).items():
        np.testing.assert_allclose(value, one[name], rtol=1e-5, err_msg=name)
    for name, value in rates(tumour, {"a": THROUGH[kind]}, a=0.5).items():
        np.testing.assert_allclose(value, one[name], rtol=1e-5, err_msg=name)
    for name, value in rates(tumour, {"a": THROUGH[kind]}, a=0.0).items():
        np.testing.assert_array_equal(value, none.get(name, 0.0 * value), err_msg=name)
    assert any(not np.allclose(value, none.get(n, 0.0), rtol=1e-3) for n, value in one.items())


def test_two_catalysts_share_the_particles(tumour):
    """Each turned over all the peroxide that is made, together twice of it."""
    kinds = {"a": THROUGH["manganese"], "b": THROUGH["catalase"]}
    none, both = rates(tumour, {}), rates(tumour, kinds)
    alone = [rates(tumour, {n: one}) for n, one in kinds.items()]
    for name in ("oxygen.source", "nanoparticle.loss", "nanoparticle_bound.loss"):
        np.testing.assert_allclose(both[name], sum(one[name] for one in alone) / 2, rtol=1e-5, err_msg=name)
    assert np.all(alone[0]["oxygen.source"] > both["oxygen.source"])
    np.testing.assert_array_equal(rates(tumour, kinds, a=0.0)["oxygen.source"], alone[1]["oxygen.source"])
    assert np.all(alone[1]["oxygen.source"][:2] > none["oxygen.source"][:2])
    (text,) = mixtures(tme.Scenario(tumour, kinds, until=1.0))
    assert "`catalyst`" in text


def test_choices_and_parts_that_differ_are_told_of(tumour):
    def told(one, other):
        return mixtures(tme.Scenario(tumour, {"a": one, "b": other}, until=1.0))

    armed = tme.CellInfusion(dose=LATER, armour=tme.Secretes(growth_factor=3.0), blood_volume=2e-3)
    (text,) = told(THROUGH["armour"], armed)
    assert "act by the same (car_t)" in text and "`armour.chemokine`, `armour.growth_factor`:" in text
    assert told(THROUGH["carrier"], THROUGH["cytotoxic"]) == []  # two drugs
    assert told(*(tme.OxygenGenerator(dose=LATER, site=[x], route="intratumoral") for x in (0.0, 90.0))) == []
    (text,) = told(*(tme.CellScaffold(dose=LATER, site=[x]) for x in (0.0, 90.0)))  # whose cells go half and half
    assert "`site`" in text
