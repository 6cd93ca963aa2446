"""Baxter & Jain 1989: the interstitial pressure of a tumour, isolated or embedded in normal tissue.

    0 = ∇·(K ∇p) + L (p_e − p) − L_L p ,     v = −K ∇p

In the tumour K, L, p_e without lymphatics; outside (embedded) K_n, L_n, p_n and lymphatics L_L. Isolated, α = R √(L/K):

    p = p_e [1 − R sinh(αr/R)/(r sinh α)] ,     v(R) = (K p_e/R)(α coth α − 1)
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tmepde.boundary import Dirichlet
from tmepde.grid import Grid
from tmepde.library.published.base import PublishedModel, ball
from tmepde.model import Model
from tmepde.parameter import param
from tmepde.physiology import InterstitialFlow
from tmepde.process import Process
from tmepde.species import Species
from tmepde.units import cm, second

_REF = "Baxter & Jain 1989, Microvasc. Res. 37:77"
_MEMORY = "from memory"


def _conductivity(doc: str, value: float, status: str = _MEMORY) -> Any:
    text = f"{doc} ({value:g} cm^2/mmHg/s)"
    default = value * cm**2 / second
    return param("um^2/h/mmHg", doc=text, default=default, bounds=(0, 1e8), ref=_REF, status=status)


def _leak(doc: str, value: float, status: str = _MEMORY) -> Any:
    text = f"{doc} ({value:g}/mmHg/s)"
    return param("1/h/mmHg", doc=text, default=value / second, bounds=(0, 1e3), ref=_REF, status=status)


def _pressure(doc: str, value: float, status: str = "derived") -> Any:
    return param("mmHg", doc=doc, default=value, bounds=(-20, 100), ref=_REF, status=status)


_CONDUCTIVITY: dict[str, Any] = {"doc": "K, interstitium of the tumour", "value": 4.13e-8, "status": "seen"}
_FILTRATION: dict[str, Any] = {"doc": "L, vessel walls of the tumour, 2.8e-7 cm/mmHg/s x 200/cm", "value": 5.6e-5}
_EFFECTIVE: dict[str, Any] = {"doc": "p_e, tumour: 15.6 - 0.82 (20 - 15)", "value": 11.5}
_HOST_FILTRATION: dict[str, Any] = {"doc": "L_n, normal vessel walls, 0.36e-7 cm/mmHg/s x 70/cm", "value": 2.52e-6}
_HOST_EFFECTIVE: dict[str, Any] = {"doc": "p_n, normal: 15.6 - 0.91 (20 - 10)", "value": 6.5}
_LYMPHATIC: dict[str, Any] = {"doc": "L_L, normal lymphatics", "value": 1.33e-5}


class BaxterJainIsolated(PublishedModel):
    """0 = ∇·(K∇p) + L (p_e − p) in a ball, p = 0 around it: p = p_e [1 − R sinh(αr/R)/(r sinh α)], α = R √(L/K)."""

    radius: Any = param(
        "um",
        doc="R, the tumour (0.1 cm); the world ends there",
        default=1000.0,
        bounds=(1, 1e6),
        ref=_REF,
        status=_MEMORY,
    )
    conductivity: Any = _conductivity(**_CONDUCTIVITY)
    filtration: Any = _leak(**_FILTRATION)
    effective_pressure: Any = _pressure(**_EFFECTIVE)

    name: ClassVar[str] = "baxter_jain_isolated"

    def build(self, grid: Grid) -> Model:
        """On a radius that ends at R, or in a box, where cells beyond R are held at p = 0."""
        flow = InterstitialFlow(self.conductivity, self.filtration, self.effective_pressure, boundary=Dirichlet(0.0))
        held = ball(grid, self.radius) == 0
        pressure = flow.species()
        if held.any():
            pressure = Species(
                0.0,
                0.0,
                flow.boundary,
                kind="quasi_steady",
                unit="mmHg",
                signed=True,
                held=held,
                long_name=pressure.long_name,
            )
        return Model(grid, {"interstitial_pressure": pressure}, {"flow": flow})

    def alpha(self) -> float:
        """α = R √(L/K)."""
        return float(self.radius) * float(np.sqrt(self.filtration / self.conductivity))


class BaxterJainEmbedded(PublishedModel):
    """0 = ∇·(K∇p) + L (p_e − p) in a ball, 0 = ∇·(K_n∇p) + L_n (p_n − p) − L_L p outside; p and K∂p join at R."""

    radius: Any = param("um", doc="R, the tumour (1 cm)", default=1e4, bounds=(1, 1e6), ref=_REF, status=_MEMORY)
    conductivity: Any = _conductivity(**_CONDUCTIVITY)
    filtration: Any = _leak(**_FILTRATION)
    effective_pressure: Any = _pressure(**_EFFECTIVE)
    host_conductivity: Any = _conductivity("K_n, normal interstitium; 8.53e-8 in public code", 8.53e-9)
    host_filtration: Any = _leak(**_HOST_FILTRATION)
    host_effective_pressure: Any = _pressure(**_HOST_EFFECTIVE)
    host_lymphatic: Any = _leak(**_LYMPHATIC)

    name: ClassVar[str] = "baxter_jain_embedded"

    def build(self, grid: Grid) -> Model:
        """A ball in the middle of a grid that should reach several √(K_n/(L_n + L_L)) (230 µm) beyond R."""
        tumour = ball(grid, self.radius)
        flow = InterstitialFlow(
            self.conductivity,
            self.filtration,
            self.effective_pressure,
            conductivity_factor="relative_conductivity",
            filtration_factor="tumour",
        )
        host = HostFiltration(self.host_filtration, self.host_effective_pressure, self.host_lymphatic)
        relative = tumour + (1.0 - tumour) * float(self.host_conductivity / self.conductivity)
        tissue = {"tumour": tumour, "host": 1.0 - tumour, "relative_conductivity": relative}
        return Model(grid, {"interstitial_pressure": flow.species()}, {"flow": flow, "host": host}, tissue)


class HostFiltration(Process):
    """s_p = L_n p_n, λ_p = L_n + L_L, where there is host tissue: vessels and lymphatics around a tumour."""

    filtration: Any = _leak(**_HOST_FILTRATION)
    effective_pressure: Any = _pressure(**_HOST_EFFECTIVE)
    lymphatic: Any = _leak(**_LYMPHATIC)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        host = tissue["host"]
        return {
            "interstitial_pressure.source": self.filtration * self.effective_pressure * host,
            "interstitial_pressure.loss": (self.filtration + self.lymphatic) * host,
        }
