"""Direction and null of therapies of fuel, acid and suppression by metabolites; see ``test_substrates.py``."""

from __future__ import annotations

import tmepde as tme

_NO_FERMENTING = {"glycolysis.tumour": 0.0, "glycolysis.lymphocyte": 0.0, "lactate": 1.0, "acid_memory": 0.0}
#: cells of a tissue that was given no glucose do not ferment, and live of other fuel
_NO_GLUCOSE = {"glycolysis.plasma_glucose": 0.0, "glucose": 0.0, "lactate": 1.0}
_NO_TUMOUR = {"tumour": 0.0, "tumour_negative": 0.0}
_NO_VESSELS = {"vessel_surface": 0.0, "vessel_base": 0.0}
_NO_INTERFERON = {"interferon_kinetics.secretion": 0.0, "ifn_gamma": 0.0}
_NO_ADENOSINE = {**{f"adenosine_kinetics.{n}": 0.0 for n in ("tumour", "suppressor", "dead")}, "adenosine": 0.0}
_NO_TGF_BETA = {"tgf_beta": 0.0, "tgf_beta_kinetics.tumour": 0.0, "tgf_beta_kinetics.host": 0.0}


def _lasting(amount: float) -> tme.Infusion:
    return tme.Infusion(0.5, amount, 23.5)


PLAN = {
    "adenosine_backpack": tme.AdenosineBackpack(dose=tme.Infusion(0.5, 50.0, 1.0)),
    "adenosine_blockade": tme.AdenosineBlockade(dose=_lasting(1e6)),
    "arginine_supplement": tme.ArginineSupplement(dose=_lasting(1e9)),
    "buffer": tme.Buffer(dose=_lasting(100.0)),
    "glutamine_antagonist": tme.GlutamineAntagonist(dose=_lasting(1e6)),
    "glycolysis_inhibitor": tme.GlycolysisInhibitor(dose=_lasting(300.0)),
    "ido_inhibitor": tme.IdoInhibitor(dose=_lasting(1e6)),
    "tgf_beta_inhibitor": tme.TgfBetaInhibitor(dose=_lasting(1e6)),
}
START = {"car_t_plasma": 30.0}
OPTIONS: dict = {}

ROWS = {
    "adenosine_backpack": {"moves": "tumour", "sign": -1, "without": _NO_ADENOSINE},
    "adenosine_blockade": {"moves": "tumour", "sign": -1, "without": _NO_ADENOSINE},
    "arginine_supplement": {"moves": "arginine", "sign": 1, "without": _NO_VESSELS},
    "buffer": {"moves": "acid_memory", "sign": -1, "without": _NO_FERMENTING},
    "glutamine_antagonist": {"moves": "tumour", "sign": -1, "without": _NO_TUMOUR},
    "glycolysis_inhibitor": {"moves": "lactate", "sign": -1, "without": _NO_GLUCOSE},
    "ido_inhibitor": {"moves": "kynurenine", "sign": -1, "without": _NO_INTERFERON},
    "tgf_beta_inhibitor": {"moves": "tumour", "sign": -1, "without": _NO_TGF_BETA},
}
