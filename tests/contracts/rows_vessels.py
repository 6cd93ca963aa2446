"""Direction and null of the therapies of vessels and stroma; see ``test_substrates.py``."""

from __future__ import annotations

import tmepde as tme

_PARTICLES = ("nanoparticle", "nanoparticle_bound", "nanoparticle_plasma", "payload")
_NO_VEGF = {"vegf": 0.0, "vegf_kinetics.tumour": 0.0}
_NO_HYALURONAN = {"hyaluronan": 0.0, "hyaluronan_base": 0.0}
_NO_COLLAGEN = {"collagen": 0.0, "collagen_base": 0.0, "fibroblast": 0.0}
_NO_TUMOUR = {"tumour": 0.0, "tumour_negative": 0.0, "region_tumour": 0.0}
_NO_VESSELS = {"vessel_surface": 0.0, "vessel_base": 0.0}
_NO_T_CELLS = {"car_t": 0.0, "car_t_exhausted": 0.0, "car_t_plasma": 0.0}
_NO_PEROXIDE = {"peroxide_production.rate": 0.0}


def _once(amount: float) -> tme.Infusion:
    return tme.Infusion(0.5, amount, 1.0)


PLAN = {
    "anti_vegf": tme.AntiVEGF(dose=_once(900.0)),
    "checkpoint_blockade": tme.CheckpointBlockade(dose=_once(1400.0)),
    "edb_targeting": tme.EdbTargeting(dose=_once(600.0)),
    "endothelial_metabolism": tme.EndothelialMetabolism(dose=_once(1e5)),
    "enzyme_car_t": tme.EnzymeCarT(),
    "enzyme_car_t_heparanase": tme.EnzymeCarT(substrate="collagen"),
    "fap_car_t": tme.FapCarT(dose=_once(1e9)),
    "hyaluronidase_particle": tme.HyaluronidaseParticle(dose=_once(3000.0)),
    "matrix_enzyme": tme.MatrixEnzyme(dose=_once(900.0)),
    "nab_paclitaxel": tme.NabPaclitaxel(dose=_once(2.6e5)),
    "nitric_oxide_donor": tme.NitricOxideDonor(dose=tme.Infusion(0.5, 1e6, 23.5)),
    "oxygen_generator": tme.OxygenGenerator(dose=_once(3000.0)),
    "pak4_inhibitor": tme.Pak4Inhibitor(dose=_once(1e5)),
    "synnotch_car_t": tme.SynnotchCarT(),
    "vascular_disruption": tme.VascularDisruption(dose=_once(2.5e5)),
}
START = {"car_t_plasma": 30.0}
OPTIONS: dict = {}

ROWS = {
    "anti_vegf": {"moves": "pore_diameter", "sign": -1, "without": _NO_VEGF, "still": ("pore_diameter",)},
    "checkpoint_blockade": {"moves": "tumour", "sign": -1, "without": _NO_T_CELLS},
    "edb_targeting": {"moves": "collagen", "sign": -1, "without": _NO_VEGF},
    "endothelial_metabolism": {
        "moves": "car_t",
        "sign": 1,
        "without": _NO_VESSELS,
        "still": ("car_t", "tumour", "oxygen"),
    },
    "enzyme_car_t": {"moves": "hyaluronan", "sign": -1, "without": _NO_HYALURONAN},
    "enzyme_car_t_heparanase": {"moves": "collagen", "sign": -1, "without": _NO_COLLAGEN},
    "fap_car_t": {
        "moves": "fibroblast",
        "sign": -1,
        "without": _NO_COLLAGEN,
        "still": ("fibroblast", "collagen", "hyaluronan"),
    },
    "hyaluronidase_particle": {"moves": "hyaluronan", "sign": -1, "without": _NO_HYALURONAN, "given": _PARTICLES},
    "matrix_enzyme": {"moves": "hyaluronan", "sign": -1, "without": _NO_HYALURONAN},
    "nab_paclitaxel": {
        "moves": "tumour",
        "sign": -1,
        "without": _NO_VESSELS,
        "still": ("tumour", "tumour_negative", "fibroblast", "hyaluronan"),
    },
    "nitric_oxide_donor": {"moves": "oxygen", "sign": 1, "without": _NO_VESSELS},
    "oxygen_generator": {"moves": "oxygen", "sign": 1, "without": _NO_PEROXIDE, "given": _PARTICLES},
    "pak4_inhibitor": {"moves": "car_t", "sign": 1, "without": _NO_VESSELS, "still": ("car_t", "tumour", "oxygen")},
    "synnotch_car_t": {"moves": "hyaluronan", "sign": -1, "without": _NO_TUMOUR},
    "vascular_disruption": {"moves": "oxygen", "sign": -1, "without": _NO_TUMOUR},
}
