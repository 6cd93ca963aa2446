"""Contract cases of the therapies of oxygen, fuel, acid and suppression; see ``conftest.py``."""

from __future__ import annotations

import tmepde as tme

#: label → (registry key, therapy); doses are short, begin off the step grid and act within hours
CASES = {
    "oxygen_generator_catalase": (
        "oxygen_generator",
        tme.OxygenGenerator(dose=tme.Infusion(0.2, 300.0, 0.8), catalyst="catalase"),
    ),
    "oxygen_carrier": ("oxygen_carrier", tme.OxygenCarrier(dose=tme.Infusion(0.4, 12.0, 1.1))),
    "oxygen_carrier_local": (
        "oxygen_carrier",
        tme.OxygenCarrier(dose=tme.Infusion(0.4, 1e-3, 1.1), route="intratumoral", site=[420.0]),
    ),
    "oxygen_gel": ("oxygen_gel", tme.OxygenGel(dose=tme.Infusion(0.3, 2000.0, 1.4), site=[380.0], width=60.0)),
    "buffer": ("buffer", tme.Buffer(dose=tme.Infusion(0.6, 30.0, 1.2))),
    "buffer_bicarbonate": (
        "buffer",
        tme.Buffer(dose=tme.Infusion(0.6, 30.0, 1.2), agent="bicarbonate", diameter=0.5, diffusivity=1e6, volume=20.0),
    ),
    "buffer_local": (
        "buffer",
        tme.Buffer(dose=tme.Infusion(0.6, 5e-6, 1.2), route="intratumoral", site=[420.0], width=150.0),
    ),
    "glycolysis_inhibitor": ("glycolysis_inhibitor", tme.GlycolysisInhibitor(dose=tme.Infusion(0.8, 27.0, 0.9))),
    "glutamine_antagonist": ("glutamine_antagonist", tme.GlutamineAntagonist(dose=tme.Infusion(0.8, 1e5, 0.9))),
    "arginine_supplement": ("arginine_supplement", tme.ArginineSupplement(dose=tme.Infusion(1.2, 1e8, 0.7))),
    "ido_inhibitor": ("ido_inhibitor", tme.IdoInhibitor(dose=tme.Infusion(1.1, 2.3e5, 0.6))),
    "ido_inhibitor_nanosheet": (
        "ido_inhibitor",
        tme.IdoInhibitor(dose=tme.Infusion(1.1, 300.0, 0.6), carrier="nanoparticle", volume=3.0),
    ),
    "adenosine_blockade": ("adenosine_blockade", tme.AdenosineBlockade(dose=tme.Infusion(0.5, 1e5, 1.3))),
    "adenosine_backpack": ("adenosine_backpack", tme.AdenosineBackpack(dose=tme.Infusion(0.5, 50.0, 1.3))),
    "tgf_beta_inhibitor": ("tgf_beta_inhibitor", tme.TgfBetaInhibitor(dose=tme.Infusion(0.9, 1e5, 0.6))),
    "tgf_beta_inhibitor_particle": (
        "tgf_beta_inhibitor",
        tme.TgfBetaInhibitor(dose=tme.Infusion(0.9, 300.0, 0.6), carrier="nanoparticle", volume=3.0),
    ),
}
#: label → (species that takes the dose, amount of it per unit of dose); no amount: a depot in the tissue, in nM (mM) of
#: interstitial fluid per nmol (mmol)
ENTRIES = {
    "oxygen_generator_catalase": ("nanoparticle_plasma", 1 / 3.0),
    "oxygen_carrier": ("oxygen_carrier_plasma", 1 / 3.0),
    "oxygen_carrier_local": ("oxygen_carrier", None),
    "oxygen_gel": ("oxygen_gel", None),
    "buffer": ("carbonate_plasma", 1 / 3.0),
    "buffer_bicarbonate": ("carbonate_plasma", 1 / 20.0),
    "buffer_local": ("carbonate", None),
    "glycolysis_inhibitor": ("glycolysis_inhibitor_plasma", 1 / 40.0),
    "glutamine_antagonist": ("glutamine_antagonist_plasma", 1 / 40.0),
    "arginine_supplement": ("arginine_plasma", 1 / 40.0),
    "ido_inhibitor": ("ido_inhibitor_plasma", 1 / 40.0),
    "ido_inhibitor_nanosheet": ("nanoparticle_plasma", 1 / 3.0),
    "adenosine_blockade": ("adenosine_antagonist_plasma", 1 / 40.0),
    "adenosine_backpack": ("adenosine_backpack", 1.0),
    "tgf_beta_inhibitor": ("tgf_beta_inhibitor_plasma", 1 / 40.0),
    "tgf_beta_inhibitor_particle": ("nanoparticle_plasma", 1 / 3.0),
}
