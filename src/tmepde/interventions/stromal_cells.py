"""CAR-T cells against the stroma: armed with an enzyme that digests matrix, or aimed at those who make it.

∂e/∂t = ∇·(D ∇e) + q E/φ_i − k e ,   ∂φ/∂t −= k_φ e φ              ∂F/∂t −= k E_F F/(h + E_F + F)
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import interstitial
from tmepde.parameter import param
from tmepde.physiology.populations import ROAMING, TUMOUR, total
from tmepde.physiology.rates import inhibition, positive, saturation, secretion
from tmepde.species import Species

#: which part of the matrix an enzyme digests, and what it is called
_ENZYMES = {"hyaluronan": ("ph20", "PH20"), "collagen": ("heparanase", "Heparanase")}


def _enzyme_diffusivity() -> Any:
    return param(
        "um^2/h",
        doc="diffusivity of the enzyme (10 um^2/s)",
        default=10.2 * 3600,
        bounds=(0, 1e7),
        ref="60 kDa, as IgG in SPQSP PDAC",
        status="derived",
    )


def _enzyme_clearance() -> Any:
    return param(
        "1/h",
        doc="loss in tissue (5e-5/s)",
        default=0.18,
        bounds=(0, 100),
        ref="antibody, handbook 3",
        status="assumed",
    )


def _enzyme_secretion() -> Any:
    return param("1/s", doc="molecules per CAR-T cell", default=20.0, bounds=(0, 1e4), status="assumed")


def _enzyme_activity() -> Any:
    return param("1/(nM h)", doc="matrix digested per enzyme", default=0.1, bounds=(0, 1e4), status="assumed")


class EnzymeCarT(Intervention):
    """∂φ/∂t −= k e φ, s_e = q (E + X)/φ_i: CAR-T cells that secrete PH20 (hyaluronan) or heparanase (fibres).

    They clear their own way: more depth, killing per cell and cytokines unchanged (Caruana 2015, Zhao 2021). Where the
    substrate is absent nothing changes. It belongs to all CAR-T cells of the model. Limits: heparan sulphate is not a
    field; heparanase loosens ``collagen``, which stands for the whole fibre network.
    """

    reviews: ClassVar[tuple[int, ...]] = (30,)

    substrate: str = choice("hyaluronan", "collagen", doc="hyaluronan by PH20, or the fibre network by heparanase")
    secretion: Any = _enzyme_secretion()
    activity: Any = _enzyme_activity()
    diffusivity: Any = _enzyme_diffusivity()
    clearance: Any = _enzyme_clearance()

    def species(self, grid: Any) -> dict[str, Any]:
        name, label = _ENZYMES[self.substrate]
        return {name: interstitial(label, self.diffusivity)}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {f"{_ENZYMES[self.substrate][0]}.loss": self.clearance}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        name, cells = _ENZYMES[self.substrate][0], total(ROAMING, state)
        return Effects(
            add={
                f"{name}.source": secretion(self.secretion, cells, tissue["interstitium"]),
                f"{self.substrate}.loss": self.activity * state[name],
            }
        )


class SynnotchCarT(Intervention):
    """∂φ/∂t −= k e φ for collagen and hyaluronan, s_e = q E C/(K + C)/φ_i: enzyme only where a priming antigen is.

    A synNotch receptor for an antigen of the tumour (both antigen classes carry it) turns the secretion of a matrix
    protease on; CAR-T cells elsewhere leave the matrix alone. Limits: priming is instantaneous and forgotten at once.
    """

    reviews: ClassVar[tuple[int, ...]] = (29,)

    secretion: Any = _enzyme_secretion()
    activity: Any = _enzyme_activity()
    priming_half: Any = param(
        "cells/mm^3",
        doc="antigen-bearing cells of half priming",
        default=1e4,
        bounds=(1, 1e6),
        ref="as antigen contact",
    )
    diffusivity: Any = _enzyme_diffusivity()
    clearance: Any = _enzyme_clearance()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"synnotch_enzyme": interstitial("synNotch-driven enzyme", self.diffusivity)}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"synnotch_enzyme.loss": self.clearance}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        primed = state["car_t"] * saturation(total(TUMOUR, state), self.priming_half)
        digested = self.activity * state["synnotch_enzyme"]
        return Effects(
            add={
                "synnotch_enzyme.source": secretion(self.secretion, primed, tissue["interstitium"]),
                "collagen.loss": digested,
                "hyaluronan.loss": digested,
            }
        )


class FapCarT(Intervention):
    """∂F/∂t −= k E F/(h + E + F), λ_φ += m K/(K + K_h), K the kills: FAP-CAR-T cells.

    ∂E/∂t = D g ∇²E + k_x ν f_p a B + r E F/(F + F_h)(1 − E/E_max)₊ − δ E, dB/dt = f·dose/V − β B, a = a⁰ K_V/(K_V + V)
    as for CAR-T cells. A population of their own, which removes fibroblasts. With turnover alone matrix would outlive
    its makers by months; dying fibroblasts release proteases, so that it goes in a week or two. Pericytes carry some
    FAP: a little perfusion is lost. Where there are no fibroblasts, matrix stays. Limits: FAP-CAR-T cells neither crowd
    nor breathe nor tire, and FAP outside the tumour (bone marrow, muscle) is not in the model.
    """

    requires: ClassVar[tuple[str, ...]] = ("fibroblasts",)
    reviews: ClassVar[tuple[int, ...]] = (31,)

    dose: Any = dose("cells", doc="FAP-CAR-T cells into blood")
    engraftment: Any = param(
        "1", doc="infused cells that reach the peak in blood", default=1.0, bounds=(0, 1e4), status="assumed"
    )
    blood_volume: Any = param(
        "L", doc="blood volume (5 in a human, 2e-3 in a mouse)", default=5.0, bounds=(1e-4, 20), ref="physiology"
    )
    blood_loss: Any = param(
        "1/h", doc="contraction in blood (0.16/day)", default=0.16 / 24, bounds=(0, 1), ref="Stein 2019", status="seen"
    )
    velocity: Any = param("um/h", doc="entry per vessel surface", default=6.0, bounds=(0, 1e3), ref="as CAR-T cells")
    vegf_half: Any = param(
        "nM", doc="VEGF that halves adhesion", default=0.5, bounds=(1e-4, 100), ref="as CAR-T cells", status="assumed"
    )
    motility: Any = param("um^2/h", doc="random motility", default=516.0, bounds=(0, 1e5), ref="as CAR-T cells")
    division: Any = param(
        "1/h", doc="division rate among fibroblasts", default=0.02, bounds=(0, 0.2), ref="half of CAR-T cells"
    )
    death: Any = param("1/h", doc="death (0.1/day)", default=0.1 / 24, bounds=(0, 0.1), ref="SPQSP k_CD8_death")
    full: Any = param("cells/mm^3", doc="density at which tissue is full", default=5e4, bounds=(1e3, 1e6), ref="CAR-T")
    rate: Any = param(
        "1/h", doc="kills per cell in plenty of fibroblasts", default=5 / 24, bounds=(0, 5), ref="Halle 2016, 2-16/day"
    )
    half: Any = param(
        "cells/mm^3", doc="double-saturation constant", default=4e4, bounds=(1, 1e7), ref="as for tumour cells"
    )
    fibroblast_half: Any = param(
        "cells/mm^3", doc="fibroblasts of half contact", default=1e3, bounds=(1, 1e6), status="assumed"
    )
    protease: Any = param(
        "1/h",
        doc="matrix lost while fibroblasts are killed (0.2/day)",
        default=0.2 / 24,
        bounds=(0, 1),
        ref="handbook 31",
    )
    protease_half: Any = param(
        "cells/mm^3/h", doc="kills of half the protease", default=2.0, bounds=(1e-3, 1e5), status="assumed"
    )
    pericyte_loss: Any = param(
        "1", doc="perfusion lost among many FAP-CAR-T cells", default=0.1, bounds=(0, 1), ref="handbook 31, small"
    )

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "fap_car_t": Species(0.0, 0.0, None, 5.0, "transported", "cells/mm^3", "FAP-CAR-T cells"),
            "fap_car_t_plasma": Species(0.0, 0.0, None, 1e-2, "compartment", "cells/uL", "FAP-CAR-T cells in blood"),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells, blood = state["fap_car_t"], state["fap_car_t_plasma"]
        adhesion = tissue["adhesion"] * inhibition(tissue["vegf_signal"], self.vegf_half)
        entry = self.velocity * state["vessel_surface"] * tissue["perfusion"] * adhesion * blood
        contact = saturation(state["fibroblast"], self.fibroblast_half)
        return {
            "fap_car_t.diffusivity": self.motility * tissue["motility"],
            "fap_car_t.source": entry + self.division * contact * positive(1.0 - cells / self.full) * cells,
            "fap_car_t.loss": self.death,
            "fap_car_t_plasma.loss": self.blood_loss,
        }

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        cells, targets = state["fap_car_t"], state["fibroblast"]
        kill = self.rate * cells / (self.half + cells + targets)
        digested = self.protease * saturation(kill * targets, self.protease_half)
        entry = clock.rate(self.dose) * self.engraftment / (self.blood_volume * 1e6)
        return Effects(
            scale={"perfusion": 1.0 - self.pericyte_loss * saturation(cells, self.fibroblast_half)},
            add={
                "fibroblast.death": kill,
                "collagen.loss": digested,
                "hyaluronan.loss": digested,
                "fap_car_t_plasma.source": entry,
            },
        )
