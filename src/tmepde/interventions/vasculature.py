"""Therapies of the vessel wall."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, dose
from tmepde.interventions.delivery import plasma, volume_parameter
from tmepde.interventions.drugs import distribution_parameter, elimination_parameter
from tmepde.parameter import param
from tmepde.physiology.populations import TUMOUR, dying, total
from tmepde.physiology.rates import hill, inhibition, saturation, secretion
from tmepde.species import Species


class AntiVEGF(Intervention):
    """V_seen = V/(1 + a/K), da/dt = dose/V_p − k a, ∂ν/∂t −= k_p a⁴/(a⁴ + K_p⁴) ν: bevacizumab class.

    Less VEGF signal lets pores shrink within days: less leak, more perfusion, more adhesion of T cells; oxygen, entry
    and small particles follow, large ones are shut out. A high level prunes vessels and undoes it (Mpekris 2020).
    Limits: one well-stirred plasma level; the antibody's own penetration is not resolved.
    """

    reviews: ClassVar[tuple[int, ...]] = (32,)

    dose: Any = dose("nmol", doc="antibody into plasma; 5 mg/kg of bevacizumab is 2300 nmol")
    volume: Any = volume_parameter()
    elimination: Any = param(
        "1/h",
        doc="clearance (half-life 20 days)",
        default=0.6931471805599453 / 480,
        bounds=(0, 10),
        ref="IgG 10-21 days",
        status="from memory",
    )
    affinity: Any = param(
        "nM", doc="plasma level that halves the VEGF signal", default=100.0, bounds=(1e-3, 1e5), status="assumed"
    )
    pruning: Any = param(
        "1/h", doc="largest loss of vessel surface (0.2/day)", default=0.2 / 24, bounds=(0, 1), status="assumed"
    )
    pruning_half: Any = param(
        "nM",
        doc="plasma level of half-maximal pruning",
        default=1500.0,
        bounds=(1e-3, 1e6),
        ref="high dose, Mpekris 2020",
        status="assumed",
    )

    def species(self, grid: Any) -> dict[str, Any]:
        return {"bevacizumab_plasma": plasma("Anti-VEGF antibody in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"bevacizumab_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        level = state["bevacizumab_plasma"]
        return Effects(
            scale={"vegf_signal": inhibition(level, self.affinity)},
            add={
                "bevacizumab_plasma.source": clock.rate(self.dose) / self.volume,
                "vessel_surface.loss": self.pruning * hill(level, self.pruning_half, 4),
            },
        )


class _Normaliser(Intervention):
    """a ← a (1 + g H), d_ss ← d_ss (1 − t H), H = e/(K + e): a drug that endothelium sees in plasma.

    Those below declare dose, adhesion g, tightening t, half K, elimination and volume.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def species(self, grid: Any) -> dict[str, Any]:
        return {f"{self.name}_plasma": plasma(f"{self.label} in plasma")}

    def kinetics(self: Any, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {f"{self.name}_plasma.loss": self.elimination}

    def effects(self: Any, clock: Any, state: Any, tissue: Any) -> Effects:
        effect = saturation(state[f"{self.name}_plasma"], self.half)
        return Effects(
            scale={
                "adhesion": 1.0 + self.adhesion * effect,
                "pore_diameter.source": 1.0 - self.tightening * effect,
            },
            add={f"{self.name}_plasma.source": clock.rate(self.dose) / self.volume},
        )


def _adhesion(default: float, ref: str) -> Any:
    doc = "largest relative rise of T-cell adhesion"
    return param("1", doc=doc, default=default, bounds=(0, 50), ref=ref, status="assumed")


def _tightening(default: float, ref: str) -> Any:
    doc = "share by which the pores of the wall shrink"
    return param("1", doc=doc, default=default, bounds=(0, 1), ref=ref, status="assumed")


def _half(default: float) -> Any:
    return param("nM", doc="plasma level of half effect", default=default, bounds=(1e-3, 1e6), status="assumed")


class Pak4Inhibitor(_Normaliser):
    """a ← a (1 + g H), d_ss ← d_ss (1 − t H), H = e/(K + e): endothelium becomes adhesive (VCAM-1) and tight again.

    PAK4 reprograms the endothelium of glioblastoma; inhibited, vessels let T cells in (Ma 2021). Where there are no
    vessels, or no T cells in blood, nothing comes of it. Limits: its action on tumour cells is not counted.
    """

    name = "pak4_inhibitor"
    label = "PAK4 inhibitor"
    reviews: ClassVar[tuple[int, ...]] = (33,)

    dose: Any = dose("nmol", doc="drug into plasma")
    adhesion: Any = _adhesion(5.0, "Ma 2021, size calibrated")
    tightening: Any = _tightening(0.5, "Ma 2021 (direction)")
    half: Any = _half(100.0)
    elimination: Any = elimination_parameter(6.0, "oral small molecules, hours")
    volume: Any = distribution_parameter()


class EndothelialMetabolism(_Normaliser):
    """a ← a (1 + g H), d_ss ← d_ss (1 − t H), H = e/(K + e): PFKFB3 blocked, vessels tighten.

    As a PAK4 inhibitor, milder. Limits: what it does to the glycolysis of tumour and T cells is not counted.
    """

    name = "pfkfb3_inhibitor"
    label = "PFKFB3 inhibitor"
    reviews: ClassVar[tuple[int, ...]] = (34,)

    dose: Any = dose("nmol", doc="drug into plasma")
    adhesion: Any = _adhesion(1.0, "handbook 34, milder")
    tightening: Any = _tightening(0.3, "handbook 34, milder")
    half: Any = _half(100.0)
    elimination: Any = elimination_parameter(4.0, "oral small molecules, hours")
    volume: Any = distribution_parameter()


class NitricOxideDonor(Intervention):
    """f_p ← f_p (1 + g e/(K + e)), de/dt = dose/V − k e: nitroglycerin class; vessels widen and more blood passes.

    f_p is flow, 1 that of vessels which are all open at rest; wide vessels exceed it. What is perfused brings more
    oxygen, T cells and particles (enhanced permeability and retention); where no vessel is perfused nothing comes of
    it. Limits: the nitric oxide of suppressor cells is in ``arginine_metabolism``; that of the drug is too little to
    hold T cells, and pressure in the rest of the body is not followed.
    """

    reviews: ClassVar[tuple[int, ...]] = (17,)

    dose: Any = dose("nmol", doc="drug into plasma; 10 mg of nitroglycerin is 4.4e4 nmol")
    gain: Any = param(
        "1",
        doc="largest rise of perfusion",
        default=0.5,
        bounds=(0, 10),
        ref="Seki 2009, direction",
        status="assumed",
    )
    half: Any = _half(5.0)
    elimination: Any = elimination_parameter(0.5, "patches hold levels for hours")
    volume: Any = distribution_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"nitric_oxide_donor_plasma": plasma("Nitric oxide donor in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"nitric_oxide_donor_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        return Effects(
            scale={"perfusion": 1.0 + self.gain * saturation(state["nitric_oxide_donor_plasma"], self.half)},
            add={"nitric_oxide_donor_plasma.source": clock.rate(self.dose) / self.volume},
        )


class VascularDisruption(Intervention):
    """f_p ← f_p (1 − 0.8 t x̂), x̂ = min(x, 1), dx/dt = dose/standard − x/24 h: CA4P class, tumour vessels collapse.

    Within an hour most tumour vessels (nest fraction t) stop, and come back over days; what dies of it meanwhile,
    ∂N/∂t = δ x̂ K⁴/(K⁴ + O⁴) C − k N, secretes chemokine. T cells given while vessels are shut cannot enter, those that
    come after recovery are drawn in (Deng 2020). Limits: a second dose within a day adds no more than full collapse.
    """

    reviews: ClassVar[tuple[int, ...]] = (35,)

    dose: Any = dose("nmol", doc="drug into plasma; 60 mg/m^2 is 2.5e5 nmol")
    standard: Any = param(
        "nmol", doc="dose that shuts all that can be shut", default=2.5e5, bounds=(1e-3, 1e9), ref="60 mg/m^2"
    )
    depth_of_collapse: Any = param(
        "1", doc="perfusion lost", default=0.8, bounds=(0, 1), ref="handbook 35", status="assumed"
    )
    recovery: Any = param("h", doc="time of recovery", default=24.0, bounds=(0.1, 1000), ref="handbook 35")
    necrosis: Any = param("1/h", doc="ischaemic death without oxygen", default=0.02, bounds=(0, 1), ref="as necrosis")
    oxygen_half: Any = param("mmHg", doc="pO2 of half-maximal death", default=1.0, bounds=(0.01, 20), ref="as necrosis")
    clearance: Any = param(
        "1/h", doc="clearance of ischaemic cells (0.1/day)", default=0.1 / 24, bounds=(0, 1), ref="SPQSP k_cell_clear"
    )
    chemokine: Any = param("1/s", doc="chemokine per ischaemic cell", default=3.0, bounds=(0, 1e3), status="assumed")

    def species(self, grid: Any) -> dict[str, Any]:
        return {
            "vessel_collapse": Species(
                0.0, kind="compartment", long_name="Collapse of tumour vessels", negligible=1e-3
            ),
            "ischaemic_cells": Species(
                0.0, kind="local", unit="cells/mm^3", long_name="Cells dead of ischaemia", negligible=100.0
            ),
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"vessel_collapse.loss": 1.0 / self.recovery, "ischaemic_cells.loss": self.clearance}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        collapse = jnp.minimum(state["vessel_collapse"], 1.0)
        death = self.necrosis * collapse * inhibition(state["oxygen"], self.oxygen_half, 4)
        made = secretion(self.chemokine, state["ischaemic_cells"], tissue["interstitium"])
        return Effects(
            scale={"perfusion": 1.0 - self.depth_of_collapse * collapse * tissue["region_tumour"]},
            add={
                "vessel_collapse.source": clock.rate(self.dose) / self.standard,
                "ischaemic_cells.source": death * total(TUMOUR, state),
                "chemokine.source": made,
                **dying(TUMOUR, death, state),
            },
        )


class EdbTargeting(Intervention):
    """λ_ν += k_v A H, λ_φc += k_m A H, A = V²/(V² + K²), H = e/(K_e + e): ED-B fibronectin.

    The splice variant is in new vessels and their matrix, made where VEGF makes vessels grow; resident vessels are
    spared. An antibody with a toxic load, or any effector in plasma, kills the one and loosens the other. Limits: one
    plasma level; losing vessels costs oxygen and entry, so that the matrix gain may be spent.
    """

    reviews: ClassVar[tuple[int, ...]] = (31,)

    dose: Any = dose("nmol", doc="antibody conjugate into plasma")
    vessel_loss: Any = param("1/h", doc="largest loss of new vessels (0.1/day)", default=0.1 / 24, bounds=(0, 1))
    matrix_loss: Any = param("1/h", doc="largest loss of collagen (0.1/day)", default=0.1 / 24, bounds=(0, 1))
    vegf_half: Any = param("nM", doc="VEGF of half expression", default=0.08, bounds=(1e-4, 100), ref="as angiogenesis")
    half: Any = _half(50.0)
    elimination: Any = elimination_parameter(72.0, "antibody conjugates, days")
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"edb_conjugate_plasma": plasma("ED-B conjugate in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"edb_conjugate_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        target = hill(tissue["vegf_signal"], self.vegf_half, 2) * saturation(state["edb_conjugate_plasma"], self.half)
        return Effects(
            add={
                "edb_conjugate_plasma.source": clock.rate(self.dose) / self.volume,
                "vessel_surface.loss": self.vessel_loss * target,
                "collagen.loss": self.matrix_loss * target,
            }
        )
