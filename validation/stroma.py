"""Validation row V8: normalisation of vessels selects particles by size (Chauhan 2012)."""

from __future__ import annotations

from typing import Any

from tmepde.physiology import Perfusion
from tmepde.physiology.pores import hydraulic_conductivity, wall_permeability
from tmepde.physiology.rates import inhibition
from tmepde.physiology.vessels import PORE_AREA, WALL


def v8() -> dict[str, float]:
    """Perfused fraction at 200 and 100 nm pores, and the ratio of f_p P after to before for 12, 60 and 125 nm."""

    def perfused(pore: float) -> Any:
        return inhibition(hydraulic_conductivity(pore, PORE_AREA, WALL) * 0.02, Perfusion().leak_half)

    def exchange(size: float, pore: float) -> Any:
        return perfused(pore) * wall_permeability(size, pore, PORE_AREA, WALL)

    ratios = {f"{size:g} nm": float(exchange(size, 100.0) / exchange(size, 200.0)) for size in (12.0, 60.0, 125.0)}
    return {"before": float(perfused(200.0)), "after": float(perfused(100.0)), **ratios}
