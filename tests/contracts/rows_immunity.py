"""Direction and null of therapies of immune cells and their signals; see ``test_substrates.py``."""

from __future__ import annotations

import tmepde as tme

_SITE: dict = dict(site=[420.0], width=150.0)
_NO_ANTIGEN = {"tumour": 0.0, "systemic_antigen": 0.0}
_NO_CCL2 = {f"ccl2_kinetics.{n}": 0.0 for n in ("tumour", "host", "macrophage")}
_NO_CCL5 = {f"ccl5_kinetics.{n}": 0.0 for n in ("tumour", "effector", "m1")}
_NO_CXCL10 = {f"cxcl10_kinetics.{n}": 0.0 for n in ("tumour", "host")}
_NO_CHEMOKINE = {
    "chemokine": 0.0,
    "chemokine_kinetics.tumour": 0.0,
    "chemokine_kinetics.effector": 0.0,
    "il12_kinetics.chemokine": 0.0,
}
_NO_CXCL12 = {"cxcl12": 0.0, "cxcl12_retention.secretion": 0.0}
_NO_DAMP = {"damp": 0.0, "debris.content": 0.0}
_NO_MACROPHAGES = {"macrophage": 0.0, "macrophage_m1": 0.0, "myeloid_cells.macrophage_recruitment": 0.0}
_NO_MDSC = {"mdsc": 0.0, "myeloid_cells.mdsc_recruitment": 0.0}
_NO_PD_L1 = {"checkpoint_engagement.baseline": 0.0}


def _once(amount: float) -> tme.Infusion:
    return tme.Infusion(0.5, amount, 1.0)


def _core(fields, model):
    """CAR-T cells in the middle 300 µm, where they come only by crawling."""
    return float(fields["car_t"][5:11].sum())


PLAN = {
    "ccl2_blockade": tme.Ccl2Blockade(dose=_once(4700.0)),
    "ccr2b_receptor": tme.Ccr2bReceptor(),
    "ccr5_receptor": tme.Ccr5Receptor(),
    "chemokine_receptor": tme.ChemokineReceptor(),
    "csf1r_inhibitor": tme.Csf1rInhibitor(dose=_once(9.6e4)),
    "cxcr3_receptor": tme.Cxcr3Receptor(),
    "cxcr4_antagonist": tme.Cxcr4Antagonist(dose=tme.Infusion(0.5, 3e4, 23.5)),
    "il12_car_t": tme.Il12CarT(leak=0.0),
    "il12_therapy": tme.Il12Therapy(dose=_once(0.01), leak=0.0),
    "mdsc_depletion": tme.MdscDepletion(dose=_once(6000.0)),
    "oncolytic_virus": tme.OncolyticVirus(dose=_once(1e6), **_SITE),
    "oncolytic_virus_delivering": tme.OncolyticVirus(dose=_once(1e6), antigen="delivered", **_SITE),
    "pd1_nanocluster": tme.Pd1Nanocluster(dose=_once(1.0)),
    "pd_l1_scfv_car_t": tme.PdL1ScfvCarT(),
    "sting_agonist": tme.StingAgonist(dose=_once(0.1), **_SITE),
    "tlr_agonist": tme.TlrAgonist(dose=_once(0.1), **_SITE),
}
START = {"car_t_plasma": 30.0}
OPTIONS: dict = {}

_PRIMED = ("endogenous_t", "endogenous_t_plasma")
_VIRUS: dict = {"moves": "tumour", "sign": -1, "without": {"viral_infection.infection": 0.0}, "given": ("virus",)}
ROWS = {
    "ccl2_blockade": {"moves": "ccl2", "sign": -1, "without": _NO_CCL2},
    "ccr2b_receptor": {"moves": "car_t", "sign": 1, "without": _NO_CCL2},
    "ccr5_receptor": {"moves": "car_t", "sign": 1, "without": _NO_CCL5},
    "chemokine_receptor": {"moves": "car_t", "sign": 1, "without": _NO_CHEMOKINE},
    "csf1r_inhibitor": {"moves": "macrophage", "sign": -1, "without": _NO_MACROPHAGES},
    "cxcr3_receptor": {"moves": "car_t", "sign": 1, "without": _NO_CXCL10},
    "cxcr4_antagonist": {"moves": _core, "sign": 1, "without": _NO_CXCL12},
    # set free on antigen contact: with no leak, off the antigen there is nothing
    "il12_car_t": {"moves": "ifn_gamma", "sign": 1, "without": _NO_ANTIGEN},
    "il12_therapy": {"moves": "ifn_gamma", "sign": 1, "without": _NO_ANTIGEN},
    "mdsc_depletion": {"moves": "mdsc", "sign": -1, "without": _NO_MDSC},
    # cells without the receptor of the virus
    "oncolytic_virus": _VIRUS,
    "oncolytic_virus_delivering": _VIRUS,
    "pd1_nanocluster": {"moves": "tumour", "sign": -1, "without": _NO_PD_L1},
    "pd_l1_scfv_car_t": {"moves": "tumour", "sign": -1, "without": _NO_PD_L1},
    # the agonist goes on to make CXCL10 and to turn macrophages, but nobody is primed
    "sting_agonist": {"moves": "endogenous_t_plasma", "sign": 1, "without": _NO_DAMP, "still": _PRIMED},
    "tlr_agonist": {"moves": "endogenous_t_plasma", "sign": 1, "without": _NO_DAMP, "still": _PRIMED},
}
