"""Direction and null of particles, energy from outside and oxygen; see ``test_substrates.py``."""

from __future__ import annotations

import tmepde as tme

_PARTICLES = ("nanoparticle", "nanoparticle_bound", "nanoparticle_plasma")
_ANOXIA = {"oxygen_supply.vessel_oxygen": 0.0, "oxygen": 0.0}
_NO_TUMOUR = {"tumour": 0.0, "tumour_negative": 0.0}
_NO_CELLS = {**_NO_TUMOUR, "car_t": 0.0, "car_t_exhausted": 0.0, "car_t_plasma": 0.0}
_NO_VESSELS = {"vessel_surface": 0.0, "vessel_base": 0.0}
_LIGHT = tme.Infusion(3.0, 0.5, 1.0)


def _once(amount: float) -> tme.Infusion:
    return tme.Infusion(0.5, amount, 1.0)


def _place(fields, model):
    """Where on the line the free particles are on the mean, in µm."""
    (x,) = model.grid.coordinates()
    return float((fields["nanoparticle"] * x).sum() / fields["nanoparticle"].sum())


PLAN = {
    "drug_carrier": tme.DrugCarrier(dose=_once(3000.0), drug="cytotoxic", peroxide=0.2),
    "glycoengineering": tme.Glycoengineering(dose=_once(1e8)),
    "magnetic_guidance": tme.MagneticGuidance(dose=tme.Infusion(1.0, 20.0, 20.0)),
    "oxygen_carrier": tme.OxygenCarrier(dose=_once(12.0)),
    "oxygen_gel": tme.OxygenGel(dose=_once(2e4), site=[380.0], width=60.0),
    "photodynamic": tme.Photodynamic(dose=_once(300.0), energy=_LIGHT),
    "photothermal": tme.Photothermal(dose=_once(3000.0), light=_LIGHT),
    "radiotherapy": tme.Radiotherapy(dose=tme.Infusion(1.0, 2.0, 0.5)),
    "sonodynamic": tme.Sonodynamic(dose=_once(300.0), energy=_LIGHT),
    "targeted_carrier_antibody": tme.TargetedCarrier(ligand="antibody"),
    "targeted_carrier_folate": tme.TargetedCarrier(),
    "targeted_carrier_ganglioside": tme.TargetedCarrier(ligand="ganglioside"),
    "targeted_carrier_hyaluronic_acid": tme.TargetedCarrier(ligand="hyaluronic_acid"),
}
START = {"car_t_plasma": 30.0, "nanoparticle": 5.0}
OPTIONS: dict = {"processes": {"payload_release": {"rate": 0.0}}}

ROWS = {
    # peroxide is the trigger here; a model without acid_balance has no acid
    "drug_carrier": {
        "moves": "tumour",
        "sign": -1,
        "without": {"peroxide_production.rate": 0.0},
        "given": _PARTICLES,
    },
    "glycoengineering": {"moves": "nanoparticle_bound", "sign": 1, "without": _NO_TUMOUR},
    "magnetic_guidance": {"moves": _place, "sign": 1, "without": {"nanoparticle": 0.0}},
    "oxygen_carrier": {"moves": "oxygen", "sign": 1, "without": _NO_VESSELS},
    # oxygen acts through cells alone: where none are that live on it, nothing but oxygen moves
    "oxygen_gel": {"moves": "oxygen", "sign": 1, "without": _NO_CELLS, "given": ("oxygen",)},
    "photodynamic": {"moves": "tumour", "sign": -1, "without": _ANOXIA, "given": _PARTICLES},
    # light is on and particles are in blood, but none is in the tissue
    "photothermal": {
        "moves": "heat_response",
        "sign": 1,
        "without": {**_NO_VESSELS, "nanoparticle": 0.0},
        "given": ("nanoparticle_plasma",),
    },
    # rays act on cells: matrix, vessels, oxygen and drugs are as they were
    "radiotherapy": {"moves": "tumour", "sign": -1, "without": _NO_CELLS},
    "sonodynamic": {"moves": "tumour", "sign": -1, "without": _ANOXIA, "given": _PARTICLES},
    "targeted_carrier_antibody": {"moves": "nanoparticle_bound", "sign": 1, "without": {"tumour": 0.0}},
    "targeted_carrier_folate": {"moves": "nanoparticle_bound", "sign": 1, "without": _NO_TUMOUR},
    "targeted_carrier_ganglioside": {"moves": "nanoparticle_bound", "sign": 1, "without": {"host_cells": 0.0}},
    "targeted_carrier_hyaluronic_acid": {"moves": "nanoparticle_bound", "sign": 1, "without": _NO_CELLS},
}
