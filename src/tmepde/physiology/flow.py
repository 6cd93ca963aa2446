"""Transport with the tissue: interstitial fluid driven by leaky vessels, and crawling up what is bound to the matrix.

    0 = ∇·(K ∇p) + L (p_e − p) − L_L p ,     v = −f K ∇p          (Baxter & Jain 1989, Microvasc. Res. 37:77)
    v = χ ∇m/(1 + χ|∇m|/v_max) · (1 − u/u_max)₊ of the receiving side                            (haptotaxis)

L is the hydraulic conductivity of the vessel walls times their surface per volume, p_e the pressure at which nothing is
filtered, p_v − σ(π_v − π_i). A tumour without lymphatics is at p_e but for a rim of √(K/L) = 270 µm, in which it leaks.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx

from tmepde.boundary import sides
from tmepde.operators import darcy_velocity, taxis_velocity
from tmepde.parameter import param
from tmepde.process import Process
from tmepde.species import Species

_PRESSURE = "interstitial_pressure"


class InterstitialFlow(Process):
    """0 = ∇·(K∇p) + L (p_e − p) − L_L p, v = −f K∇p: pressure, and the drift of the ``carried`` species.

    The species ``interstitial_pressure`` is :meth:`species`. K and L may differ from place to place by tissue
    quantities that multiply them. What vessels filter dilutes (∇·v > 0); what it brings along is a source of its own.
    """

    conductivity: Any = param(
        "um^2/h/mmHg",
        doc="hydraulic conductivity of the interstitium (4.13e-8 cm^2/mmHg/s)",
        default=4.13 * 3600.0,
        bounds=(0, 1e7),
        ref="Baxter & Jain 1989, tumour",
        status="from memory",
    )
    filtration: Any = param(
        "1/h/mmHg",
        doc="hydraulic conductivity of vessel walls times surface per volume (2.8e-7 cm/mmHg/s x 200/cm)",
        default=5.6e-5 * 3600.0,
        bounds=(0, 1e3),
        ref="Baxter & Jain 1989, tumour",
        status="from memory",
    )
    effective_pressure: Any = param(
        "mmHg",
        doc="interstitial pressure at which nothing is filtered",
        default=11.5,
        bounds=(-20, 100),
        ref="Baxter & Jain 1989: 15.6 - 0.82 (20 - 15)",
        status="from memory",
    )
    lymphatic: Any = param(
        "1/h/mmHg", doc="drainage by lymphatics per pressure", default=0.0, bounds=(0, 1e3), status="assumed"
    )
    retardation: Any = param(
        "1", doc="speed of a carried species over that of the fluid", default=1.0, bounds=(0, 1), status="assumed"
    )
    boundary: Any = None
    carried: tuple[str, ...] = eqx.field(static=True, default=())
    conductivity_factor: str = eqx.field(static=True, default="")
    filtration_factor: str = eqx.field(static=True, default="")
    lymphatic_factor: str = eqx.field(static=True, default="")

    def species(self) -> Species:
        """The pressure: quasi-steady, signed, with this process' ``boundary`` (any that a species may have)."""
        return Species(
            0.0, 0.0, self.boundary, kind="quasi_steady", unit="mmHg", signed=True, long_name="Interstitial pressure"
        )

    def _factor(self, tissue: Any, name: str) -> Any:
        return tissue[name] if name else 1.0

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        conductivity = self.conductivity * self._factor(tissue, self.conductivity_factor)
        leak = self.filtration * self._factor(tissue, self.filtration_factor)
        terms = {
            f"{_PRESSURE}.diffusivity": conductivity,
            f"{_PRESSURE}.source": leak * self.effective_pressure,
            f"{_PRESSURE}.loss": leak + self.lymphatic * self._factor(tissue, self.lymphatic_factor),
        }
        if self.carried:
            around = sides(self.boundary, tissue.grid.axes)
            fluid = darcy_velocity(tissue.grid, state[_PRESSURE], conductivity, around, clock, state)
            velocity = tuple(self.retardation * v for v in fluid)
            terms.update({f"{name}.flow": velocity for name in self.carried})
        return terms


class Haptotaxis(Process):
    """v = χ∇m/(1 + χ|∇m|/v_max) · (1 − u/u_max)₊: crawling up a signal that is bound to the matrix."""

    sensitivity: Any = param(
        "um^2/h", doc="taxis coefficient per unit of the signal", default=1000.0, bounds=(0, 1e6), status="assumed"
    )
    largest: Any = param(
        "um/h",
        doc="speed that is never exceeded",
        default=32.0,
        bounds=(1e-6, 2000),
        ref="as chemotaxis",
        status="assumed",
    )
    full: Any = param(
        "cells/mm^3", doc="density at which tissue is full", default=5e4, bounds=(1, 1e7), status="assumed"
    )
    species: str = eqx.field(static=True, default="car_t")
    signal: str = eqx.field(static=True, default="collagen")

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        velocity = taxis_velocity(
            tissue.grid, state[self.signal], self.sensitivity, self.largest, state[self.species], self.full
        )
        return {f"{self.species}.velocity": velocity}
