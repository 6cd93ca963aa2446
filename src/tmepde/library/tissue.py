"""From a region to the initial fields and base quantities of the solid-tumour model.

ring = exp(−m²/(2σ²)),  φ = φ_host + (φ_tumour − φ_host) t + (φ_capsule − …) ring,   m signed distance to the margin
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: what an optional milieu adds to, by base value: signals that nobody makes are 0, factors that nobody scales are 1
SIGNALS = {
    "acidity": 0.0,  # 7.4 - pH
    "adenosine_signal": 0.0,  # nM
    "kynurenine_signal": 0.0,  # nM
    "suppressor_signal": 0.0,  # cells/mm^3
    "cxcl12_signal": 0.0,  # nM
    "vessel_oxygen_gain": 0.0,  # mmHg
    "car_t_division": 1.0,
    "car_t_cytolysis": 1.0,
    "car_t_secretion": 1.0,
    "car_t_exhaustion": 1.0,
    "car_t_entry": 1.0,
    "car_t_arrival": 0.0,  # cells/(uL h), CAR-T cells that are infused into blood now
    "delivered_antigen": 0.0,  # share of antigen-negative infected cells that show the CAR's antigen
    "tumour_division": 1.0,
    "tumour_respiration": 1.0,
    "fibroblast_activity": 1.0,
    "wall_factor": 1.0,
    "particle_cargo": 0.0,  # molecules
}
#: characters of a region that become static tissue quantities, read by observables and reports
REGION_QUANTITIES = ("tumour", "stroma", "vessels", "nuclei", "margin_distance")


def layered(region: Any, tumour: float, host: float, capsule: float, ring: Any) -> Any:
    """Tumour and host values mixed by the nest fraction, with a ``capsule`` value where ``ring`` is 1."""
    base = host + (tumour - host) * region.tumour
    return base + (capsule - base) * ring


def capsule_ring(region: Any, width: float) -> Any:
    """exp(−m²/(2σ²)): 1 at the margin; 0 everywhere for a ``width`` of 0."""
    if width <= 0:
        return np.zeros_like(region.margin_distance)
    return np.exp(-0.5 * (region.margin_distance / width) ** 2)


def base_quantities(region: Any) -> dict[str, Any]:
    """Tissue quantities that processes add to (0, or 1 where they are factors), and the region itself."""
    zero = (
        "crowding",
        "antigen_contact",
        "pd1_engagement",
        "tgf_beta_signal",
        "vegf_signal",
        "matrix",
        "peroxide_production",
    )
    one = ("motility", "perfusion")
    found: dict[str, Any] = {**dict.fromkeys(zero, 0.0), **dict.fromkeys(one, 1.0)}
    found.update({f"region_{name}": getattr(region, name) for name in REGION_QUANTITIES})
    if region.motility is not None:
        found["region_motility"] = region.motility
    fields = {name: np.broadcast_to(np.asarray(value, float), region.grid.shape) for name, value in found.items()}
    return fields | {name: np.asarray(value) for name, value in SIGNALS.items()}
