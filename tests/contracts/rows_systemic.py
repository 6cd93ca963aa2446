"""Direction and null of cytokine support and of what is given against toxicity; see ``test_substrates.py``."""

from __future__ import annotations

import tmepde as tme

_NO_IL6 = {"il6_plasma": 0.0, "cytokine_release.il6_baseline": 0.0, "cytokine_release.il6_production": 0.0}
_NO_IL1 = {"cytokine_release.il1_production": 0.0}
_NO_T_CELLS = {"car_t": 0.0, "car_t_exhausted": 0.0, "car_t_plasma": 0.0}
_NO_VESSELS = {"vessel_surface": 0.0, "vessel_base": 0.0}


def _once(amount: float) -> tme.Infusion:
    return tme.Infusion(0.5, amount, 1.0)


def _signal(fields, model):
    """IL-6 that receptors see, pg/mL."""
    return float(fields["il6_plasma"] / (1.0 + fields["tocilizumab_plasma"] / 2.5))


PLAN = {
    "anakinra": tme.Anakinra(dose=tme.Infusion(0.5, 2e4, 23.5)),
    "corticosteroid": tme.Corticosteroid(dose=_once(25500.0)),
    "cytokine_backpack": tme.CytokineBackpack(dose=_once(900.0), engraftment=0.1, basal=0.0, leak=0.0),
    "cytokine_scavenger": tme.CytokineScavenger(dose=_once(900.0)),
    "free_cytokine": tme.FreeCytokine(dose=_once(900.0)),
    "tocilizumab": tme.Tocilizumab(dose=_once(3800.0)),
}
START = {"car_t_plasma": 30.0}
OPTIONS: dict = {}

ROWS = {
    "anakinra": {"moves": "il6_plasma", "sign": -1, "without": _NO_IL1},
    # IL-6 at rest is none of its business, nor are the cells of the tumour
    "corticosteroid": {"moves": "il6_plasma", "sign": -1, "without": _NO_T_CELLS},
    # with neither leak nor release at rest the load stays on cells that meet no antigen
    "cytokine_backpack": {
        "moves": "growth_factor",
        "sign": 1,
        "without": {"tumour": 0.0, "systemic_antigen": 0.0},
    },
    "cytokine_scavenger": {"moves": "il6_plasma", "sign": -1, "without": {**_NO_IL6, **_NO_IL1}},
    "free_cytokine": {
        "moves": "growth_factor",
        "sign": 1,
        "without": _NO_VESSELS,
        "given": ("growth_factor_plasma", "growth_factor_plasma_exposure"),
    },
    "tocilizumab": {"moves": _signal, "sign": -1, "without": _NO_IL6},
}
