"""Carriers by name: size, half-life, charge, binding, cargo and release of the model's nanoparticle.

Sizes are those of the named systems in the literature on CAR-T adjuvants; half-lives of PEG-liposomes are 10–24 h
in mice and 24–55 h in patients (from memory), bare mineral particles leave within hours. Charge, binding, loading and
release are assumed: they say in which direction a carrier differs, not by how much.
"""

from __future__ import annotations

import math
from typing import Any


def _carrier(
    diameter: float,
    half_life: float,
    *,
    charge: float = 1.0,
    binding: float = 100.0,
    loading: float = 1000.0,
    release: float = 72.0,
) -> dict[str, Any]:
    """One carrier.

    Args:
        diameter: hydrodynamic, nm.
        half_life: in plasma, h.
        charge: passage of the wall relative to a neutral particle (2 cationic, 0.7 anionic; the direction is that of
            Stylianopoulos 2013).
        binding: sites in tissue, nM.
        loading: cargo molecules per particle.
        release: half-life of the cargo inside, h.
    """
    return {
        "particle_diameter": diameter,
        "processes": {
            "nanoparticle_plasma": {"elimination": math.log(2.0) / half_life},
            "nanoparticle_exchange": {"charge": charge},
            "nanoparticle_binding": {"capacity": binding},
            "payload_release": {"rate": math.log(2.0) / release, "loading": loading},
        },
    }


CARRIERS: dict[str, dict[str, Any]] = {
    "generic": {},
    # PEG-liposomes of the sizes of Chauhan 2012 and beyond
    "liposome_12nm": _carrier(12.0, 12.0, loading=50.0),
    "liposome_60nm": _carrier(60.0, 24.0, loading=3000.0),
    "liposome_125nm": _carrier(125.0, 24.0, loading=1.5e4),
    "liposome_200nm": _carrier(200.0, 12.0, loading=4e4),
    "peg": _carrier(10.0, 48.0, binding=10.0, loading=1.0, release=24.0),
    "plga": _carrier(120.0, 6.0, charge=0.7, loading=5000.0, release=240.0),
    "lipid_nanoparticle": _carrier(90.0, 3.0, binding=300.0, loading=4.0, release=12.0),
    "albumin_bound": _carrier(130.0, 2.0, binding=200.0, loading=5000.0, release=1.0),  # falls apart in blood
    "gold": _carrier(50.0, 6.0, loading=500.0),
    "silica": _carrier(100.0, 2.0, charge=0.7, binding=200.0, loading=5000.0, release=48.0),
    "manganese_dioxide": _carrier(50.0, 4.0, binding=200.0, loading=100.0),  # A-MnO2, Prasad 2014
    "iron_oxide": _carrier(30.0, 3.0, binding=200.0, loading=100.0),
    "graphene_oxide": _carrier(150.0, 4.0, charge=0.7, binding=300.0, loading=1e4),
    "black_phosphorus": _carrier(120.0, 3.0, charge=0.7, binding=200.0, loading=5000.0, release=24.0),
    "metal_organic_framework": _carrier(100.0, 2.0, binding=200.0, loading=8000.0, release=12.0),
    "carbon_nanotube": _carrier(100.0, 6.0, binding=300.0, loading=2000.0, release=48.0),
    "fullerene": _carrier(5.0, 2.0, binding=50.0, loading=4.0),
}
