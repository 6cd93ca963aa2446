"""Nanoparticles that find cells, and that let go of a drug where tissue asks for it.

binding   ∂b/∂t += k (B − b)₊ n,  B = sites · N/N₀            n, b the model's free and bound particles
release   ∂c/∂t += m k_rel (n + b),  k_rel = Σ_t k_t · trigger_t
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import drug_kinetics, interstitial, plasma, volume_parameter
from tmepde.parameter import param
from tmepde.physiology.populations import ANY_T_CELL, T_CELLS, TUMOUR, antigen_positive, dying, total
from tmepde.physiology.rates import inhibition, positive, saturation
from tmepde.species import Species

#: cells/mm³ at which the stated number of sites is met
_DENSE = 2.3e5


def _sites(default: float, ref: str = "1e5-1e6 receptors per cell are 200-2000 nM") -> Any:
    return param("nM", doc="sites where target cells are dense (2.3e5/mm^3)", default=default, bounds=(0, 1e6), ref=ref)


def _association(default: float = 0.05) -> Any:
    return param("1/(nM h)", doc="binding rate constant", default=default, bounds=(0, 1e4), status="assumed")


def capture(association: Any, sites: Any, state: Any) -> dict[str, Any]:
    """k (B − b)₊ from free to bound particles, split into gain and loss so that b never overshoots its sites.

    Written so that its derivative is 0 too where there is no site: implicit steps read it.
    """
    free, bound = state["nanoparticle"], state["nanoparticle_bound"]
    return {
        "nanoparticle.loss": association * jnp.where(sites > bound, sites - bound, 0.0),
        "nanoparticle_bound.source": association * sites * free,
        "nanoparticle_bound.loss": association * jnp.minimum(1.0, sites / jnp.maximum(bound, 1e-6)) * free,
    }


class TargetedCarrier(Intervention):
    """B = sites · N/N₀: a ligand on the model's nanoparticle binds one kind of cell.

    Folate (and lipoprotein for SCARB1) binds tumour cells, an antibody (EGFR, HER2, CEA) those with the antigen,
    hyaluronic acid (CD44) tumour cells and T cells, ganglioside GM3 (CD169, SIGLEC1) macrophages, for which the
    resident stroma cells stand. More sites hold more particles at the entry and let fewer through
    (binding-site barrier).
    """

    reviews = (17, 46)

    ligand: str = choice("folate", "hyaluronic_acid", "ganglioside", "antibody", doc="what the particle wears")
    sites: Any = _sites(500.0)
    association: Any = _association()

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        tumour = total(TUMOUR, state)
        if self.ligand == "folate":
            cells = tumour
        elif self.ligand == "antibody":
            cells = antigen_positive(state)
        elif self.ligand == "hyaluronic_acid":
            cells = tumour + total(T_CELLS, state)
        else:
            cells = tissue["host_cells"]
        return Effects(add=capture(self.association, self.sites * cells / _DENSE, state))


class Glycoengineering(Intervention):
    """∂a/∂t = k z/(K + z) (1 − a) − λ a, B = sites · a N/N₀: cells fed ManNAz bind particles with DBCO.

    Receptors made of sugar, on any cell that takes it up; here tumour cells. Capture gets faster and penetration
    shorter: the front moves as √(2 D φ_i c₀ t/B). Give the particles by another therapy. Limits: labelling of healthy
    cells is not followed.
    """

    reviews = (27,)

    dose: Any = dose("nmol", doc="ManNAz into plasma; 300 mg/kg are 1e8 nmol in a human")
    sites: Any = _sites(2000.0, "azides outnumber receptors")
    association: Any = param(
        "1/(nM h)",
        doc="click rate constant (1e3/(M s) is 0.004)",
        default=0.004,
        bounds=(0, 1e4),
        ref="strain-promoted",
    )
    labelling: Any = param("1/h", doc="labelling in plenty of sugar", default=0.05, bounds=(0, 10), status="assumed")
    half: Any = param("nM", doc="sugar of half labelling", default=1e4, bounds=(1, 1e8), ref="10-50 uM in culture")
    turnover: Any = param(
        "1/h", doc="loss of label (half-life 3 days)", default=math.log(2.0) / 72, bounds=(0, 10), status="assumed"
    )
    diameter: Any = param("nm", doc="size of the sugar", default=1.0, bounds=(0.1, 100), status="assumed")
    diffusivity: Any = param(
        "um^2/h", doc="diffusivity (200 um^2/s)", default=200.0 * 3600, bounds=(0, 1e7), ref="small molecule"
    )
    elimination: Any = param(
        "1/h", doc="clearance (half-life 1 h)", default=math.log(2.0), bounds=(0, 100), ref="small sugar"
    )
    clearance: Any = param("1/h", doc="loss in tissue", default=0.1, bounds=(0, 100), status="assumed")
    volume: Any = volume_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        azide = Species(0.0, kind="local", unit="1", long_name="Azide on tumour cells, of the most", negligible=1e-3)
        return {
            "mannaz": interstitial("ManNAz", self.diffusivity),
            "mannaz_plasma": plasma("ManNAz in plasma"),
            "azide": azide,
        }

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        fed = self.labelling * saturation(state["mannaz"], self.half)
        drug = drug_kinetics("mannaz", self.diameter, self.elimination, self.clearance, state, tissue)
        return {**drug, "azide.source": fed, "azide.loss": fed + self.turnover}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        cells = total(TUMOUR, state)
        sites = self.sites * state["azide"] * cells / _DENSE
        entry = {"mannaz_plasma.source": clock.rate(self.dose) / self.volume}
        return Effects(add={**capture(self.association, sites, state), **entry})


def _release(doc: str, default: float = 0.0) -> Any:
    return param("1/h", doc=f"release in plenty of {doc}", default=default, bounds=(0, 100), status="assumed")


def _trigger(unit: str, doc: str, default: float, bounds: tuple[float, float]) -> Any:
    return param(unit, doc=f"{doc} of half release", default=default, bounds=bounds, status="assumed")


class DrugCarrier(Intervention):
    """k_rel = Σ_t k_t x_t/(K_t + x_t), s_c = m k_rel (n + b): a drug in the model's nanoparticle, let go on a trigger.

    Triggers: acid, glutathione (GSH, which cuts disulfide bonds; in proportion to tumour cells), peroxide (its
    production), heat (where a model carries ``temperature``) and enzymes (MMP, CTSS, plasmin; in proportion to
    hyaluronan, whose turnover they are); on top of the constant release of ``payload_release``, whose ``loading`` m is
    that of the particle. What the drug does is a choice; ``cytotoxic`` is chemotherapy such as doxorubicin. Limits: one
    kind of nanoparticle per model, whose cargo is that of all carriers together.
    """

    reviews = (12, 17, 46)
    acts_through = ("nanoparticle", "nanoparticle_bound", "payload")

    dose: Any = dose("nmol", doc="particles into plasma")
    drug: str = choice(
        "checkpoint", "tgf_beta", "adenosine", "ido", "cytotoxic", doc="what the cargo blocks, or that it kills"
    )
    half: Any = param(
        "nM", doc="free cargo that halves its target, or kills at half rate", default=100.0, bounds=(1e-3, 1e7)
    )
    acid: Any = _release("acid", 0.1)
    acid_half: Any = _trigger("1", "drop of pH below 7.4", 0.5, (0.01, 5))
    glutathione: Any = _release("tumour cells, which hold glutathione")
    glutathione_half: Any = _trigger("cells/mm^3", "tumour cell density", 1e5, (1, 1e7))
    peroxide: Any = _release("peroxide")
    peroxide_half: Any = _trigger("nM/h", "peroxide production", 1e6, (1, 1e12))
    heat: Any = _release("heat")
    heat_half: Any = _trigger("K", "rise above 37 C", 4.0, (0.1, 50))
    enzyme: Any = _release("hyaluronan, which enzymes cut")
    enzyme_half: Any = _trigger("1", "hyaluronan", 0.05, (1e-4, 1))
    kill_rate: Any = param("1/h", doc="death of tumour cells in plenty of drug", default=0.03, bounds=(0, 1))
    lymphocyte_share: Any = param("1", doc="death of T cells relative to that", default=0.5, bounds=(0, 5))
    volume: Any = volume_parameter()

    def trigger(self, state: Any, tissue: Any) -> Any:
        """k_rel in 1/h."""
        cells = total(TUMOUR, state)
        found = self.acid * saturation(positive(tissue["acidity"]), self.acid_half)
        found = found + self.glutathione * saturation(cells, self.glutathione_half)
        found = found + self.peroxide * saturation(tissue["peroxide_production"], self.peroxide_half)
        found = found + self.enzyme * saturation(state["hyaluronan"], self.enzyme_half)
        if "temperature" in state:
            found = found + self.heat * saturation(state["temperature"], self.heat_half)
        return found

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = self.trigger(state, tissue)
        carried = state["nanoparticle"] + state["nanoparticle_bound"]
        entry = {
            "nanoparticle_plasma.source": clock.rate(self.dose) / self.volume,
            "nanoparticle.loss": rate,
            "nanoparticle_bound.loss": rate,
            "payload.source": tissue["particle_cargo"] * rate * carried,
        }
        level = state["payload"]
        if self.drug == "cytotoxic":
            death = self.kill_rate * saturation(level, self.half)
            killed = dying(TUMOUR, death, state) | dying(ANY_T_CELL, self.lymphocyte_share * death, state)
            return Effects(add={**entry, **killed})
        signal = {
            "checkpoint": "pd1_engagement",
            "tgf_beta": "tgf_beta_signal",
            "adenosine": "adenosine_signal",
            "ido": "kynurenine_signal",
        }[self.drug]
        return Effects(scale={signal: inhibition(level, self.half)}, add=entry)
