"""Heat in tissue (Pennes 1948, J. Appl. Physiol. 1:93), quasi-steady, and what cells and vessels make of it.

    0 = ∇·(κ ∇T) − (w f_p ν/ν₀ + w₀) T + sources          T in K above 37 °C
    D(T) = 60 R^(43 °C) per hour,  R = 4 per K up to 43 °C, 2 per K above        (thermal dose, Sapareto & Dewey 1984)
    ∂h/∂t = k m(T) (1 − h) − h/τ                                                 (vessels remember mild heat for a day)

Quasi-steady is a simplification: tissue takes 8 min to settle.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from tmepde.parameter import param
from tmepde.physiology.populations import LIVING, TUMOUR, dying, total
from tmepde.physiology.rates import hill, inhibition, positive, secretion
from tmepde.process import Process
from tmepde.species import Species

#: rises above which nothing more happens (K): the dose would only grow in size
_DOSE_LIMIT, _RESPONSE_LIMIT = 18.0, 40.0
#: K above 37 °C at which the thermal dose counts one minute per minute
_REFERENCE = 6.0
#: K above 37 °C at which tissue water boils, and what steam carries off beyond, in 1/h per K: heat of vaporisation
#: holds tissue at 100 °C, so that any steep rise will do
_BOILING, _STEAM = 63.0, 1e4


def thermal_dose_rate(rise: Any) -> Any:
    """CEM43 per hour (min/h) at a ``rise`` (K above 37 °C), less what 37 °C counts: 0 at 0, 60 at 6 K, 1920 at 11 K."""
    low = jnp.minimum(rise, _REFERENCE)
    high = jnp.clip(rise - _REFERENCE, 0.0, _DOSE_LIMIT - _REFERENCE)
    quarter = 4.0**-_REFERENCE
    rate = quarter * jnp.expm1(math.log(4.0) * low) + (1.0 - quarter) * jnp.expm1(math.log(2.0) * high)
    return 60.0 * rate


class Bioheat(Process):
    """0 = ∇·(κ∇T) − (w f_p ν/ν₀ + w₀)T + S: mild heat opens vessels for a day, a hot focus kills and shuts them.

    40–43 °C: perfusion × (1 + 0.75 h), wall × (1 + h), matrix −30 % per session, chemokine of tumour cells doubled.
    Above 48 °C blood stops at once, and every cell and vessel dies by the thermal dose, whatever its kind. At 100 °C
    water boils, and tissue gets no hotter.
    The source S is what therapies bring; without them T = 0 and nothing changes. Limits: no heat shock, no tolerance.
    """

    conductivity: Any = param(
        "um^2/h",
        doc="thermal diffusivity (1.3e5 um^2/s)",
        default=1.3e5 * 3600,
        bounds=(1.0, 1e10),
        ref="water, handbook 3",
        status="seen",
    )
    perfusion: Any = param(
        "1/h", doc="heat carried off by full perfusion (2e-3/s)", default=7.2, bounds=(0, 1e3), ref="handbook 3"
    )
    surroundings: Any = param(
        "1/h", doc="heat lost to tissue around the model", default=7.2, bounds=(1e-3, 1e5), status="assumed"
    )
    reference: Any = param(
        "1/um",
        doc="vessel surface density of the stated perfusion",
        default=0.02,
        bounds=(1e-4, 1),
        ref="Baxter-Jain 200/cm",
        status="from memory",
    )
    mild: Any = param("K", doc="rise of half the mild response", default=4.0, bounds=(0.5, 20), ref="40-43 C")
    shutdown: Any = param("K", doc="rise that stops half of the blood", default=11.0, bounds=(1, 30), ref="48 C")
    onset: Any = param("1/h", doc="onset of the mild response (5 min)", default=12.0, bounds=(0, 1e3), status="assumed")
    memory: Any = param(
        "h",
        doc="time that the response lasts",
        default=24.0,
        bounds=(0.1, 1000),
        ref="hours to a day",
        status="assumed",
    )
    perfusion_gain: Any = param(
        "1", doc="largest rise of perfusion", default=0.75, bounds=(0, 10), ref="x 1.5-2, handbook 13"
    )
    wall_gain: Any = param(
        "1", doc="largest rise of wall permeability", default=1.0, bounds=(0, 20), ref="x 2, handbook 13"
    )
    matrix_loss: Any = param(
        "1/h", doc="loosening of matrix (30 % per session)", default=0.36 / 24, bounds=(0, 1), ref="x 0.7, handbook 13"
    )
    chemokine: Any = param(
        "1/s", doc="chemokine of a heated tumour cell", default=0.3, bounds=(0, 1e3), ref="x 2, handbook 13"
    )
    lethal_dose: Any = param(
        "min",
        doc="thermal dose (min at 43 C) that leaves 1/e of the cells",
        default=60.0,
        bounds=(0.1, 1e4),
        ref="Sapareto & Dewey 1984, order",
        status="from memory",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "temperature": Species(
                0.0, self.conductivity, None, 0.02, "quasi_steady", "K", "Temperature above 37 degrees Celsius"
            ),
            "heat_response": Species(0.0, 0.0, None, 1e-3, "local", "1", "Response to mild heat"),
        }

    def factors(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        response = state["heat_response"]
        open_share = inhibition(jnp.minimum(state["temperature"], _RESPONSE_LIMIT), self.shutdown, 12)
        return {
            "perfusion": (1.0 + self.perfusion_gain * response) * open_share,
            "wall_factor": 1.0 + self.wall_gain * response,
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rise, response = state["temperature"], state["heat_response"]
        onset = self.onset * hill(jnp.minimum(rise, _RESPONSE_LIMIT), self.mild, 4)
        death = thermal_dose_rate(rise) / self.lethal_dose
        blood = self.perfusion * tissue["perfusion"] * state["vessel_surface"] / self.reference
        loosened = self.matrix_loss * response
        return {
            "temperature.loss": blood + self.surroundings + _STEAM * positive(rise - _BOILING),
            "heat_response.source": onset,
            "heat_response.loss": onset + 1.0 / self.memory,
            "vessel_surface.loss": death,
            "collagen.loss": loosened,
            "hyaluronan.loss": loosened,
            "chemokine.source": secretion(self.chemokine * response, total(TUMOUR, state), tissue["interstitium"]),
            **dying(LIVING, death, state),
        }
