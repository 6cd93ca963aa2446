"""Glucose and lactate, quasi-steady, in mM of tissue water.

    0 = ∇·(D_G ∇G) − Σ u_i N_i G/(K_G + G) + k_G f_p (ν/ν₀) (G_v − G)
    0 = ∇·(D_L ∇L) + 2 a(O) u_C N_C G/(K_G + G) + 2 u_T N_T G/(K_G + G) + k_L f_p (ν/ν₀) (L_v − L) − k₀ L

Tumour cells ferment most of their glucose even in plenty of oxygen, and take up more without it. A part of the lactate
is burnt again by neighbours (k₀). Pyruvate and other fuels are not fields: they are the share w of division that
needs no glucose.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.parameter import param
from tmepde.physiology.oxygen import UPTAKE
from tmepde.physiology.populations import T_CELLS, TUMOUR, total
from tmepde.physiology.rates import inhibition, saturation
from tmepde.process import Process
from tmepde.species import Species

_SECOND = 3600.0
#: amol/cell/s × cells/mm³ → mM/h
_MILLIMOLAR = UPTAKE * 1e-6
#: mM of glucose in blood at which cells divide as without this process
_NORMAL = 5.0


def vessel_share(state: Any, tissue: Any, reference: Any) -> Any:
    """f_p ν/ν₀: perfused vessel surface relative to where exchange rates are stated."""
    return tissue["perfusion"] * state["vessel_surface"] / reference


class Glycolysis(Process):
    """λ_G = Σ u_i N_i/(K + G) + k_G p, s_L = 2 a(O) u_C(O) N_C G/(K + G) + … + k_L p L_v, with p = f_p ν/ν₀.

    u_C = q_C (1 + (h − 1) K_O/(K_O + O)), a = 1 − x O/(K_O + O): hypoxia raises uptake h-fold and leaves nothing to
    burn. Division of tumour and CAR-T cells falls with w + (1 − w) G/(G + K), relative to 5 mM, normal in blood, so
    that a glucose-hungry tumour starves its T cells. Drugs scale ``tumour_glycolysis``, ``car_t_glycolysis`` (base 1);
    ``tumour_glucose_share`` and ``car_t_glucose_share`` say how much of division they can take: 1 − w/(w + (1 − w) …).
    Acid follows from lactate in :class:`~tmepde.physiology.AcidBalance`.
    """

    requires: ClassVar[tuple[str, ...]] = ("acid_balance",)

    tumour: Any = param(
        "amol/s",
        doc="glucose uptake of a tumour cell in plenty of oxygen",
        default=100.0,
        bounds=(0, 1000),
        ref="Casciari 1992, EMT6, 30-300",
        status="from memory",
    )
    hypoxia: Any = param(
        "1",
        doc="fold increase of uptake without oxygen",
        default=2.0,
        bounds=(1, 20),
        ref="Pasteur effect, Casciari 1992",
        status="from memory",
    )
    oxygen_half: Any = param("mmHg", doc="pO2 of half effect", default=8.0, bounds=(0.01, 50), status="assumed")
    oxidised: Any = param(
        "1",
        doc="share of the glucose that is burnt in plenty of oxygen",
        default=0.1,
        bounds=(0, 1),
        ref="57 amol/s of oxygen over 6, of 100 amol/s of glucose",
        status="derived",
    )
    lymphocyte: Any = param(
        "amol/s", doc="glucose uptake of a T cell, all fermented", default=30.0, bounds=(0, 1000), status="assumed"
    )
    host: Any = param(
        "amol/s", doc="glucose uptake of a stroma cell, all burnt", default=10.0, bounds=(0, 1000), status="assumed"
    )
    half: Any = param(
        "mM", doc="Michaelis constant of uptake", default=0.5, bounds=(1e-3, 20), ref="GLUT1", status="from memory"
    )
    plasma_glucose: Any = param(
        "mM", doc="glucose in blood", default=_NORMAL, bounds=(0.1, 30), ref="physiology", status="from memory"
    )
    plasma_lactate: Any = param(
        "mM", doc="lactate in blood", default=1.0, bounds=(0, 30), ref="physiology", status="from memory"
    )
    glucose_exchange: Any = param(
        "1/h",
        doc="exchange of glucose with fully perfused vessels (0.03/s)",
        default=0.03 * _SECOND,
        bounds=(0, 1e4),
        ref="that of oxygen by the ratio of diffusivities is 0.036/s",
        status="derived",
    )
    lactate_exchange: Any = param(
        "1/h",
        doc="exchange of lactate with fully perfused vessels (0.006/s)",
        default=0.006 * _SECOND,
        bounds=(0, 1e4),
        ref="calibrated to 10-15 mM in a nodule of 1.2 mm; sink of 2-3e-3/s, handbook 3",
        status="derived",
    )
    lactate_use: Any = param(
        "1/h",
        doc="lactate burnt by neighbouring cells (1e-4/s)",
        default=1e-4 * _SECOND,
        bounds=(1e-6, 1e3),
        status="assumed",
    )
    reference: Any = param(
        "1/um",
        doc="vessel surface density of the stated rates",
        default=0.02,
        bounds=(1e-4, 1),
        ref="Baxter-Jain 200/cm",
        status="from memory",
    )
    tumour_other_fuel: Any = param(
        "1",
        doc="tumour division that needs no glucose (lactate, pyruvate, glutamine)",
        default=0.5,
        bounds=(0, 1),
        status="assumed",
    )
    lymphocyte_other_fuel: Any = param(
        "1", doc="CAR-T division that needs no glucose", default=0.2, bounds=(0, 1), status="assumed"
    )
    division_half: Any = param(
        "mM", doc="glucose of half-maximal division", default=0.5, bounds=(1e-3, 20), status="assumed"
    )

    def brings(self, tissue: Any) -> dict[str, Any]:
        def field(name: str, start: float, per_second: float) -> Species:
            return Species(start, per_second * _SECOND, None, 1e-3, "quasi_steady", "mM", name)

        return {"glucose": field("Glucose", 2.0, 110.0), "lactate": field("Lactate", 8.0, 160.0)}

    def fuel(self, glucose: Any, other: Any) -> Any:
        """w + (1 − w) G/(G + K), relative to that in normal blood."""

        def share(g: Any) -> Any:
            return other + (1.0 - other) * saturation(g, self.division_half)

        return share(glucose) / share(_NORMAL)

    def share(self, glucose: Any, other: Any) -> Any:
        """(1 − w) G/(G + K)/(w + (1 − w) G/(G + K)): the share of division that glucose carries, 0…1."""
        carried = (1.0 - other) * saturation(glucose, self.division_half)
        return carried / (other + carried + 1e-30)

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        glucose = state["glucose"]
        return {
            "tumour_glucose_share": self.share(glucose, self.tumour_other_fuel),
            "car_t_glucose_share": self.share(glucose, self.lymphocyte_other_fuel),
            "tumour_glycolysis": 1.0,
            "car_t_glycolysis": 1.0,
            "tumour_division": self.fuel(glucose, self.tumour_other_fuel) - 1.0,
            "car_t_division": self.fuel(glucose, self.lymphocyte_other_fuel) - 1.0,
        }

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        glucose, oxygen = state["glucose"], state["oxygen"]
        hungry = 1.0 + (self.hypoxia - 1.0) * inhibition(oxygen, self.oxygen_half)
        tumour = self.tumour * hungry * tissue["tumour_glycolysis"] * total(TUMOUR, state)
        lymphocytes = self.lymphocyte * tissue["car_t_glycolysis"] * total(T_CELLS, state)
        demand = _MILLIMOLAR * (tumour + lymphocytes + self.host * tissue["host_cells"])
        fermented = tumour * (1.0 - self.oxidised * saturation(oxygen, self.oxygen_half)) + lymphocytes
        share = vessel_share(state, tissue, self.reference)
        made = 2.0 * _MILLIMOLAR * fermented * saturation(glucose, self.half)
        return {
            "glucose.source": self.glucose_exchange * share * self.plasma_glucose,
            "glucose.loss": demand / (self.half + glucose) + self.glucose_exchange * share,
            "lactate.source": made + self.lactate_exchange * share * self.plasma_lactate,
            "lactate.loss": self.lactate_exchange * share + self.lactate_use,
        }
