"""Rows about therapies: V18 to V23. A quantity in ``not_yet`` waits for its measurement: replace it by a ``Check``."""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde.model import System
from tmepde.schedule import Clock
from validation import stroma_runs
from validation import test_therapies_immunity as immunity
from validation import test_therapies_metabolism as metabolism
from validation import test_therapies_systemic as systemic
from validation.row import Check, row


@row(
    "V18",
    "MnO₂ particles raise oxygen by what peroxide production allows, and pH",
    "Prasad et al. 2014 ACS Nano (+45 %, pH 6.7 → 7.2)",
)
def mno2() -> Iterator[Check]:
    found = metabolism.v18()
    for hours, gain in zip(found["hours"], found["gain"], strict=True):
        yield Check(f"oxygen gain after {hours:g} h, production calibrated to 0.45", (0.3, 0.6), gain, rule="between")
    yield Check("oxygen gain without production", 0.0, max(abs(found["barren"])), 1e-3, rule="absolute")
    yield Check("gain left 64 s after production stops", 0.01, metabolism.loss_of_gain()[-1], rule="at most")
    before, after = found["ph"]
    yield Check("pH before", 6.7, before[1], 0.1, rule="absolute")
    yield Check("pH 6 h after", 7.2, after[1], 0.1, rule="absolute")


@row("V19", "IL-15 in a backpack against free IL-15", "Tang et al. 2018 Nat. Biotechnol.")
def backpack() -> Iterator[Check]:
    found = systemic.v19()
    yield Check("T cells in the tumour at equal exposure, over free", (8.0, 32.0), found["fold"], rule="between")
    yield Check("dose of equal exposure at least 8 times", True, found["dose_ratio"] >= 8.0, rule="holds")
    yield Check("that dose, backpack over free", (8.0, 1e3), found["dose_ratio"], rule="between")


@row("V20", "Lymph-node-like scaffold; PAK4 inhibitor with CAR-T cells", "PMC10911814; Ma et al. 2021 Nat. Cancer")
def scaffold() -> Iterator[Check]:
    found = systemic.v20()
    yield Check("expansion by the scaffold in vivo", (7.5, 30.0), found["expansion"], rule="between")
    yield Check("cells inside at day 30 over those seeded", (0.5, 30.0), found["left_at_30"], rule="between")
    growth = stroma_runs.pak4()["growth"]
    ratio = (1.0 + growth["with"]) / (1.0 + growth["alone"])
    yield Check(
        "tumour five days after CAR-T cells, with a PAK4 inhibitor over without (sign)", 1.0, ratio, rule="at most"
    )


@row("V21", "Anti-VEGF: a best dose, sequence, additivity with stroma normalisation", "Mpekris et al. 2020 PNAS")
def anti_vegf() -> Iterator[Check]:
    found = {arm: one["antigen_positive_burden"] for arm, one in stroma_runs.v21().items()}
    doses = {"alone": 0.0, "before 300": 300.0, "before": 1000.0, "before 3000": 3000.0, "before 15000": 15000.0}
    best = min(doses, key=lambda arm: found[arm])
    yield Check(
        "best dose of anti-VEGF among 0 to 15000 nmol", (1.0, 14999.0), doses[best], unit="nmol", rule="between"
    )
    transfer = {arm: one["antigen_positive_burden"] for arm, one in stroma_runs.sequence().items()}
    yield Check(
        "burden, before over with, cells that arrive at once",
        1.0,
        transfer["before"] / transfer["with"],
        rule="at most",
    )
    gains = {arm: found["alone"] - found[arm] for arm in ("before", "enzyme", "both")}
    together = gains["both"] / (gains["before"] + gains["enzyme"])
    yield Check("gain of hyaluronidase and anti-VEGF together over their sum", (0.8, 1.25), together, rule="between")


def _spares_killing() -> bool:
    """Kills per CAR-T cell at one state, with and without the enzyme on them: the same to the last bit."""
    plan = {"ph20": tme.EnzymeCarT(), "heparanase": tme.EnzymeCarT(substrate="collagen")}
    model = tme.library.solid_tumour(tme.Grid.line(400.0, 8), therapies=plan)
    clock = Clock(*(jnp.asarray(v) for v in (1.0, 0.0, 0.0, 1.0)))
    found = []
    for interventions in ({}, plan):
        system = System(model, interventions)
        state = {n: u + 100.0 for n, u in system.initial_state(jnp.float64).items()}
        terms = system.coefficients(clock, state)
        found.append((terms.loss["tumour"], terms.source["ifn_gamma"]))
    return all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


@row("V22", "CAR-T cells that carry PH20 or heparanase", "Caruana et al. 2015 Nat. Med.; Zhao et al. 2021")
def matrix_degrading_cells() -> Iterator[Check]:
    found = stroma_runs.v22()
    dense, bare = (
        {arm: one["infiltration_depth"] for arm, one in found[place].items()} for place in ("matrix", "bare")
    )
    for arm in ("ph20", "heparanase"):
        yield Check(
            f"depth of infiltration over that of plain cells, {arm}",
            (1.02, 10.0),
            dense[arm] / dense["plain"],
            rule="between",
        )
        yield Check(f"the same without matrix, {arm}", 1.0, bare[arm] / bare["plain"], 1e-3)
    yield Check("killing rate law unchanged (contract: no target of killing)", True, _spares_killing(), rule="holds")


@row("V23", "FAP-CAR first; relapse by antigen loss; STING clears the loss", "Smith et al. 2017 JCI; handbook 25, 31")
def fap_first() -> Iterator[Check]:
    seen = immunity.v23_sting()
    yield Check("antigen-negative relapse under CAR-T cells alone", (1.0, 1e3), seen["alone"], rule="between")
    yield Check("antigen-negative cells left with STING", 1e-3, seen["sting"], rule="at most")
    yield Check("antigen-negative cells left by STING alone", (0.05, 1e3), seen["sting without CAR-T"], rule="between")
    arms = {name: one["tumour_burden"] for name, one in stroma_runs.v23_fap().items()}
    yield Check("burden, FAP-CAR first over simultaneous", 1.0, arms["first"] / arms["simultaneous"], rule="at most")
    yield Check("burden, FAP-CAR first over CAR-T alone", 1.0, arms["first"] / arms["alone"], rule="at most")
