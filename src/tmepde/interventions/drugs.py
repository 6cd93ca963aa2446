"""Small molecules: what they have in common, and the two ways they travel.

free          dP/dt = dose/V − k P,   ∂e/∂t = ∇·(D ∇e) + wall (P − e) − k_c e
nanoparticle  the dose enters as particles of the model, and e is the cargo that these release (``payload``)
"""

from __future__ import annotations

import math
from typing import Any

from tmepde.interventions.delivery import interstitial, plasma
from tmepde.parameter import param
from tmepde.species import Species

CARRIERS = ("free", "nanoparticle")


def diameter_parameter(default: float = 1.0, ref: str = "0.2-0.5 kDa") -> Any:
    """Size of the molecule, which decides how fast it passes the vessel wall."""
    return param("nm", doc="hydrodynamic diameter", default=default, bounds=(0.1, 200), ref=ref, status="from memory")


def diffusivity_parameter(per_second: float = 200.0) -> Any:
    """Diffusivity of a small molecule."""
    return param(
        "um^2/h",
        doc=f"diffusivity in tissue ({per_second:g} um^2/s)",
        default=per_second * 3600.0,
        bounds=(0, 1e7),
        ref="small molecule",
        status="assumed",
    )


def elimination_parameter(half_life: float, ref: str, status: str = "from memory") -> Any:
    """Clearance from plasma by its half-life in hours."""
    return param(
        "1/h",
        doc=f"clearance from plasma (half-life {half_life:g} h)",
        default=math.log(2.0) / half_life,
        bounds=(0, 100),
        ref=ref,
        status=status,
    )


def clearance_parameter(default: float = 0.1) -> Any:
    """Loss in tissue that is not exchange with vessels."""
    return param("1/h", doc="metabolism and drainage in tissue", default=default, bounds=(0, 100), status="assumed")


def distribution_parameter() -> Any:
    """Volume of distribution of a small molecule."""
    return param(
        "L",
        doc="volume of distribution (40 in a human, 0.02 in a mouse)",
        default=40.0,
        bounds=(1e-4, 1000),
        ref="body water",
        status="assumed",
    )


def brought(name: str, label: str, diffusivity: Any, unit: str = "nM") -> dict[str, Species]:
    """The species of a free drug: ``name`` in tissue and ``name_plasma``."""
    found = {name: interstitial(label, diffusivity), f"{name}_plasma": plasma(f"{label} in plasma")}
    return {k: Species(s.initial, s.diffusivity, None, 0.02, s.kind, unit, s.long_name) for k, s in found.items()}


def level_and_entry(name: str, carrier: str, rate: Any, volume: Any, state: Any) -> tuple[Any, dict[str, Any]]:
    """The level e (nM) that the drug's targets see, and where a dose of ``rate`` nmol/h enters."""
    if carrier == "nanoparticle":
        return state["payload"], {"nanoparticle_plasma.source": rate / volume}
    return state[name], {f"{name}_plasma.source": rate / volume}
