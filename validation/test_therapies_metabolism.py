"""What is published about oxygen, acid and kynurenine, and what the model makes of it: plain functions, then tests.

Rates at one instant are read from the coefficients of the model; everything else is a run.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.model import System
from tmepde.observables import NestMean, standard
from tmepde.schedule import Clock
from tmepde.units import day, second

pytestmark = pytest.mark.validation
#: pO₂ of culture in air (20 %) and in 1 % oxygen, mmHg
AIR, HYPOXIA = 142.0, 7.6
NODULE = tme.Grid.radial(1500.0, 60)


@pytest.fixture(autouse=True)
def _double() -> Any:
    with jax.enable_x64(True):
        yield


def culture(milieu: Any = "core") -> Any:
    """Tumour and CAR-T cells side by side as in a dish: ``rates(**state) → division, IFN-γ, kills`` per hour."""
    model = tme.library.solid_tumour(tme.Grid.line(40.0, 2), radius=100.0, milieu=milieu)
    system = System(model, {})
    start = system.initial_state(jnp.float64)
    clock = Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))
    dish = {"car_t": 1e3, "tumour": 2e5, "tumour_negative": 0.0, "growth_factor": 10.0, "tgf_beta": 0.0, "oxygen": AIR}

    @jax.jit
    def rates(changes: Any) -> Any:
        given = {**dish, **changes}
        state = {k: jnp.full_like(v, given[k]) if k in given else v for k, v in start.items()}
        found = system.coefficients(clock, state)
        untouched = system.coefficients(clock, {**state, "car_t": jnp.zeros_like(state["car_t"])})
        kills = found.loss["tumour"] - untouched.loss["tumour"]
        return jnp.stack([found.source["car_t"][0], found.source["ifn_gamma"][0], kills[0]])

    return lambda **changes: np.asarray(rates({k: jnp.asarray(v, float) for k, v in changes.items()}))


def hypoxia(oxygen: Any = (HYPOXIA,)) -> np.ndarray:
    """(division, secretion, killing) relative to air, one row per pO₂ (Berahovich 2019)."""
    rates = culture()
    air = rates(oxygen=AIR)
    return np.stack([rates(oxygen=o) / air for o in oxygen])


def expansion(oxygen: float, days: float = 7.0) -> float:
    """Fold expansion of a culture on antigen, death at 0.1 per day."""
    return float(np.exp((culture()(oxygen=oxygen)[0] / 1e3 - 0.1 / 24) * 24 * days))


def acid(lactate: Any = (20.0,), neutralised: bool = False) -> np.ndarray:
    """(division, secretion, killing) relative to 1 mM lactate, in lactic acid or in its salt (Fischer, Mendler)."""
    rates = culture("metabolism")
    still = {"glucose": 5.0, "acid_memory": 0.0, "nitric_oxide": 0.0, "arginine": 1e5, "adenosine": 0.0}
    fresh = rates(lactate=1.0, buffer_base=0.0, **still)
    base = [level - 1.0 if neutralised else 0.0 for level in lactate]
    return np.stack([rates(lactate=a, buffer_base=b, **still) / fresh for a, b in zip(lactate, base, strict=True)])


def recovery(lactate: float = 20.0, exposed: float = 48.0, hours: Any = (0.0, 6.0, 12.0, 24.0, 36.0)) -> np.ndarray:
    """Division, relative to fresh T cells, ``hours`` (from 0) after acid is taken away (Fischer 2007: a day)."""
    changes = {"glycolysis": {"plasma_lactate": lactate, "lactate_exchange": 1e4, "tumour": 0.0}}
    model = tme.library.solid_tumour(tme.Grid.line(40.0, 2), radius=100.0, milieu=("glycolysis",), processes=changes)
    scenario = tme.Scenario(model, until=max(exposed, max(hours)))
    held = tme.simulate(scenario, save=[exposed], precision="f64").fields["acid_memory"][-1, 0]
    free = scenario.replace("model.processes.glycolysis.plasma_lactate", 1.0)
    free = free.replace("model.species.acid_memory.initial", held)
    memory = tme.simulate(free, save=list(hours), precision="f64").fields["acid_memory"][: len(hours), 0]
    rates = culture(("glycolysis",))
    fresh = rates(glucose=5.0, lactate=1.0, acid_memory=0.0)[0]
    return np.array([rates(glucose=5.0, lactate=1.0, acid_memory=m)[0] / fresh for m in memory])


def _nodule(milieu: Any, plan: Any, until: float, **processes: Any) -> tme.Scenario:
    changes = {"growth": {"rate": 0.012}, **processes}
    model = tme.library.solid_tumour(NODULE, radius=600.0, milieu=milieu, therapies=plan, processes=changes)
    means = {n: NestMean(n, n, u) for n, u in (("acidity", "1"), ("kynurenine_signal", "nM"), ("car_t_division", "1"))}
    return tme.Scenario(model, plan, until=until, observables=standard() | means)


def _particles(catalyst: str = "manganese_dioxide") -> tme.OxygenGenerator:
    dose = tme.Bolus(10 * day, 1e-2)
    return tme.OxygenGenerator(dose=dose, route="intratumoral", site=[0.0], width=300.0, catalyst=catalyst)


def v18(hours: Any = (1.0, 6.0, 24.0)) -> dict[str, Any]:
    """V18, MnO₂ in a nodule of 1.2 mm (Prasad 2014: oxygen +45 %, pH 6.7 → 7.2).

    Returns:
        hours; oxygen without and with particles (mmHg) and their ratio − 1 as ``gain``; pH without and with;
        ``barren``, the gain where no peroxide is made; ``catalase``, the gain of catalase.
    """
    plan = {"particles": _particles()}
    scenario = _nodule(("glycolysis", "peroxide_kinetics"), plan, 11 * day)
    save = [10 * day + h for h in hours]

    def seen(scenario: Any, on: Any) -> Any:
        found = tme.run_arms(scenario, {"arm": on}, save=save, precision="f64")["arm"].observables
        return found["mean_oxygen"][1:], 7.4 - found["acidity"][1:]

    (base, acid_before), (treated, acid_after) = seen(scenario, []), seen(scenario, ["particles"])
    barren = scenario.replace("model.processes.peroxide_production.rate", 0.0)
    nothing = seen(barren, ["particles"])[0] / seen(barren, [])[0] - 1
    other = _nodule(("glycolysis", "peroxide_kinetics"), {"particles": _particles("catalase")}, 11 * day)
    return {
        "hours": np.asarray(hours),
        "oxygen": (base, treated),
        "gain": treated / base - 1,
        "ph": (acid_before, acid_after),
        "barren": nothing,
        "catalase": seen(other, ["particles"])[0] / base - 1,
    }


def loss_of_gain(seconds: Any = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)) -> np.ndarray:
    """Share of the gain in oxygen left after peroxide is no longer made; oxygen and peroxide as dynamic fields."""
    plan = {"particles": _particles()}
    scenario = _nodule(("glycolysis", "peroxide_kinetics"), plan, 10 * day + 0.05)  # before vessels respond
    model, fields = scenario.model, {}
    for label, on in (("with", ["particles"]), ("without", [])):
        arm = tme.run_arms(scenario, {"arm": on}, save=[10 * day + 0.05], precision="f64")["arm"]
        fields[label] = {k: v[-1] for k, v in arm.fields.items()}
    species = {}
    for name, one in model.species.items():
        kind = "transported" if name in ("oxygen", "peroxide") else one.kind
        species[name] = tme.Species(
            fields["with"][name], one.diffusivity, None, one.negligible, kind, one.unit, one.long_name
        )
    stopped = model.processes | {"peroxide_production": type(model.processes["peroxide_production"])(rate=0.0)}
    after = tme.Model(model.grid, species, stopped, model.tissue)
    late = tme.OxygenGenerator(dose=tme.Bolus(100.0, 1e-2), route="intratumoral", site=[0.0], width=300.0)
    until = max(seconds) * second
    run = tme.simulate(
        tme.Scenario(after, {"particles": late}, until=until),
        save=[s * second for s in seconds],
        precision="f64",
        control=tme.StepControl(rtol=1e-4),
    )
    nest = np.asarray(model.tissue["region_tumour"]) * np.asarray(model.grid.volumes())
    untreated = float(np.sum(nest * fields["without"]["oxygen"]))
    gain = [float(np.sum(nest * o)) / untreated - 1 for o in run.fields["oxygen"]]
    return np.array(gain[1:]) / gain[0]


def gel(amount: float = 20.0) -> dict[str, Any]:
    """Gain in oxygen (mmHg) around a slab of oxygen-giving gel inside a tumour, and the reach √(D/k) (µm).

    k is the supply by vessels and the slope of uptake, V K/(K + O)², at the oxygen of the untreated tissue.
    """
    grid = tme.Grid.line(2400.0, 240)
    plan = {"gel": tme.OxygenGel(dose=tme.Bolus(0.0, amount), width=30.0)}
    model = tme.library.solid_tumour(grid, radius=1150.0, stroma="inflamed")
    scenario = tme.Scenario(model, plan, until=0.5)
    arms = tme.run_arms(scenario, {"none": [], "gel": ["gel"]}, save=[0.5], precision="f64")
    before, after = (arms[n].fields["oxygen"][-1] for n in ("none", "gel"))
    middle = 119
    system, clock = System(model, {}), Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))
    state = {k: jnp.asarray(v[-1]) for k, v in arms["none"].fields.items()}

    def loss(oxygen: Any) -> Any:
        return system.coefficients(clock, {**state, "oxygen": oxygen}).loss["oxygen"] * oxygen

    _, slope = jax.jvp(loss, (state["oxygen"],), (jnp.ones_like(state["oxygen"]),))
    reach = float(np.sqrt(1750.0 * 3600.0 / slope[middle - 60]))
    return {"x": grid.centers(0) - 1200.0, "before": before, "gain": after - before, "reach": reach}


def decay_length(x: Any, gain: Any, start: float = 100.0, stop: float = 250.0) -> float:
    """The e-folding length of a gain between two distances from the gel."""
    there = (x > start) & (x < stop)
    return float(-1.0 / np.polyfit(x[there], np.log(gain[there]), 1)[0])


def oxygen_alone(days: Any = (7.0, 14.0, 21.0, 28.0)) -> dict[str, np.ndarray]:
    """Tumour cells relative to the start by arm: none, oxygen (+1.8 mmHg/s at first), CAR-T, both.

    Few vessels (50 mm/mm³, 0.245/s), so that the core is hypoxic.
    """
    plan = {
        "oxygen": tme.OxygenGel(dose=tme.Bolus(0.0, 2e3), site=[0.0], width=350.0, time=14 * day),
        "car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 1e8), armour=tme.Secretes(growth_factor=50.0)),
    }
    scenario = _nodule("core", plan, max(days) * day, oxygen_supply={"rate": 0.245 * 3600.0})
    arms = {"none": [], "oxygen": ["oxygen"], "car_t": ["car_t"], "both": ["oxygen", "car_t"]}
    found = tme.run_arms(scenario, arms, save=[d * day for d in days], precision="f64")
    return {n: s.observables["tumour_burden"][1:] / s.observables["tumour_burden"][0] for n, s in found.items()}


def ido_feedback(secretion: Any = (0.0, 3.0, 10.0, 30.0, 100.0)) -> dict[str, np.ndarray]:
    """Mean IFN-γ (nM), kynurenine (nM) and killing with and without an inhibitor, two days after local CAR-T cells."""
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 3e3), route="intratumoral", site=[0.0], width=250.0),
        "inhibitor": tme.IdoInhibitor(dose=tme.Continuous(2.3e5 / 12, 0.0, 48.0)),
    }
    scenario = _nodule(("tryptophan_catabolism",), plan, 48.0)
    names = ("mean_ifn_gamma", "kynurenine_signal", "tumour_burden")
    table: dict[str, list[float]] = {f"{n} {arm}": [] for n in names for arm in ("alone", "inhibited")}
    for q in secretion:
        variant = scenario.replace("model.processes.interferon_kinetics.secretion", q)
        arms = {"alone": ["car_t"], "inhibited": ["car_t", "inhibitor"]}
        for arm, run in tme.run_arms(variant, arms, save=[48.0], precision="f64").items():
            for n in names:
                table[f"{n} {arm}"].append(float(run.observables[n][-1]))
    return {k: np.array(v) for k, v in table.items()}


def test_hypoxia_cuts_expansion_and_cytokines_but_not_killing() -> None:
    """Berahovich 2019, 1 % oxygen: expansion much lower, cytokines lower, cytolysis comparable."""
    division, secretion, killing = hypoxia()[0]
    assert division < 0.6 and secretion < 0.6 and killing > 0.8
    assert expansion(HYPOXIA) < 0.1 * expansion(AIR)


def test_acid_not_lactate_disarms() -> None:
    """Fischer 2007: proliferation and cytokines −95 %, cytotoxicity −50 %; Mendler 2012: not at neutral pH."""
    division, secretion, killing = acid()[0]
    assert division < 0.1 and secretion < 0.1 and 0.45 < killing < 0.65
    np.testing.assert_allclose(acid(neutralised=True)[0], 1.0, rtol=1e-12)


def test_t_cells_recover_from_acid_within_a_day() -> None:
    found = recovery()
    assert found[0] < 0.2 and found[3] > 0.8 and np.all(np.diff(found) > 0)


def test_v18_manganese_dioxide() -> None:
    """Oxygen +30 to +60 %, pH 6.7 → 7.2 within 0.1, nothing without peroxide."""
    found = v18()
    print("V18 gain", found["gain"], "pH", found["ph"], "barren", found["barren"], "catalase", found["catalase"])
    assert np.all((found["gain"] > 0.3) & (found["gain"] < 0.6))
    assert found["ph"][0][1] == pytest.approx(6.7, abs=0.1) and found["ph"][1][1] == pytest.approx(7.2, abs=0.1)
    assert np.all(np.abs(found["barren"]) < 1e-3)  # the tolerance of a step
    gone = loss_of_gain()
    print("V18 gain left after 1, 2, 4, … 64 s without production", gone)
    assert gone[-1] < 0.01


def test_oxygen_gel_reaches_no_further_than_its_tissue_lets_it() -> None:
    found = gel(0.02)  # so little that uptake stays linear
    assert decay_length(found["x"], found["gain"]) == pytest.approx(found["reach"], rel=0.02)


def test_oxygen_alone_speeds_the_tumour() -> None:
    """Without T cells oxygen only feeds the tumour, most of all while the gel is fresh."""
    found = oxygen_alone()
    assert np.all(found["oxygen"] > 1.005 * found["none"]) and found["oxygen"][0] > 1.04 * found["none"][0]


def test_interferon_makes_kynurenine() -> None:
    found = ido_feedback()
    assert found["kynurenine_signal alone"][0] == 0.0
    assert np.all(np.diff(found["mean_ifn_gamma alone"]) > 0) and np.all(np.diff(found["kynurenine_signal alone"]) > 0)
    assert np.all(found["kynurenine_signal inhibited"][1:] < 0.2 * found["kynurenine_signal alone"][1:])
