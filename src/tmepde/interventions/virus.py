"""Oncolytic viruses, plain or with an antigen for CAR-T cells."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import deposit, depth_parameter, site_parameter, width_parameter
from tmepde.parameter import param
from tmepde.physiology.populations import antigen_positive
from tmepde.physiology.rates import saturation


class OncolyticVirus(Intervention):
    """∂V/∂t += dose·w(x)/∫w dV: a virus injected into the tumour, where it spreads (``viral_infection``).

    Infected cells keep the antigen that they had. With ``antigen="delivered"`` those without it show the CAR's antigen
    too (CD19t, Park 2020): CAR-T cells find them, kill them and so set the virus free. A plain virus needs no CAR-T
    cells. Limits: given in place only.
    """

    requires = ("viral_infection",)
    reviews = (38,)
    acts_through = ("tumour_infected",)

    dose: Any = dose("1", doc="infectious virus particles into the tissue")
    antigen: str = choice("native", "delivered", doc="infected cells show the antigen they had, or all show one")
    contact_half: Any = param(
        "cells/mm^3",
        doc="target density of half-maximal contact",
        default=1e4,
        bounds=(1, 1e6),
        ref="as antigen_contact",
        status="assumed",
    )
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        add = {"virus.source": clock.rate(self.dose) * deposit(tissue.grid, self.site, self.width, self.depth)}
        if self.antigen == "delivered":
            native = antigen_positive(state)
            shown = state["tumour"] + state["tumour_infected"] - native
            more = shown / (self.contact_half + native + shown)
            add["delivered_antigen"] = jnp.where(state["tumour_infected"] > 0, 1.0, 0.0)
            add["antigen_contact"] = more * (1.0 - saturation(native, self.contact_half))
        return Effects(add=add)
