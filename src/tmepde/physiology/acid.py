"""Acid: what lactate does to pH, what bases undo, and what T cells remember of it.

    H = 7.4 − pH = (L − L₀ − B)₊/β        ∂B/∂t = ∇·(D_B ∇B) + bases − k_B B        ∂M/∂t = (H − M)/τ

Charge balance (Stewart): lactate is a strong anion; a base leaves strong cations behind (Ca²⁺, Mn²⁺, Na⁺), B of them
in mM of charge, and both move pH by the buffer capacity β. T cells in acid stop at once; taken out of it they need a
day to come back (Fischer 2007), which is the memory M.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.parameter import param
from tmepde.physiology.rates import hill, positive
from tmepde.process import Process
from tmepde.species import Species

_SECOND = 3600.0


class AcidBalance(Process):
    """``acidity`` = (L − L₀ − B)₊/β, and f = 1/(1 + ((M − H)₊/K)²) on division and secretion of CAR-T cells.

    Acid acts through ``acidity``, which killing, division and secretion read; lactate as such acts on nothing
    (Mendler 2012). While H ≥ M the memory adds nothing to the acid of the moment; once acid is gone, M decays with τ.
    M stays where it arose and does not crawl with the cells, which move 100 µm in a day.
    """

    requires: ClassVar[tuple[str, ...]] = ("glycolysis",)

    capacity: Any = param(
        "mM",
        doc="apparent buffer capacity per unit of pH",
        default=16.0,
        bounds=(1, 200),
        ref="10-40, calibrated to pH 6.7 in a nodule of 1.2 mm",
        status="assumed",
    )
    neutral_lactate: Any = param(
        "mM", doc="lactate at pH 7.4", default=1.0, bounds=(0, 30), ref="that of blood", status="from memory"
    )
    base_clearance: Any = param(
        "1/h",
        doc="wash-out of the cations of a base (2e-4/s)",
        default=2e-4 * _SECOND,
        bounds=(1e-4, 1e4),
        ref="calibrated to Prasad 2014, pH 6.7 to 7.2",
        status="assumed",
    )
    memory: Any = param(
        "h",
        doc="time in which T cells forget acid",
        default=10.0,
        bounds=(0.01, 1000),
        ref="Fischer 2007: recovered after 24 h without lactic acid",
        status="derived",
    )
    memory_half: Any = param(
        "1",
        doc="remembered drop of pH that halves division and secretion",
        default=0.3,
        bounds=(0.01, 5),
        ref="as for the acid of the moment",
        status="derived",
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "buffer_base": Species(
                0.0, 50.0 * _SECOND, None, 1e-2, "transported", "mM", "Cations of bases, mM of charge"
            ),
            "acid_memory": Species(0.0, 0.0, None, 1e-2, "local", "1", "Drop of pH that T cells remember"),
        }

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        acidity = positive(state["lactate"] - self.neutral_lactate - state["buffer_base"]) / self.capacity
        recalled = hill(positive(state["acid_memory"] - acidity), self.memory_half, 2)
        return {"acidity": acidity, "car_t_division": -recalled, "car_t_secretion": -recalled}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            "buffer_base.loss": self.base_clearance,
            "acid_memory.source": tissue["acidity"] / self.memory,
            "acid_memory.loss": 1.0 / self.memory,
        }
