"""CAR-T cells in blood, generated from the infused dose.

    dT/dt = [(ρ + α) g − α] T + dose,   dM/dt = F α (1 − g) T − β M,   dS/dt = −ρ g T/T_peak,   g = (1 + K) S/(K + S)

T effector and M memory cells (cells/µL), S the systemic antigen that is left (1 before therapy). While antigen lasts T
grows at ρ; T_peak/ρ cell-hours use it up; then T contracts at α and a share F lives on as memory. That is the curve of
Stein 2019 (ρ = 0.889/day, peak at day 9.3 for a 3900-fold expansion, α = 0.16/day, β = 0.0032/day, F = 0.0079) with
the peak set by antigen and the time of the peak by dose, as in patients, and a second dose finds no antigen left.
Stein's curve is met within 0.5 % at days 2 to 28 and 2 % later; its kink at the peak is rounded (23,500 copies/µg of
24,000).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde.parameter import param
from tmepde.physiology.rates import positive
from tmepde.process import Process

_DAY = 24.0
_STEIN = "Stein 2019"


class BloodKinetics(Process):
    """dT/dt = [(ρ + α) g − α] T, dM/dt = F α (1 − g) T − β M, dS/dt = −ρ g T/T_peak.

    Good values of ``peak``: 240 cells/µL leukaemia, 36 solid tumours (0.15 of it), 2400 mice.
    """

    expansion: Any = param(
        "1/h", doc="net expansion rate", default=0.889 / _DAY, bounds=(0, 1), ref=_STEIN, status="seen"
    )
    contraction: Any = param(
        "1/h", doc="contraction after the peak", default=0.16 / _DAY, bounds=(0, 1), ref=_STEIN, status="seen"
    )
    memory_share: Any = param(
        "1", doc="share that becomes memory", default=0.0079, bounds=(0, 1), ref=_STEIN, status="seen"
    )
    memory_loss: Any = param(
        "1/h", doc="loss of memory cells", default=0.0032 / _DAY, bounds=(0, 1), ref=_STEIN, status="seen"
    )
    peak: Any = param(
        "cells/uL",
        doc="blood level at which antigen is used up",
        default=36.0,
        bounds=(1e-6, 1e6),
        ref="Stein 24000 copies/ug x 0.01 cells/uL x 0.15 in solid tumours",
        status="assumed",
    )
    antigen_half: Any = param(
        "1", doc="antigen left at half drive: how sharp the peak is", default=0.02, bounds=(1e-3, 10), status="assumed"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells, antigen = state["car_t_plasma"], state["systemic_antigen"]
        appetite = (1.0 + self.antigen_half) / (self.antigen_half + antigen)  # g/S
        drive = appetite * antigen
        spent = positive(1.0 - antigen) * self.antigen_half / (self.antigen_half + antigen)  # 1 − g, to all its digits
        return {
            "car_t_plasma.source": (self.expansion + self.contraction) * drive * cells,
            "car_t_plasma.loss": self.contraction,
            "car_t_plasma_memory.source": self.memory_share * self.contraction * spent * cells,
            "car_t_plasma_memory.loss": self.memory_loss,
            "systemic_antigen.loss": self.expansion * appetite * cells / self.peak,
        }


class ForcedBloodKinetics(Process):
    """dT/dt += k (T*(t) − T): blood levels follow Stein's curve, whatever was infused.

    With s = t − t₀: T* = (C/fold) e^{ρ s} up to T_max, then C [(1 − F) e^{−α (s − T_max)} + F e^{−β (s − T_max)}];
    the part with β are memory cells. Off (k = 0) by default; switch ``blood_kinetics`` off where this one is on, as the
    preset ``blood="forced"`` does. The lag is ρ/k, 0.07 % at k = 50/h.
    """

    follow: Any = param("1/h", doc="k; 0 is off, 50 follows closely", default=0.0, bounds=(0, 1e3), status="assumed")
    start: Any = param("h", doc="time of the infusion", default=0.0, bounds=(0, 1e5), status="assumed")
    peak: Any = param(
        "cells/uL",
        doc="level at the peak",
        default=36.0,
        bounds=(0, 1e6),
        ref="Stein 24000 copies/ug x 0.01 cells/uL x 0.15 in solid tumours",
        status="assumed",
    )
    fold: Any = param("1", doc="peak over start", default=3900.0, bounds=(1, 1e9), ref=_STEIN, status="seen")
    peak_time: Any = param(
        "h", doc="time from infusion to peak", default=9.3 * _DAY, bounds=(1, 1e4), ref=_STEIN, status="seen"
    )
    contraction: Any = param(
        "1/h", doc="contraction after the peak", default=0.16 / _DAY, bounds=(0, 1), ref=_STEIN, status="seen"
    )
    memory_share: Any = param(
        "1", doc="share that becomes memory", default=0.0079, bounds=(0, 1), ref=_STEIN, status="seen"
    )
    memory_loss: Any = param(
        "1/h", doc="loss of memory cells", default=0.0032 / _DAY, bounds=(0, 1), ref=_STEIN, status="seen"
    )

    def curve(self, time: Any) -> tuple[Any, Any]:
        """(effector, memory) level at ``time`` (h), 0 before the infusion."""
        since = time - self.start
        early = jnp.clip(since, 0.0, self.peak_time)
        late = jnp.maximum(since - self.peak_time, 0.0)
        rising = self.peak * jnp.exp(-jnp.log(self.fold) * (1.0 - early / self.peak_time))
        falling = self.peak * (1.0 - self.memory_share) * jnp.exp(-self.contraction * late)
        memory = self.peak * self.memory_share * jnp.exp(-self.memory_loss * late)
        past = since >= self.peak_time
        return (
            jnp.where(since < 0.0, 0.0, jnp.where(past, falling, rising)),
            jnp.where(past, memory, 0.0),
        )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        effector, memory = self.curve(clock.time)
        return {
            "car_t_plasma.source": self.follow * effector,
            "car_t_plasma.loss": self.follow,
            "car_t_plasma_memory.source": self.follow * memory,
            "car_t_plasma_memory.loss": self.follow,
        }
