"""CAR-T cells in tissue: expansion, death, exhaustion, random motility and bounded chemotaxis.

    ∂E/∂t = −∇·J + r h_O A (b + H(G)) (1 − (E + X)/E_max)₊ E − δ E − ε E + entry
    J = −D g (1 − a A) ∇E + v E,    v = S g (1 − a A) CI tanh(l) ∇c/|∇c| · (1 − (E + X)/E_max)₊ of the receiving side

Without volume filling and antigen arrest, chemotaxis towards the tumour collapses every CAR-T cell into the centre.
Proliferation is limited by T cells, not by tumour packing, which would freeze expansion.
"""

from __future__ import annotations

from typing import Any

from tmepde.operators import downwind, face_mean, face_norm, gradient
from tmepde.parameter import param
from tmepde.physiology.rates import hill, inhibition, positive, saturation, tanh_ratio
from tmepde.process import Process


def taxis(grid: Any, ligand: Any, pace: Any, half: Any, cell_size: Any, threshold: Any) -> tuple[Any, ...]:
    """pace·tanh(l) ∇c/|∇c| on faces, l = R K |∇c|/((K + c)² θ): bounded chemotaxis up a ``ligand`` (nM); µm/h.

    Args:
        pace: index times speed, a field in µm/h, never exceeded.
        half: K in nM. cell_size: R in µm. threshold: occupancy difference θ across the cell that saturates.
    """
    steepness = cell_size * half / ((half + ligand) ** 2 * threshold)  # l = steepness·|∇c|
    return tuple(
        p * b * tanh_ratio(b * norm) * slope
        for p, b, norm, slope in zip(
            face_mean(grid, pace),
            face_mean(grid, steepness),
            face_norm(grid, ligand),
            gradient(grid, ligand),
            strict=True,
        )
    )


_ARREST: dict[str, Any] = dict(
    doc="share of motility lost on antigen contact",
    default=0.7,
    bounds=(0, 1),
    ref="handbook 2.2, needed",
    status="assumed",
)
_FULL: dict[str, Any] = dict(
    doc="T-cell density at which tissue is full",
    default=5e4,
    bounds=(1e3, 1e6),
    ref="handbook 2.9, needed",
    status="assumed",
)


_RETENTION: dict[str, Any] = dict(
    doc="CXCL12 that halves motility",
    default=2.0,
    bounds=(1e-3, 1e3),
    ref="SPQSP PDAC CXCL12_50_Texcl",
    status="seen",
)


class MatrixHindrance(Process):
    """g = b/(1 + (d_c/d₀)⁴ (φ/φ₀)²), b = (1 − w φ)₊: matrix slows T cells; tissue ``motility`` (base 1).

    From g = d⁴/(d⁴ + d_c⁴) with pores d = d₀ √(φ₀/φ): 0.84 at φ = 0.12, 0.46 at 0.3. The barrier b is that of aligned
    fibres (``alignment`` w, per volume fraction, from the tissue) and falls with the matrix. φ is collagen and
    hyaluronan together (tissue ``matrix``).
    """

    pore: Any = param(
        "um",
        doc="matrix pore at the reference density",
        default=3.5,
        bounds=(0.5, 50),
        ref="SPQSP PDAC d_pore_ref",
        status="seen",
    )
    critical_pore: Any = param(
        "um",
        doc="pore that halves motility",
        default=2.3,
        bounds=(0.1, 10),
        ref="SPQSP PDAC d_crit_T, n = 4",
        status="seen",
    )
    reference: Any = param(
        "1",
        doc="matrix volume fraction of the reference pore",
        default=0.12,
        bounds=(0.001, 1),
        ref="SPQSP PDAC phi_col_ref",
        status="seen",
    )

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        matrix = state["collagen"] + state["hyaluronan"]
        pores = 1.0 / (1.0 + (self.critical_pore / self.pore) ** 4 * (matrix / self.reference) ** 2)
        factor = pores * positive(1.0 - tissue["alignment"] * matrix)
        return {"matrix": matrix, "motility": factor - 1.0}  # the base is 1: open tissue


class Motility(Process):
    """D_E = D₀ g s (1 − a A), D_X = D₀ g s: persistent random walk, D₀ = S² P/3; s = 1/(1 + C/K), C CXCL12.

    Lymph nodes reach 67 µm²/min; the continuum models of Lai & Friedman use 0.06.
    """

    diffusivity: Any = param(
        "um^2/h",
        doc="random motility in open tissue (8.6 um^2/min)",
        default=516.0,
        bounds=(0, 1e5),
        ref="S^2 P/3, handbook",
        status="derived",
    )
    arrest: Any = param("1", **_ARREST)
    retention_half: Any = param("nM", **_RETENTION)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        free = self.diffusivity * tissue["motility"] * inhibition(tissue["cxcl12_signal"], self.retention_half)
        return {
            "car_t.diffusivity": free * (1.0 - self.arrest * tissue["antigen_contact"]),
            "car_t_exhausted.diffusivity": free,
        }


class Chemotaxis(Process):
    """v = S g s (1 − a A) CI tanh(l) ∇c/|∇c|, l = R K |∇c|/((K + c)² θ): never faster than CI·S = 32 µm/h.

    s = 1/(1 + C/K_C) is what ``cxcl12_signal`` C (base 0) leaves of the speed; θ is the difference in receptor
    occupancy across a cell of size R that saturates the response.
    """

    speed: Any = param(
        "um/h",
        doc="speed of a crawling T cell (3.6 um/min)",
        default=216.0,
        bounds=(0, 2000),
        ref="SPQSP PDAC; Boissonnas 2007",
        status="seen",
    )
    index: Any = param(
        "1",
        doc="largest chemotactic index",
        default=0.15,
        bounds=(0, 1),
        ref="between 0.17 (effector) and 0.129 (cytotoxic), SPQSP PDAC; Galeano Nino 2020",
        status="derived",
    )
    half: Any = param(
        "nM",
        doc="chemokine of half receptor occupancy",
        default=1.0,
        bounds=(1e-4, 1e3),
        ref="handbook 2.9",
        status="assumed",
    )
    cell_size: Any = param(
        "um",
        doc="length over which a cell compares",
        default=10.0,
        bounds=(1, 50),
        ref="handbook 2.2",
        status="assumed",
    )
    threshold: Any = param(
        "1",
        doc="occupancy difference that saturates",
        default=0.02,
        bounds=(1e-4, 1),
        ref="Zigmond type, handbook 2.2",
        status="from memory",
    )
    arrest: Any = param("1", **_ARREST)
    full: Any = param("cells/mm^3", **_FULL)
    retention_half: Any = param("nM", **_RETENTION)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        grid, chemokine = tissue.grid, state["chemokine"]
        pace = self.index * self.speed * tissue["motility"] * (1.0 - self.arrest * tissue["antigen_contact"])
        pace = pace * inhibition(tissue["cxcl12_signal"], self.retention_half)
        velocity = taxis(grid, chemokine, pace, self.half, self.cell_size, self.threshold)
        room = positive(1.0 - (state["car_t"] + state["car_t_exhausted"]) / self.full)
        return {"car_t.velocity": downwind(grid, velocity, room)}


class Expansion(Process):
    """s_E = r · O/(O + K_O) · A · (b + (1 − b) G/(G + K_G)) · f_milieu · (1 − (E + X)/E_max)₊ · E: division on antigen.

    f_milieu = 1/((1 + (H/K_H)²)(1 + A/K_A)(1 + Y/K_Y)) with acid H = 7.4 − pH, adenosine and kynurenine, 1 without
    them; ``car_t_division`` (base 1) is what arginine, fuel, costimulation and drugs scale.
    """

    rate: Any = param(
        "1/h",
        doc="largest division rate",
        default=0.04,
        bounds=(0, 0.2),
        ref="k_CD8_pro 1/day (SPQSP); Stein 2019 0.89/day",
        status="seen",
    )
    baseline: Any = param(
        "1",
        doc="share that needs no common-gamma cytokine",
        default=0.25,
        bounds=(0, 1),
        ref="handbook 2.9",
        status="assumed",
    )
    cytokine_half: Any = param(
        "nM", doc="cytokine of half effect", default=0.32, bounds=(1e-4, 100), ref="SPQSP IL2_50", status="seen"
    )
    oxygen_half: Any = param(
        "mmHg",
        doc="pO2 of half-maximal division",
        default=8.0,
        bounds=(0.01, 50),
        ref="Berahovich 2019 (1 % O2)",
        status="derived",
    )
    acid_half: Any = param(
        "1",
        doc="drop of pH below 7.4 that halves division",
        default=0.3,
        bounds=(0.01, 5),
        ref="Fischer 2007: proliferation -95 % at 20 mM",
        status="derived",
    )
    adenosine_half: Any = param(
        "nM", doc="adenosine that halves division", default=2000.0, bounds=(1.0, 1e6), ref="A2aR", status="assumed"
    )
    kynurenine_half: Any = param(
        "nM", doc="kynurenine that halves division", default=2e4, bounds=(1.0, 1e7), ref="Shao 2021", status="assumed"
    )
    full: Any = param("cells/mm^3", **_FULL)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        cells = state["car_t"]
        drive = self.baseline + (1.0 - self.baseline) * saturation(state["growth_factor"], self.cytokine_half)
        room = positive(1.0 - (cells + state["car_t_exhausted"]) / self.full)
        rate = self.rate * saturation(state["oxygen"], self.oxygen_half) * tissue["antigen_contact"] * drive * room
        milieu = inhibition(tissue["acidity"], self.acid_half, 2)
        milieu = milieu * inhibition(tissue["adenosine_signal"], self.adenosine_half)
        milieu = milieu * inhibition(tissue["kynurenine_signal"], self.kynurenine_half)
        return {"car_t.source": rate * milieu * positive(tissue["car_t_division"]) * cells}


class Turnover(Process):
    """λ_E += δ_E, λ_X += δ_X: death of effector and exhausted cells."""

    effector: Any = param(
        "1/h",
        doc="death rate of effectors",
        default=0.1 / 24,
        bounds=(0, 0.1),
        ref="SPQSP k_CD8_death; Stein alpha 0.16/day",
        status="seen",
    )
    exhausted: Any = param(
        "1/h",
        doc="death rate of exhausted cells",
        default=0.15 / 24,
        bounds=(0, 0.1),
        ref="SPQSP k_CD8_exh_death",
        status="seen",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"car_t.death": self.effector, "car_t_exhausted.death": self.exhausted}


class Exhaustion(Process):
    """E → X at ε = (ε₀ + ε_A A)(1 + a_T T/(T + K_T))(1 + a_h (1 − h_O))(1 + a_P P²/(P² + P₅₀²)) f.

    f is ``car_t_exhaustion`` (base 1), which engineering scales.
    """

    basal: Any = param(
        "1/h", doc="rate without antigen", default=0.05 / 24, bounds=(0, 0.1), ref="SPQSP PDAC, basal", status="seen"
    )
    antigen: Any = param(
        "1/h",
        doc="rate added on antigen contact",
        default=0.1 / 24,
        bounds=(0, 0.1),
        ref="SPQSP k_C_CD8_exh",
        status="seen",
    )
    tgf_beta: Any = param("1", doc="relative increase by TGF-beta", default=1.0, bounds=(0, 20), status="assumed")
    tgf_beta_half: Any = param(
        "nM", doc="TGF-beta of half effect", default=0.14, bounds=(1e-4, 100), ref="SPQSP PDAC", status="seen"
    )
    hypoxia: Any = param("1", doc="relative increase without oxygen", default=0.25, bounds=(0, 20), status="assumed")
    oxygen_half: Any = param(
        "mmHg", doc="pO2 of half effect", default=8.0, bounds=(0.01, 50), ref="as for division", status="assumed"
    )
    pd1: Any = param("1", doc="relative increase by engaged PD-1", default=1.0, bounds=(0, 20), status="assumed")
    pd1_half: Any = param(
        "1/um^2",
        doc="engaged PD-1 of half effect",
        default=6.0,
        bounds=(1e-3, 1e3),
        ref="SPQSP PDAC PD1_50",
        status="seen",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        rate = self.basal + self.antigen * tissue["antigen_contact"]
        rate = rate * (1.0 + self.tgf_beta * saturation(tissue["tgf_beta_signal"], self.tgf_beta_half))
        rate = rate * (1.0 + self.hypoxia * inhibition(state["oxygen"], self.oxygen_half))
        rate = rate * (1.0 + self.pd1 * hill(tissue["pd1_engagement"], self.pd1_half, 2)) * tissue["car_t_exhaustion"]
        return {"car_t.loss": rate, "car_t_exhausted.source": rate * state["car_t"]}
