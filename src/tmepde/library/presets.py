"""Named sets of values. A value that is given explicitly wins over its preset.

A set holds parameters of :class:`~tmepde.library.solid_tumour.SolidTumour`, and below ``processes`` those of processes.
An optional process takes them where it is carried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tmepde._arguments import word
from tmepde.coefficients import unknown
from tmepde.library.carriers import CARRIERS
from tmepde.library.tumours import TUMOURS

#: character of the stroma (assumed)
STROMA: dict[str, dict[str, Any]] = {
    # handbook 2.9: collagen and hyaluronan 0.15 in the tumour, 0.5 in a capsule, vessels that hold T cells badly
    "excluded": {},
    # pancreas-like: twice the matrix, a wider capsule (collagen 0.12, SPQSP PDAC)
    "desmoplastic": {
        "collagen_tumour": 0.12,
        "hyaluronan_tumour": 0.18,
        "collagen_host": 0.06,
        "hyaluronan_host": 0.06,
        "capsule_width": 90.0,
    },
    # no capsule, vessels that let T cells in
    "inflamed": {
        "collagen_capsule": 0.06,
        "hyaluronan_capsule": 0.04,
        "hyaluronan_tumour": 0.04,
        "capsule_barrier": 0.0,
        "adhesion_tumour": 0.6,
    },
}

#: by patient: Stein's 24000 copies/µg × 0.01 cells/µL per copy/µg, 0.15 of it in solid tumours (blood levels are 5–10
#: times lower); ten times it in mice (handbook 2.9). ``"forced"`` imposes Stein's curve, whatever is infused
BLOOD: dict[str, dict[str, Any]] = {
    "human_solid": {"processes": {"blood_kinetics": {"peak": 36.0}}},
    "human_leukaemia": {"processes": {"blood_kinetics": {"peak": 240.0}}},
    "mouse": {"processes": {"blood_kinetics": {"peak": 2400.0}}},
    "forced": {
        "processes": {
            "blood_kinetics": {"enabled": False},
            "forced_blood_kinetics": {"enabled": True, "follow": 50.0, "peak": 36.0},
        }
    },
}

#: litres of plasma and of blood (physiology); therapies take them as ``volume`` and ``blood_volume``
VOLUMES = {"human": {"plasma": 3.0, "blood": 5.0}, "mouse": {"plasma": 1e-3, "blood": 2e-3}}

#: what differs between species of host: volumes, blood levels, the tumour for which the tissue stands (mm³, assumed)
SCALE: dict[str, dict[str, Any]] = {
    "human": {},
    "mouse": {
        "processes": {
            "blood_kinetics": {"peak": 2400.0},
            "forced_blood_kinetics": {"peak": 2400.0},
            "cytokine_release": {"volume": 1e-3, "blood_volume": 2e-3, "tumour_volume": 200.0},
            "growth_factor_plasma": {"volume": 1e-3, "tumour_volume": 200.0},
            "il12_kinetics": {"volume": 1e-3, "tumour_volume": 200.0},
            "host_t_cells": {"level": 2000.0},
        }
    },
}

#: presets by option of the model, weakest first
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "stroma": STROMA,
    "tumour": TUMOURS,
    "blood": BLOOD,
    "scale": SCALE,
    "carrier": CARRIERS,
}


def chosen_presets(**chosen: str) -> dict[str, Any]:
    """The values of one preset of each option together; where two say something of a number, the later option wins.

    Raises:
        ValueError: for an unknown preset, with the nearest valid name.
    """
    found: dict[str, Any] = {}
    below: dict[str, dict[str, Any]] = {}
    for option, sets in PRESETS.items():
        if word(option, chosen[option]) not in sets:
            raise ValueError(unknown(f"{option} preset", chosen[option], sets))
        values: Mapping[str, Any] = sets[chosen[option]]
        found |= {k: v for k, v in values.items() if k != "processes"}
        for process, change in values.get("processes", {}).items():
            below[process] = {**below.get(process, {}), **change}
    return {**found, "processes": below}
