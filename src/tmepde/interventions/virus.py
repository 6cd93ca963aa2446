"""Oncolytic viruses: they spread from cell to cell, and may carry an antigen for CAR-T cells.

∂C/∂t −= β_I V C,   ∂I/∂t = β_I V C − δ I,   ∂V/∂t = ∇·(D_V ∇V) + b δ I − (c + β_I C) V,   β_I = β K/(K + IFN-γ)
"""

from __future__ import annotations

from typing import Any

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import deposit, depth_parameter, site_parameter, width_parameter
from tmepde.parameter import param
from tmepde.physiology.pores import interstitial_diffusivity
from tmepde.physiology.rates import inhibition
from tmepde.species import Species

#: fibre radius and mesh (nm) and tortuosity of ``nanoparticle_diffusion``
_FIBRE, _MESH, _TORTUOSITY = 20.0, 6.1, 0.37
#: mm³ of a tumour cell
_CELL = 2572e-9


class OncolyticVirus(Intervention):
    """∂I/∂t = β V C − δ I, ∂V/∂t = ∇·(D ∇V) + b δ I − (c + β C) V: infected cells burst and infect their neighbours.

    IFN-γ of CAR-T cells weakens infection, β K/(K + IFN-γ): early CAR-T cells stop the virus. ``antigen="delivered"``
    is a virus that carries the CAR's antigen (CD19t, Park 2020): an antigen-negative cell shows it on infection and
    becomes antigen-positive, then a second infection lyses it as usual. Dense matrix holds the virus back. Limits:
    infected cells are invisible to T cells for the day they live; no antibodies against the virus.
    """

    reviews = (38,)

    dose: Any = dose("1", doc="infectious virus particles into the tissue")
    antigen: str = choice("native", "delivered", doc="cells keep their antigen, or show one that the virus delivers")
    infection: Any = param(
        "mm^3/h", doc="infection per virus and cell density", default=2e-7, bounds=(0, 1e-2), status="assumed"
    )
    lysis: Any = param(
        "1/h",
        doc="death of infected cells (1/day)",
        default=1 / 24,
        bounds=(0, 5),
        status="from memory",
        ref="hours to days",
    )
    burst: Any = param("1", doc="infectious particles per lysed cell", default=20.0, bounds=(0, 1e5), status="assumed")
    clearance: Any = param("1/h", doc="loss of free virus", default=0.1, bounds=(0, 100), status="assumed")
    interferon_half: Any = param(
        "nM",
        doc="IFN-gamma that halves infection",
        default=0.05,
        bounds=(1e-5, 1e6),
        ref="handbook 38",
        status="assumed",
    )
    diameter: Any = param(
        "nm",
        doc="diameter of the virion (adenovirus 90, herpes 200, pox 300)",
        default=90.0,
        bounds=(10, 500),
        ref="adenovirus",
        status="from memory",
    )
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "virus": Species(0.0, kind="transported", unit="1/mm^3", long_name="Oncolytic virus", negligible=100.0),
            "tumour_infected": Species(
                0.0, kind="local", unit="cells/mm^3", long_name="Infected tumour cells", negligible=100.0
            ),
        }

    def _infection(self, state: Any) -> Any:
        """β_I V in 1/h."""
        return self.infection * inhibition(state["ifn_gamma"], self.interferon_half) * state["virus"]

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        targets = state["tumour"] + state["tumour_negative"]
        uptake = self.infection * inhibition(state["ifn_gamma"], self.interferon_half) * targets
        return {
            "virus.diffusivity": interstitial_diffusivity(self.diameter, tissue["matrix"], _FIBRE, _MESH, _TORTUOSITY),
            "virus.loss": self.clearance + uptake,
        }

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = self._infection(state)
        positive, negative = rate * state["tumour"], rate * state["tumour_negative"]
        if self.antigen == "delivered":
            converted = {"tumour_infected.source": positive, "tumour.source": negative}
        else:
            converted = {"tumour_infected.source": positive + negative}
        entry = clock.rate(self.dose) * deposit(tissue.grid, self.site, self.width, self.depth)
        return Effects(
            add={
                "crowding": _CELL * state["tumour_infected"],
                "tumour.loss": rate,
                "tumour_negative.loss": rate,
                "tumour_infected.death": self.lysis,
                "virus.source": entry + self.burst * self.lysis * state["tumour_infected"],
                **converted,
            }
        )
