"""What optional cytokines have in common: one field in nM, made by cells, lost by decay and uptake.

∂c/∂t = ∇·(D ∇c) + Σ q_i N_i/φ_i − (k₀ + Σ u_j N_j) c
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.parameter import param
from tmepde.physiology.rates import secretion
from tmepde.process import Process
from tmepde.species import Species

_PDAC = "Ramanujan 2002, SPQSP PDAC"


def diffusivity(per_second: float, ref: str = _PDAC, status: str = "seen") -> Any:
    """Declare D in µm²/h from µm²/s."""
    doc = f"diffusivity in tissue ({per_second:g} um^2/s)"
    return param("um^2/h", doc=doc, default=per_second * 3600.0, bounds=(0, 1e7), ref=ref, status=status)


def decay(per_hour: float, doc: str, ref: str, status: str = "seen") -> Any:
    """Declare k₀ in 1/h."""
    return param("1/h", doc=doc, default=per_hour, bounds=(1e-6, 100), ref=ref, status=status)


def rate(who: str, default: float, ref: str = "") -> Any:
    """Declare q in molecules/s per cell."""
    return param("1/s", doc=f"molecules per {who}", default=default, bounds=(0, 1e4), ref=ref, status="assumed")


def half(what: str, default: float, ref: str = "", status: str = "assumed") -> Any:
    """Declare a half-saturation in nM."""
    return param("nM", doc=what, default=default, bounds=(1e-5, 1e3), ref=ref, status=status)


class Soluble(Process):
    """∂c/∂t = ∇·(D ∇c) + made/φ_i − (k₀ + cleared) c; a subclass says what is ``made`` (molecules/mm³/s)."""

    name: ClassVar[str]
    long_name: ClassVar[str]
    #: level below which nobody cares, in nM
    negligible: ClassVar[float] = 1e-3

    diffusivity: Any
    decay: Any

    def made(self, state: Any, tissue: Any) -> Any:
        """Σ q_i N_i in molecules/s per mm³."""
        raise TypeError(f"{type(self).__name__} must define `made(state, tissue)`.")

    def cleared(self, state: Any) -> Any:
        """Σ u_j N_j in 1/h. Default: nothing but decay."""
        return 0.0

    def brings(self, tissue: Any) -> dict[str, Any]:
        field = Species(0.0, self.diffusivity, None, self.negligible, "transported", "nM", self.long_name)
        return {self.name: field}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {
            f"{self.name}.source": secretion(1.0, self.made(state, tissue), tissue["interstitium"]),
            f"{self.name}.loss": self.decay + self.cleared(state),
        }
