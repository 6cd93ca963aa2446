"""Antigen-negative relapse and what cures it; adaptive resistance by PD-L1; a virus and the interferon against it.

Row V23 of the validation table (second half): with a tenth of the tumour antigen-negative, CAR-T cells alone leave a
relapse of antigen-negative cells, and a STING agonist beside them clears it (Smith 2017).
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde import observables
from tmepde.units import day

pytestmark = pytest.mark.validation

_VIRUS = [8 * day, 11 * day, 14 * day, 17 * day, 20 * day]


@pytest.fixture(autouse=True)
def _double() -> None:
    jax.config.update("jax_enable_x64", True)


def scenario(negative: float = 0.1, **changes: Any) -> tme.Scenario:
    """A round tumour of 0.8 mm, open to T cells, with blood levels of a mouse; six weeks, five therapies.

    ``negative`` is the share of cells without antigen; ``changes`` are numbers of processes.
    """
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 6.7e9), armour=tme.Secretes(growth_factor=10.0)),
        "blockade": tme.CheckpointBlockade(dose=tme.Course(start=1 * day, every=7 * day, doses=6, amount=1400.0)),
        "sting": tme.StingAgonist(dose=tme.Continuous(rate=5e-4, start=4 * day, stop=32 * day), width=300.0),
        "tnf": tme.TnfCarT(),
        "virus": tme.OncolyticVirus(dose=tme.Bolus(_VIRUS, 1e6), antigen="delivered", width=200.0),
    }
    processes: dict[str, Any] = {"growth": {"rate": 0.012}, "viral_infection": {"interferon_half": 5.0}}
    for name, numbers in changes.items():
        processes[name] = {**processes.get(name, {}), **numbers}
    model = tme.library.solid_tumour(
        tme.Grid.radial(1000.0, 50),
        radius=400.0,
        stroma="inflamed",
        blood="mouse",
        antigen_negative=negative,
        therapies=plan,
        processes=processes,
    )
    return tme.Scenario(model, plan, until=42 * day, observables=observables.standard())


def burdens(arms: dict[str, list[str]], **changes: Any) -> dict[str, dict[str, Any]]:
    """By arm, C₊ and C₋ of every third day relative to all tumour cells at the start."""
    found = tme.run_arms(scenario(**changes), arms, save=tme.every(3 * day), precision="f64")
    seen = {name: solution.observables for name, solution in found.items()}
    return {
        name: {
            sign: np.asarray(one[f"antigen_{sign}_burden"]) / float(one["tumour_burden"][0])
            for sign in ("positive", "negative")
        }
        for name, one in seen.items()
    }


def v23_sting() -> dict[str, float]:
    """C₋ after six weeks over all tumour cells at the start: CAR-T cells alone, and with each arm against relapse."""
    on = {"alone": [], "sting": ["sting"], "bystander": ["tnf"], "virus": ["virus"]}
    found = burdens({name: ["car_t", *more] for name, more in on.items()} | {"sting without CAR-T": ["sting"]})
    return {name: float(one["negative"][-1]) for name, one in found.items()}


def adaptive_resistance() -> dict[str, float]:
    """C₊ at day 12 relative to the start: no induction of PD-L1 by IFN-γ, the 6-fold one, and that with a blockade."""
    fixed = burdens({"fixed": ["car_t"]}, checkpoint_engagement={"induction": 1.0})
    free = burdens({"adaptive": ["car_t"], "blocked": ["car_t", "blockade"]})
    return {name: float(one["positive"][4]) for name, one in (fixed | free).items()}


def virus_against_interferon() -> dict[str, float]:
    """Least burden, all C₋ at the start, of virus alone and with CAR-T cells: guarded by IFN-γ (0.05 nM) or not (5)."""
    found = {}
    for label, half in (("guarded", 0.05), ("unguarded", 5.0)):
        numbers = {"interferon_half": half, "infection": 2e-7}
        arms = burdens({"alone": ["virus"], "both": ["virus", "car_t"]}, negative=1.0, viral_infection=numbers)
        found |= {f"{label}, {arm}": float(np.min(one["positive"] + one["negative"])) for arm, one in arms.items()}
    return found


def test_v23_sting_clears_antigen_negative_cells() -> None:
    """Only arms that reach C₋ stop the relapse; below 1e-3 is fewer than 60 cells of 6e4."""
    seen = v23_sting()
    print(seen)
    assert seen["alone"] > 1.0
    assert seen["sting"] < 1e-3
    assert seen["bystander"] < 0.01 and seen["virus"] < 0.01
    assert seen["sting without CAR-T"] > 0.05


def test_interferon_makes_its_own_resistance() -> None:
    seen = adaptive_resistance()
    print(seen)
    assert seen["adaptive"] > 2.0 * seen["fixed"]
    assert seen["blocked"] < 0.5 * seen["adaptive"]


def test_interferon_decides_whether_car_t_cells_help_or_hinder_a_virus() -> None:
    seen = virus_against_interferon()
    print(seen)
    assert seen["guarded, both"] > seen["guarded, alone"]
    assert seen["unguarded, both"] < 0.5 * seen["unguarded, alone"]
