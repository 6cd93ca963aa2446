"""Rate laws that are finite, with finite derivatives, for every argument ≥ 0.

    saturation(x, K) = x/(K + x)        hill(x, K, n) = xⁿ/(Kⁿ + xⁿ)        inhibition(x, K, n) = 1 − hill

Exponents are whole numbers and static, because a traced power has no derivative at 0. Half-saturations must be > 0.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde.units import SECRETION

__all__ = ["hill", "inhibition", "positive", "saturation", "secretion", "tanh_ratio"]


def saturation(x: Any, half: Any) -> Any:
    """x/(K + x): 0 at 0, ½ at K, 1 at ∞."""
    return x / (half + x)


def inhibition(x: Any, half: Any, exponent: int = 1) -> Any:
    """Kⁿ/(Kⁿ + xⁿ) = 1 − hill, without the digits that this subtraction loses at x ≫ K: 1 at 0, ½ at K."""
    return half / (half + x) if exponent == 1 else 1.0 / (1.0 + (x / half) ** exponent)


def hill(x: Any, half: Any, exponent: int) -> Any:
    """xⁿ/(Kⁿ + xⁿ), written with (x/K)ⁿ so that float32 neither over- nor underflows at 4e5 cells/mm³."""
    ratio = (x / half) ** exponent
    return ratio / (1.0 + ratio)


def positive(x: Any) -> Any:
    """max(x, 0): for factors such as 1 − φ/φ_max that end at 0."""
    return jnp.maximum(x, 0.0)


def tanh_ratio(x: Any) -> Any:
    """tanh(x)/x for x ≥ 0, 1 at 0: lets a bounded speed S·tanh(l)·∇c/|∇c| be written without dividing by |∇c|."""
    large = x > 1e-3
    safe = jnp.where(large, x, 1.0)
    return jnp.where(large, jnp.tanh(safe) / safe, 1.0 - x * x / 3.0)


def secretion(rate: Any, cells: Any, interstitium: Any) -> Any:
    """q·N/φ_i: molecules/cell/s from cells/mm³ into nM/h of interstitial fluid (5.98e-6 q N/φ_i)."""
    return SECRETION * rate * cells / interstitium
