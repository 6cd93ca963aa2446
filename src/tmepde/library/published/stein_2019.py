"""Stein et al. 2019: CAR-T cells in blood after one infusion, from 91 patients with leukaemia (tisagenlecleucel).

    T(t) = R₀ e^(ρt)                                                  t < t_max ,  R₀ = C_max/fold,  ρ = ln(fold)/t_max
    T(t) = C_max [(1 − F) e^(−α(t − t_max)) + F e^(−β(t − t_max))]    t ≥ t_max

as two populations that expand alike and then contract at α (effectors, share 1 − F) and β (memory, share F):

    dE/dt = ρ E (t < t_max), −α E (after)        dM/dt = ρ M (t < t_max), −β M (after)        dA/dt = E + M

The forced curve of the paper; :class:`tmepde.physiology.BloodKinetics` generates its like from a dose and an antigen.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel, per_day
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.species import Species
from tmepde.units import day

_REF = "Stein et al. 2019, CPT Pharmacometrics Syst. Pharmacol. 8:285"


class Stein2019(PublishedModel):
    """T = R₀ e^(ρt) to t_max, then C_max [(1 − F) e^(−α(t − t_max)) + F e^(−β(t − t_max))], copies/µg of DNA."""

    peak: Any = param("1", doc="C_max (copies/ug)", default=24000.0, bounds=(1e-3, 1e8), ref=_REF, status="seen")
    fold: Any = param("1", doc="expansion to the peak", default=3900.0, bounds=(1, 1e9), ref=_REF, status="seen")
    peak_time: Any = param("h", doc="t_max (9.3 days)", default=9.3 * day, bounds=(1, 2000), ref=_REF, status="seen")
    contraction: Any = per_day("α, contraction of effectors", 0.16, _REF)
    memory_loss: Any = per_day("β, loss of memory cells", 0.0032, _REF)
    memory_share: Any = param("1", doc="F, share of memory", default=0.0079, bounds=(0, 1), ref=_REF, status="seen")

    name: ClassVar[str] = "stein_2019"

    @property
    def expansion(self) -> Any:
        """ρ = ln(fold)/t_max in 1/h."""
        return jnp.log(self.fold) / self.peak_time

    def level(self, time: Any) -> Any:
        """T in copies/µg at ``time`` h, in closed form."""
        time = np.asarray(time, float)
        peak, since = float(self.peak), time - float(self.peak_time)
        share, fast, slow = float(self.memory_share), float(self.contraction), float(self.memory_loss)
        after = np.maximum(since, 0.0)
        fall = (1.0 - share) * np.exp(-fast * after) + share * np.exp(-slow * after)
        return peak * np.where(since < 0, np.exp(float(self.expansion) * np.minimum(since, 0.0)), fall)

    def build(self, grid: Grid) -> Model:
        start, share = self.peak / self.fold, self.memory_share

        def blood(initial: Any, long_name: str, unit: str = "1/ug") -> Species:
            return Species(initial, kind="compartment", unit=unit, long_name=long_name, negligible=1e-3)

        species = {
            "car_t_effector": blood((1.0 - share) * start, "Effector CAR-T cells (copies per µg of DNA)"),
            "car_t_memory": blood(share * start, "Memory CAR-T cells (copies per µg of DNA)"),
            "car_t_exposure": blood(0.0, "Exposure to CAR-T cells (copies h per µg of DNA)", "h/ug"),
        }
        return Model(grid, species, {self.name: self})

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        # the part of the step before the peak: the jump of the rates is delivered exactly, wherever steps end
        expanding = jnp.clip((self.peak_time - clock.base - clock.start) / clock.step, 0.0, 1.0)
        growth = self.expansion * expanding
        effector, memory = state["car_t_effector"], state["car_t_memory"]
        return {
            "car_t_effector.source": growth * effector,
            "car_t_effector.loss": self.contraction * (1.0 - expanding),
            "car_t_memory.source": growth * memory,
            "car_t_memory.loss": self.memory_loss * (1.0 - expanding),
            "car_t_exposure.source": effector + memory,
        }
