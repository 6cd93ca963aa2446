"""Therapies that kill at once."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.parameter import param

_TUMOUR = ("tumour", "tumour_negative")
_T_CELLS = ("car_t", "car_t_exhausted")


class Radiotherapy(Intervention):
    """−ln S = Σᵢ (α dᵢ m + β dᵢ² m²), m = (O·OER + K)/((O + K) OER): linear-quadratic, modified by oxygen.

    The law is applied per fraction and in proportion to the part of the fraction that falls into a step, so that the
    kill does not depend on the step. T cells in the field die with their own α; those in blood are spared.
    """

    reviews = (16, 37)

    dose: Any = dose("Gy", doc="fractions; 2 Gy each is usual")
    alpha: Any = param(
        "1/Gy",
        doc="linear radiosensitivity of tumour cells",
        default=0.3,
        bounds=(0, 2),
        ref="handbook, item 37",
        status="from memory",
    )
    beta: Any = param(
        "1/Gy^2",
        doc="quadratic radiosensitivity of tumour cells",
        default=0.03,
        bounds=(0, 1),
        ref="alpha/beta 10 Gy",
        status="from memory",
    )
    enhancement: Any = param(
        "1", doc="oxygen enhancement ratio", default=3.0, bounds=(1, 5), ref="handbook, item 37", status="from memory"
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 of half enhancement",
        default=3.0,
        bounds=(0.01, 50),
        ref="handbook, item 37",
        status="from memory",
    )
    lymphocyte_alpha: Any = param(
        "1/Gy", doc="radiosensitivity of T cells", default=0.8, bounds=(0, 5), ref="0.6-1 /Gy", status="from memory"
    )

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        oxygen = state["oxygen"]
        modifier = (oxygen * self.enhancement + self.oxygen_half) / ((oxygen + self.oxygen_half) * self.enhancement)
        linear = jnp.sum(clock.doses(self.dose))
        quadratic = jnp.sum(clock.doses(self.dose) * self.dose.amount)  # Σ fraction_i d_i²
        tumour = self.alpha * linear * modifier + self.beta * quadratic * modifier**2
        lymphocytes = self.lymphocyte_alpha * linear * jnp.ones_like(oxygen)
        return Effects(hazard={**dict.fromkeys(_TUMOUR, tumour), **dict.fromkeys(_T_CELLS, lymphocytes)})
