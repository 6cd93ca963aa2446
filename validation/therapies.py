"""Rows about therapies: V18 to V23. A quantity in ``not_yet`` waits for its measurement: replace it by a ``Check``."""

from __future__ import annotations

from collections.abc import Iterator

import tmepde as tme
from tmepde import observables
from tmepde.units import day
from validation.row import Check, not_yet, row


def _particles() -> tme.Scenario:
    model = tme.library.solid_tumour(tme.Grid.radial(1500.0, 100), radius=600.0, processes={"growth": {"rate": 0.012}})
    dose = tme.Bolus(10 * day, 1e-2)
    plan = {"particles": tme.OxygenGenerator(dose=dose, route="intratumoral", site=[0.0], width=300.0)}
    seen = {"mean_oxygen": observables.standard()["mean_oxygen"]}
    return tme.Scenario(model, plan, until=10.25 * day, observables=seen)


def _gain(scenario: tme.Scenario) -> float:
    """Mean oxygen of the nests six hours after the particles, over that without them."""
    arms = tme.run_arms(scenario, {"with": ["particles"], "without": []}, save=[10.25 * day], precision="f64")
    return float(arms["with"].observables["mean_oxygen"][-1] / arms["without"].observables["mean_oxygen"][-1])


@row(
    "V18",
    "MnO₂ particles raise oxygen by what peroxide production allows, and pH",
    "Prasad et al. 2014 ACS Nano (+45 %, pH 6.7 → 7.2)",
)
def mno2() -> Iterator[Check]:
    scenario = _particles()
    yield Check("oxygen gain after 6 h, production calibrated to 1.45", (1.3, 1.6), _gain(scenario), rule="between")
    barren = scenario.replace("model.processes.peroxide_production.rate", 0.0)
    yield Check("oxygen gain without production", 1.0, _gain(barren), 1e-3)  # the tolerance of a step
    yield from not_yet("pH before", "pH after")


@row("V19", "IL-15 in a backpack against free IL-15", "Tang et al. 2018 Nat. Biotechnol.")
def backpack() -> Iterator[Check]:
    yield from not_yet("T cells in the tumour, backpack over free", "tolerated dose at equal plasma IL-15")


@row("V20", "Lymph-node-like scaffold; PAK4 inhibitor with CAR-T cells", "PMC10911814; Ma et al. 2021 Nat. Cancer")
def scaffold() -> Iterator[Check]:
    yield from not_yet(
        "expansion by the scaffold in vivo", "persistence (days)", "growth at day 5, PAK4i with CAR-T over CAR-T alone"
    )


@row("V21", "Anti-VEGF: a best dose, sequence, additivity with stroma normalisation", "Mpekris et al. 2020 PNAS")
def anti_vegf() -> Iterator[Check]:
    yield from not_yet(
        "kill has an interior maximum in the dose",
        "sequential is better than simultaneous",
        "depletion of hyaluronan or fibroblasts adds to it",
    )


@row("V22", "CAR-T cells that carry PH20 or heparanase", "Caruana et al. 2015 Nat. Med.; Zhao et al. 2021")
def matrix_degrading_cells() -> Iterator[Check]:
    yield from not_yet("infiltration is deeper where there is matrix", "no effect without matrix", "killing unchanged")


@row("V23", "FAP-CAR first; relapse by antigen loss; STING clears the loss", "Smith et al. 2017 JCI; handbook 25, 31")
def fap_first() -> Iterator[Check]:
    yield from not_yet(
        "FAP-CAR first is better than simultaneous", "antigen-negative relapse", "the STING arm clears both classes"
    )
