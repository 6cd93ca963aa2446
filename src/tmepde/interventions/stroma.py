"""Therapies of the extracellular matrix."""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    arrival,
    deposit,
    depot_nanomolar,
    depth_parameter,
    drug_kinetics,
    interstitial,
    plasma,
    site_parameter,
    volume_parameter,
    width_parameter,
)
from tmepde.parameter import param


class MatrixEnzyme(Intervention):
    """∂φ_h/∂t −= k e φ_h: hyaluronidase (PEGPH20 class) from plasma through the wall, or injected into the tissue.

    Matrix that is gone lets T cells move, vessels open and particles diffuse. Where there is none it does nothing.
    """

    reviews: ClassVar[tuple[int, ...]] = (18,)

    dose: Any = dose("nmol", doc="enzyme into plasma or tissue")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    activity: Any = param(
        "1/(nM h)",
        doc="hyaluronan digested per enzyme",
        default=0.1,
        bounds=(0, 1e4),
        ref="depletes within hours",
        status="assumed",
    )
    diameter: Any = param(
        "nm", doc="hydrodynamic diameter", default=10.0, bounds=(1, 200), ref="PEGylated 60 kDa", status="assumed"
    )
    diffusivity: Any = param(
        "um^2/h",
        doc="diffusivity in tissue",
        default=10.2 * 3600,
        bounds=(0, 1e7),
        ref="as IgG, SPQSP PDAC",
        status="derived",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 24 h)",
        default=0.6931471805599453 / 24,
        bounds=(0, 100),
        ref="PEGPH20 1-2 days",
        status="from memory",
    )
    clearance: Any = param(
        "1/h",
        doc="loss in tissue (5e-5/s)",
        default=0.18,
        bounds=(0, 100),
        ref="antibody, handbook 3",
        status="assumed",
    )
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "hyaluronidase": interstitial("Hyaluronidase", self.diffusivity),
            "hyaluronidase_plasma": plasma("Hyaluronidase in plasma"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return drug_kinetics("hyaluronidase", self.diameter, self.elimination, self.clearance, state, tissue)

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = clock.rate(self.dose)
        if self.route == "intravenous":
            entry = {"hyaluronidase_plasma.source": rate / self.volume}
        else:
            shape = deposit(tissue.grid, self.site, self.width, self.depth)
            entry = {"hyaluronidase.source": depot_nanomolar(rate, shape, tissue)}
        return Effects(add={"hyaluronan.loss": self.activity * state["hyaluronidase"], **entry})


class HyaluronidaseParticle(Intervention):
    """∂φ_h/∂t −= k (n + b) φ_h: hyaluronidase on nanoparticles, which digest their own way into the tissue.

    The enzyme is where the model's nanoparticles are: it lives as long as they do and gets no further. Particles that
    do not pass the wall, or tissue without hyaluronan, leave it idle.
    """

    reviews: ClassVar[tuple[int, ...]] = (18,)
    acts_through: ClassVar[tuple[str, ...]] = ("nanoparticle", "nanoparticle_bound")

    dose: Any = dose("nmol", doc="particles into plasma or tissue")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    activity: Any = param(
        "1/(nM h)",
        doc="hyaluronan digested per particle (100 enzymes each)",
        default=10.0,
        bounds=(0, 1e6),
        ref="100 x the free enzyme",
        status="assumed",
    )
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        particles = state["nanoparticle"] + state["nanoparticle_bound"]
        entry = arrival("nanoparticle", self, clock.rate(self.dose), tissue)
        return Effects(add={"hyaluronan.loss": self.activity * particles, **entry})
