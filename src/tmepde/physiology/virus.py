"""A virus that lives on tumour cells: it enters, multiplies, and bursts out when its host dies.

∂C/∂t = … − b V C + ρ I,   ∂I/∂t = b V C − (λ + ρ) I,   ∂V/∂t = ∇·(D ∇V) + n λ I − (c + b C) V
b = β K/(K + IFN-γ)
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.populations import ANTIGEN_CLASSES, antigen_share, total
from tmepde.physiology.pores import interstitial_diffusivity
from tmepde.physiology.rates import inhibition
from tmepde.process import Process
from tmepde.species import Species

#: fibre radius and mesh (nm) and tortuosity of ``nanoparticle_diffusion``
_FIBRE, _MESH, _TORTUOSITY = 20.0, 6.1, 0.37


class ViralInfection(Process):
    """∂I/∂t = b V C − (λ + ρ) I, ∂V/∂t = ∇·(D ∇V) + n λ I − (c + b C) V, b = β K/(K + IFN-γ): infected cells burst.

    λ counts every death of an infected cell, by the virus (δ), T cells (Park 2020) or therapy: each sets virus free.
    Most infections abort: the cell recovers at ρ, unless a T cell comes first. IFN-γ guards cells against infection:
    CAR-T cells and virus hamper each other. D falls with the matrix, steeply for large virions.
    Infected cells do not divide; in all else (breath, fuel, secretion, room, what kills them) they are taken to be as
    their neighbours, whose antigen they share: host proteins are not shut off. Limits: no antibodies; no interferon but
    that of T cells.
    """

    infection: Any = param(
        "mm^3/h", doc="infection per virus and cell density", default=1e-6, bounds=(0, 1e-2), status="assumed"
    )
    lysis: Any = param(
        "1/h",
        doc="death of infected cells by the virus (0.5/day)",
        default=0.5 / 24,
        bounds=(0, 5),
        ref="hours to days",
        status="from memory",
    )
    recovery: Any = param(
        "1/h", doc="end of infections that abort (2/day)", default=2 / 24, bounds=(0, 5), status="assumed"
    )
    burst: Any = param(
        "1", doc="infectious particles set free per dead infected cell", default=40.0, bounds=(0, 1e5), status="assumed"
    )
    clearance: Any = param("1/h", doc="loss of free virus", default=0.05, bounds=(0, 100), status="assumed")
    interferon_half: Any = param(
        "nM",
        doc="IFN-gamma that halves infection; 5 for a pox virus, which brings a decoy receptor",
        default=0.05,
        bounds=(1e-5, 1e6),
        ref="handbook 38, IFN limits spread",
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

    def brings(self, tissue: Any) -> dict[str, Any]:
        return {
            "virus": Species(0.0, 0.0, None, 100.0, "transported", "1/mm^3", "Oncolytic virus"),
            "tumour_infected": Species(0.0, 0.0, None, 100.0, "local", "cells/mm^3", "Infected tumour cells"),
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rate = self.infection * inhibition(state["ifn_gamma"], self.interferon_half)
        targets, positive = total(ANTIGEN_CLASSES, state), antigen_share(state)
        back = self.recovery * state["tumour_infected"]
        return {
            "virus.diffusivity": interstitial_diffusivity(self.diameter, tissue["matrix"], _FIBRE, _MESH, _TORTUOSITY),
            "virus.loss": self.clearance + rate * targets,
            "tumour_infected.source": rate * state["virus"] * targets,
            "tumour_infected.loss": self.recovery,
            "tumour_infected.death": self.lysis,
            "tumour.source": back * positive,
            "tumour_negative.source": back * (1.0 - positive),
            **{f"{name}.loss": rate * state["virus"] for name in ANTIGEN_CLASSES},
        }

    def aftermath(self, clock: Any, state: Any, tissue: Any, deaths: Any) -> dict[str, Any]:
        return {"virus.source": self.burst * deaths["tumour_infected"] * state["tumour_infected"]}
