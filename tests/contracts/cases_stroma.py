"""Contract cases of the therapies of vessels, stroma, heat, radicals and cytostatics; see ``conftest.py``."""

from __future__ import annotations

import tmepde as tme

_LIGHT = tme.Infusion([0.9, 4.1], [0.3, 0.2], 0.7)
#: label → (registry key, therapy); doses are short, begin off the step grid and act within hours
CASES = {
    "edb_targeting": ("edb_targeting", tme.EdbTargeting(dose=tme.Infusion(0.6, 300.0, 1.1))),
    "endothelial_metabolism": (
        "endothelial_metabolism",
        tme.EndothelialMetabolism(dose=tme.Infusion(0.8, 2e4, 0.9)),
    ),
    "nitric_oxide_donor": ("nitric_oxide_donor", tme.NitricOxideDonor(dose=tme.Infusion(0.8, 4e4, 0.9))),
    "pak4_inhibitor": ("pak4_inhibitor", tme.Pak4Inhibitor(dose=tme.Infusion([0.8, 4.2], [2e4, 1e4], 0.9))),
    "vascular_disruption": ("vascular_disruption", tme.VascularDisruption(dose=tme.Infusion(0.4, 2.5e5, 1.3))),
    "enzyme_car_t": ("enzyme_car_t", tme.EnzymeCarT()),
    "enzyme_car_t_heparanase": ("enzyme_car_t", tme.EnzymeCarT(substrate="collagen")),
    "synnotch_car_t": ("synnotch_car_t", tme.SynnotchCarT()),
    "fap_car_t": ("fap_car_t", tme.FapCarT(dose=tme.Infusion(0.3, 1e8, 1.2))),
    "hyaluronidase_particle": (
        "hyaluronidase_particle",
        tme.HyaluronidaseParticle(dose=tme.Infusion(0.7, 300.0, 1.1)),
    ),
    "hyaluronidase_particle_local": (
        "hyaluronidase_particle",
        tme.HyaluronidaseParticle(dose=tme.Infusion(0.7, 3e-5, 1.1), route="intratumoral", site=[420.0]),
    ),
    "nab_paclitaxel": ("nab_paclitaxel", tme.NabPaclitaxel(dose=tme.Infusion(0.6, 2.6e5, 0.8))),
    "photothermal": ("photothermal", tme.Photothermal(dose=tme.Infusion(0.2, 300.0, 0.8), light=_LIGHT)),
    "photothermal_local": (
        "photothermal",
        tme.Photothermal(dose=tme.Infusion(0.2, 3e-6, 0.8), light=_LIGHT, route="intratumoral", site=[420.0]),
    ),
    "photodynamic": ("photodynamic", tme.Photodynamic(dose=tme.Infusion(0.2, 300.0, 0.8), energy=_LIGHT)),
    "sonodynamic": ("sonodynamic", tme.Sonodynamic(dose=tme.Infusion(0.2, 300.0, 0.8), energy=_LIGHT)),
    "magnetic_guidance": ("magnetic_guidance", tme.MagneticGuidance(dose=tme.Infusion(0.7, 1.5, 1.9))),
    "magnetic_guidance_cells": (
        "magnetic_guidance",
        tme.MagneticGuidance(dose=tme.Infusion(0.7, 1.5, 1.9), cargo="car_t", side="near"),
    ),
}
#: label → (species that takes the dose, amount of it per unit of dose); ``None``: no dose, or one that is no amount
ENTRIES = {
    "edb_targeting": ("edb_conjugate_plasma", 1 / 3.0),
    "endothelial_metabolism": ("pfkfb3_inhibitor_plasma", 1 / 40.0),
    "nitric_oxide_donor": ("nitric_oxide_donor_plasma", 1 / 40.0),
    "pak4_inhibitor": ("pak4_inhibitor_plasma", 1 / 40.0),
    "vascular_disruption": ("vessel_collapse", 1 / 2.5e5),
    "enzyme_car_t": (None, None),
    "enzyme_car_t_heparanase": (None, None),
    "synnotch_car_t": (None, None),
    "fap_car_t": ("fap_car_t_plasma", 1 / 5e6),
    "hyaluronidase_particle": ("nanoparticle_plasma", 1 / 3.0),
    "hyaluronidase_particle_local": ("nanoparticle", None),
    "nab_paclitaxel": ("nab_paclitaxel_plasma", 1 / 40.0),
    "photothermal": ("nanoparticle_plasma", 1 / 3.0),
    "photothermal_local": ("nanoparticle", None),
    "photodynamic": ("nanoparticle_plasma", 1 / 3.0),
    "sonodynamic": ("nanoparticle_plasma", 1 / 3.0),
    "magnetic_guidance": (None, None),
    "magnetic_guidance_cells": (None, None),
}
