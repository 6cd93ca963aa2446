"""Vessels: how much wall there is, how leaky it is, how much of it is perfused, and what passes from blood to tissue.

    f_p = 1/(1 + L_p ν/c) · 1/(1 + (φ/φ₅₀)²),   L_p = γ d_p²/(32 η L)
    ∂d_p/∂t = (d_ss(V) − d_p)/τ,                 ∂ν/∂t = k_a H(V) ν (1 − ν/ν_max)₊ + k_r (ν⁰ − ν)

Leak takes flow from the vessel (transmural coupling), solid matrix compresses it. With shrinking pores but without the
leak factor, normalisation would lower the exchange of every particle size.
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.pores import hydraulic_conductivity
from tmepde.physiology.rates import hill, inhibition, positive, saturation
from tmepde.process import Process

#: what CAR-T cells carry on their surface, if a therapy brings it; ``…_plasma`` in blood
CARGO = "car_t_cargo"
#: thickness of a vessel wall in µm and area fraction of its pores (derived: 200 nm then give L_p = 2.8e-7 cm/(mmHg s))
WALL, PORE_AREA = 5.0, 1e-4


class VegfSignal(Process):
    """Tissue ``vegf_signal`` (nM) = V: what receptors see; an antibody scales it."""

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"vegf_signal": state["vegf"]}


class Perfusion(Process):
    """f_p = f_leak f_comp, tissue ``perfusion`` (base 1): 0.27 × compression for 200 nm pores, 0.93 for 35 nm.

    The flow of blood relative to that of vessels which are all open at rest: what widens vessels (mild heat, a donor of
    nitric oxide) multiplies it and may take it above 1.
    """

    leak_half: Any = param(
        "1/(mmHg h)",
        doc="leakiness L_p S/V that halves perfusion (2e-5 per mmHg and s)",
        default=2e-5 * 3600,
        bounds=(1e-4, 10),
        ref="closure for transmural coupling, handbook 2.6",
        status="assumed",
    )
    compression_half: Any = param(
        "1",
        doc="matrix volume fraction that halves perfusion",
        default=0.7,
        bounds=(0.01, 10),
        ref="handbook 2.6",
        status="assumed",
    )

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        leakiness = hydraulic_conductivity(state["pore_diameter"], PORE_AREA, WALL) * state["vessel_surface"]
        compression = hill(state["collagen"] + state["hyaluronan"], self.compression_half, 2)
        fraction = inhibition(leakiness, self.leak_half) * (1.0 - compression)
        return {"perfusion": fraction - 1.0}  # the base is 1: every vessel open, at rest


class PoreRelaxation(Process):
    """s_d = d_ss/τ, λ_d = 1/τ, d_ss = d₀ + (d₁ − d₀) V/(V + K): VEGF opens pores, its loss closes them."""

    mature: Any = param(
        "nm",
        doc="pore diameter without VEGF",
        default=20.0,
        bounds=(1, 100),
        ref="7-20 nm, handbook 2.6",
        status="from memory",
    )
    leaky: Any = param(
        "nm",
        doc="pore diameter in plenty of VEGF",
        default=200.0,
        bounds=(10, 2000),
        ref="cut-offs 200-1200 nm, Hobbs 1998",
        status="from memory",
    )
    vegf_half: Any = param("nM", doc="VEGF of half effect", default=0.08, bounds=(1e-4, 100), status="assumed")
    time: Any = param(
        "h",
        doc="relaxation time",
        default=36.0,
        bounds=(1, 1000),
        ref="normalisation within 1-2 days",
        status="from memory",
    )

    def target(self, vegf: Any) -> Any:
        """d_ss(V) in nm."""
        return self.mature + (self.leaky - self.mature) * saturation(vegf, self.vegf_half)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rate = 1.0 / self.time
        return {"pore_diameter.source": rate * self.target(tissue["vegf_signal"]), "pore_diameter.loss": rate}


class Angiogenesis(Process):
    """s_ν = k_a V²/(V² + K²) ν (1 − ν/ν_max)₊ + k_r ν⁰, λ_ν = k_r: new vessels by VEGF, remodelling to ν⁰ without."""

    rate: Any = param(
        "1/h", doc="growth in plenty of VEGF (0.02/day)", default=0.02 / 24, bounds=(0, 1), status="assumed"
    )
    remodelling: Any = param(
        "1/h", doc="return to the resident density (0.02/day)", default=0.02 / 24, bounds=(0, 1), status="assumed"
    )
    vegf_half: Any = param("nM", doc="VEGF of half effect", default=0.08, bounds=(1e-4, 100), status="assumed")
    limit: Any = param(
        "1/um", doc="largest surface density", default=0.05, bounds=(1e-4, 1), ref="2.5 x Baxter-Jain", status="assumed"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        surface = state["vessel_surface"]
        growth = (
            self.rate * hill(tissue["vegf_signal"], self.vegf_half, 2) * surface * positive(1.0 - surface / self.limit)
        )
        return {
            "vessel_surface.source": growth + self.remodelling * tissue["vessel_base"],
            "vessel_surface.loss": self.remodelling,
        }


class Extravasation(Process):
    """s_E = k_x ν f_p a (1 + g c/(c + K)) f T_blood, a = a⁰ K_V/(K_V + V): CAR-T cells leave perfused vessels.

    ``adhesion`` a⁰ (tissue, 0…1) is 0.1 inside an immune-excluded tumour and 1 in the host; VEGF lowers adhesion
    further. T_blood counts effector and memory cells; f is ``car_t_entry`` (base 1), what receptors for a chemokine
    change. Far below the supply by flow (0.12 of 12 per hour), hence no cap.
    """

    velocity: Any = param(
        "um/h",
        doc="entry per vessel surface and blood level",
        default=6.0,
        bounds=(0, 1e3),
        ref="calibrated, handbook 2.9",
        status="assumed",
    )
    chemokine_gain: Any = param(
        "1",
        doc="relative increase by chemokine",
        default=1.0,
        bounds=(0, 20),
        ref="handbook, item 22",
        status="assumed",
    )
    chemokine_half: Any = param("nM", doc="chemokine of half effect", default=1.0, bounds=(1e-4, 1e3), status="assumed")
    vegf_half: Any = param(
        "nM", doc="VEGF that halves adhesion", default=0.5, bounds=(1e-4, 100), ref="handbook 2.6", status="assumed"
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        adhesion = tissue["adhesion"] * inhibition(tissue["vegf_signal"], self.vegf_half)
        attraction = 1.0 + self.chemokine_gain * saturation(state["chemokine"], self.chemokine_half)
        blood = tissue["car_t_entry"] * (state["car_t_plasma"] + state["car_t_plasma_memory"])
        rate = self.velocity * state["vessel_surface"] * tissue["perfusion"] * adhesion * attraction
        entry = {"car_t.source": rate * blood}
        if CARGO in state:  # cells bring along what they carry
            entry[f"{CARGO}.source"] = rate * tissue["car_t_entry"] * state[f"{CARGO}_plasma"]
        return entry


class Egress(Process):
    """λ_E = λ_X = k (1 − A): T cells that meet no antigen leave tissue within days (S1P, lymph)."""

    rate: Any = param(
        "1/h",
        doc="departure without antigen",
        default=1 / 72,
        bounds=(0, 1),
        ref="residence of three days",
        status="assumed",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rate = self.rate * (1.0 - tissue["antigen_contact"])
        return {"car_t.loss": rate, "car_t_exhausted.loss": rate}
