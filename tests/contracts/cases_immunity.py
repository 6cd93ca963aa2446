"""One small case of every therapy of the immunity group, and where its dose goes."""

from __future__ import annotations

import tmepde as tme

_DOSE = tme.Infusion(0.7, 900.0, 1.5)
_TRACE = tme.Infusion(0.7, 3e-5, 1.5)
_SITE: dict = dict(site=[420.0], width=150.0)

#: label → (registry key, therapy); doses are short, begin off the step grid and act within hours
CASES = {
    "ccl2_blockade": ("ccl2_blockade", tme.Ccl2Blockade(dose=_DOSE)),
    "ccr2b_receptor": ("ccr2b_receptor", tme.Ccr2bReceptor()),
    "ccr5_receptor": ("ccr5_receptor", tme.Ccr5Receptor()),
    "cd28_costimulation": ("cd28_costimulation", tme.Cd28Costimulation()),
    "cd137_costimulation": ("cd137_costimulation", tme.Cd137Costimulation()),
    "chemokine_receptor": ("chemokine_receptor", tme.ChemokineReceptor()),
    "csf1r_inhibitor": ("csf1r_inhibitor", tme.Csf1rInhibitor(dose=_DOSE)),
    "cxcr3_receptor": ("cxcr3_receptor", tme.Cxcr3Receptor()),
    "cxcr4_antagonist": ("cxcr4_antagonist", tme.Cxcr4Antagonist(dose=_DOSE)),
    "icos_costimulation": ("icos_costimulation", tme.IcosCostimulation()),
    "il21_car_t": ("il21_car_t", tme.Il21CarT()),
    "il12_car_t": ("il12_car_t", tme.Il12CarT()),
    "il12_therapy": ("il12_therapy", tme.Il12Therapy(dose=_DOSE)),
    "il12_therapy_local": ("il12_therapy", tme.Il12Therapy(dose=_TRACE, route="intratumoral", **_SITE)),
    "il12_therapy_plasma": ("il12_therapy", tme.Il12Therapy(dose=_DOSE, route="intravenous")),
    "mdsc_depletion": ("mdsc_depletion", tme.MdscDepletion(dose=_DOSE)),
    "oncolytic_virus": ("oncolytic_virus", tme.OncolyticVirus(dose=tme.Infusion(0.7, 1e6, 1.5), **_SITE)),
    "oncolytic_virus_delivering": (
        "oncolytic_virus",
        tme.OncolyticVirus(dose=tme.Infusion(0.7, 1e6, 1.5), antigen="delivered", **_SITE),
    ),
    "pd1_nanocluster": ("pd1_nanocluster", tme.Pd1Nanocluster(dose=_DOSE)),
    "pd_l1_scfv_car_t": ("pd_l1_scfv_car_t", tme.PdL1ScfvCarT()),
    "sialidase": ("sialidase", tme.Sialidase()),
    "sting_agonist": ("sting_agonist", tme.StingAgonist(dose=_TRACE, **_SITE)),
    "tlr_agonist": ("tlr_agonist", tme.TlrAgonist(dose=_TRACE, **_SITE)),
    "tlr_agonist_plasma": ("tlr_agonist", tme.TlrAgonist(dose=_DOSE, route="intravenous")),
    "tnf_car_t": ("tnf_car_t", tme.TnfCarT()),
}

#: where a dose enters and how much of the species a unit of it makes; no species: built into cells, no amount: a depot
ENTRIES = {
    "ccl2_blockade": ("ccl2_antibody_plasma", 1 / 3.0),
    "ccr2b_receptor": (None, None),
    "ccr5_receptor": (None, None),
    "cd28_costimulation": (None, None),
    "cd137_costimulation": (None, None),
    "chemokine_receptor": (None, None),
    "csf1r_inhibitor": ("csf1r_inhibitor_plasma", 1 / 3.0),
    "cxcr3_receptor": (None, None),
    "cxcr4_antagonist": ("plerixafor_plasma", 1 / 3.0),
    "icos_costimulation": (None, None),
    "il21_car_t": (None, None),
    "il12_car_t": (None, None),
    "il12_therapy": ("il12_payload", 0.01),
    "il12_therapy_local": ("il12", None),
    "il12_therapy_plasma": ("il12_plasma", 1 / 3.0),
    "mdsc_depletion": ("thioguanine_plasma", 1 / 3.0),
    "oncolytic_virus": ("virus", None),
    "oncolytic_virus_delivering": ("virus", None),
    "pd1_nanocluster": ("pd1_cluster", 0.01),
    "pd_l1_scfv_car_t": (None, None),
    "sialidase": (None, None),
    "sting_agonist": ("sting_agonist", None),
    "tlr_agonist": ("tlr_agonist", None),
    "tlr_agonist_plasma": ("tlr_agonist_plasma", 1 / 3.0),
    "tnf_car_t": (None, None),
}
