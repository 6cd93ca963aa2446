"""How large a particle passes a vessel wall and a fibre network.

    D₀ = k_B T/(3 π η d)                                     Stokes–Einstein, d hydrodynamic diameter
    P  = γ H(d/d_p) D₀/L                                     wall permeability, pore theory
    D  = F D₀ exp(−0.84 f^1.09)/(1 + r/√k + r²/(3k)),  f = (1 + r/r_f)² φ_ecm     interstitium

H is the diffusive hindrance of a pore of diameter d_p (Dechadilok & Deen 2006), 1 for a point and 0 from d = d_p on.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

__all__ = [
    "convective_hindrance",
    "diffusive_hindrance",
    "free_diffusivity",
    "hydraulic_conductivity",
    "interstitial_diffusivity",
    "wall_permeability",
]

#: k_B · 310.15 K/(3 π · 0.69 mPa s) in µm²/h · nm; 12 nm gives 54.9 µm²/s
_STOKES_EINSTEIN = 1.380649e-23 * 310.15 / (3 * 3.141592653589793 * 0.69e-3) * 1e9 * 1e12 * 3600.0


def free_diffusivity(diameter: Any) -> Any:
    """D₀ in µm²/h of a sphere of ``diameter`` nm in interstitial fluid at 37 °C."""
    return _STOKES_EINSTEIN / diameter


def _inside(ratio: Any) -> tuple[Any, Any]:
    """(does it fit, a ratio that is safe to put into log and powers)."""
    fits = (ratio > 1e-6) & (ratio < 1.0)
    return fits, jnp.where(fits, ratio, 0.5)


def diffusive_hindrance(ratio: Any) -> Any:
    """H = 1 + (9/8) λ ln λ − 1.56034 λ + 0.528155 λ² + 1.91521 λ³ − 2.81903 λ⁴ + 0.270788 λ⁵ + 1.10115 λ⁶ − 0.435933 λ⁷

    Values: 0.1 → 0.5918, 0.3 → 0.2033, 0.5 → 0.04745, 0.9 → 3e-5 (Dechadilok & Deen 2006).
    """
    fits, x = _inside(ratio)
    series = (
        ((((((-0.435933 * x + 1.10115) * x + 0.270788) * x - 2.81903) * x + 1.91521) * x) + 0.528155) * x
    ) - 1.56034
    value = 1.0 + 1.125 * x * jnp.log(x) + x * series
    return jnp.where(fits, jnp.maximum(value, 0.0), jnp.where(ratio < 1.0, 1.0, 0.0))


def convective_hindrance(ratio: Any) -> Any:
    """W(λ) = (1 − λ)² (1 + 3.867 λ − 1.907 λ² − 0.834 λ³)/(1 + 1.867 λ − 0.741 λ²); 0.1 → 0.9388, 0.5 → 0.3364."""
    x = jnp.clip(ratio, 0.0, 1.0)
    return (1 - x) ** 2 * (1 + x * (3.867 - x * (1.907 + 0.834 * x))) / (1 + x * (1.867 - 0.741 * x))


def wall_permeability(diameter: Any, pore: Any, pore_area: Any, wall: Any) -> Any:
    """P = γ H D₀/L in µm/h; ``diameter`` and ``pore`` in nm, ``pore_area`` γ, ``wall`` thickness L in µm.

    A pore of size 0 lets nothing through (λ is then large).
    """
    ratio = diameter / jnp.maximum(pore, 1e-3)
    return pore_area * diffusive_hindrance(ratio) * free_diffusivity(diameter) / wall


def hydraulic_conductivity(pore: Any, pore_area: Any, wall: Any) -> Any:
    """L_p = γ d_p²/(32 η L) in µm/(mmHg h), plasma η = 1.2 mPa s; 200 nm, 1e-4 and 5 µm give 2.8e-7 cm/(mmHg s)."""
    per_pascal_second = pore_area * (pore * 1e-9) ** 2 / (32 * 1.2e-3 * wall * 1e-6)  # m/(Pa s)
    return per_pascal_second * 133.322 * 1e6 * 3600.0


def interstitial_diffusivity(diameter: Any, matrix: Any, fibre: Any, mesh: Any, tortuosity: Any) -> Any:
    """D in µm²/h of a particle of ``diameter`` nm in a network of volume fraction ``matrix``.

    ``fibre`` radius r_f and hydrodynamic ``mesh`` √k in nm; ``tortuosity`` F is the factor of cells and winding paths.
    """
    r = 0.5 * diameter
    obstruction = (1.0 + r / fibre) ** 2 * matrix
    steric = jnp.exp(-0.84 * jnp.where(obstruction > 0, jnp.where(obstruction > 0, obstruction, 1.0) ** 1.09, 0.0))
    drag = 1.0 + r / mesh + (r / mesh) ** 2 / 3.0
    return tortuosity * free_diffusivity(diameter) * steric / drag
