"""Therapies that bring oxygen."""

from __future__ import annotations

from typing import Any, ClassVar

from tmepde.interventions.base import Effects, Intervention, choice, dose
from tmepde.interventions.delivery import (
    ROUTES,
    deposit,
    depot_nanomolar,
    depth_parameter,
    plasma,
    site_parameter,
    volume_parameter,
    width_parameter,
)
from tmepde.parameter import param
from tmepde.physiology.oxygen import ATMOSPHERE, SOLUBILITY
from tmepde.species import Species

#: mM per nM
MILLIMOLAR = 1e-6


class OxygenGenerator(Intervention):
    """S_O = s P_H k e/(k_H + k e)/α: manganese dioxide particles or catalase turn hydrogen peroxide into oxygen.

    e = n + b is the local particle level, P_H the tumour's peroxide *production*: however many particles, no more than
    s P_H can be released. Where the model carries peroxide as a field H, the turnover is k e H. Manganese dioxide
    dissolves (MnO₂ + H₂O₂ + 2 H⁺ → Mn²⁺ + O₂ + 2 H₂O): a particle is spent after ``capacity`` turnovers, and where the
    model carries pH each leaves a base of two charges. Catalase yields half the oxygen and is neither spent nor a base.
    P_H, H and S_O are per tissue, e per interstitial fluid: k and ``capacity`` hold the fraction φ_i. Particles travel
    as the model's nanoparticle. Oxygen feeds T cells and tumour alike. Limits: one kind of nanoparticle per model, so
    that particles of other therapies work and are spent as well, at dose 0 too; of both catalysts in one arm half of
    the particles count as each, whatever the doses.
    """

    reviews = (1, 4, 16)
    acts_through: ClassVar[tuple[str, ...]] = ("nanoparticle", "nanoparticle_bound")
    mixes: ClassVar[tuple[str, ...]] = ("catalyst",)

    dose: Any = dose("nmol", doc="particles into plasma or tissue")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    catalyst: str = choice("manganese_dioxide", "catalase", doc="dissolves while it works, or works on")
    oxygen_yield: Any = param(
        "1",
        doc="oxygen per peroxide where the particle dissolves; catalysis gives half of it",
        default=1.0,
        bounds=(0, 1),
        ref="stoichiometry",
        status="derived",
    )
    activity: Any = param(
        "1/(nM h)", doc="peroxide turnover per particle", default=1000.0, bounds=(0, 1e8), status="assumed"
    )
    decay: Any = param(
        "1/h",
        doc="peroxide removal by tissue (0.3/s), where peroxide is no field",
        default=1080.0,
        bounds=(1e-3, 1e6),
        ref="handbook 3",
        status="assumed",
    )
    capacity: Any = param(
        "1",
        doc="turnovers until a particle is spent, times the interstitial fraction",
        default=1e7,
        bounds=(1, 1e12),
        ref="Mn atoms in 50-100 nm are 2e6 to 2e7",
        status="assumed",
    )
    protons: Any = param(
        "1",
        doc="acid neutralised per peroxide by a particle that dissolves",
        default=2.0,
        bounds=(0, 10),
        ref="MnO2 + H2O2 + 2 H+",
        status="derived",
    )
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def turnover(self, particles: Any, state: Any, tissue: Any) -> tuple[Any, Any]:
        """Peroxide turned over, in nM/h, and per particle, in 1/h."""
        if "peroxide" in state:
            each = self.activity * state["peroxide"]
        else:
            each = self.activity * tissue["peroxide_production"] / (self.decay + self.activity * particles)
        return each * particles, each

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        particles = state["nanoparticle"] + state["nanoparticle_bound"]
        turnover, each = self.turnover(particles, state, tissue)
        dissolves = self.catalyst == "manganese_dioxide"
        rate = clock.rate(self.dose)
        if self.route == "intravenous":
            add = {"nanoparticle_plasma.source": rate / self.volume}
        else:
            shape = deposit(tissue.grid, self.site, self.width, self.depth)
            add = {"nanoparticle.source": depot_nanomolar(rate, shape, tissue)}
        add["oxygen.source"] = (1.0 if dissolves else 0.5) * self.oxygen_yield * turnover / SOLUBILITY
        if "peroxide" in state:
            add["peroxide.loss"] = self.activity * particles
        if dissolves:
            add |= dict.fromkeys(("nanoparticle.loss", "nanoparticle_bound.loss"), each / self.capacity)
        if dissolves and "buffer_base" in state:
            add["buffer_base.source"] = self.protons * turnover * MILLIMOLAR
        return Effects(add=add)


def _dissolved(rate: Any) -> dict[str, Any]:
    """S_O = r (1 − O/P₀), P₀ one atmosphere (Henry): where nothing breathes and no vessel is open, O ends at P₀."""
    return {"oxygen.source": rate, "oxygen.loss": rate / ATMOSPHERE}


class OxygenCarrier(Intervention):
    """O_v ← O_v + g P, dP/dt = dose/V − k P (into plasma); S_O = (1 − O/P₀) k_r m φ_i e/α, ∂e/∂t = −k_r e (depot).

    Perfluorocarbon or haemoglobin particles. In plasma they raise the oxygen in vessels, which helps only where vessels
    are perfused, to one atmosphere P₀ at most; a depot in the tissue gives the oxygen it was loaded with within
    minutes. Transient either way: hours. What would dissolve above P₀ is gas and lost.
    """

    reviews: ClassVar[tuple[int, ...]] = (2, 16)

    dose: Any = dose("nmol", doc="particles into plasma or tissue")
    route: str = choice(*ROUTES, doc="into plasma, or a depot in the tissue")
    gain: Any = param(
        "mmHg/nM",
        doc="rise of vessel oxygen per plasma level (4 nM of 200 nm droplets fill 1 % of plasma)",
        default=2.5,
        bounds=(0, 1e3),
        ref="of the order seen with oxygen to breathe",
        status="assumed",
    )
    elimination: Any = param(
        "1/h",
        doc="clearance from plasma (half-life 8 h)",
        default=0.6931471805599453 / 8,
        bounds=(0, 100),
        ref="perfluorocarbon emulsions 6-12 h, haemoglobin 18-24 h",
        status="from memory",
    )
    load: Any = param(
        "1",
        doc="oxygen molecules on a particle of the depot",
        default=4e4,
        bounds=(0, 1e9),
        ref="17 mM in a droplet of 200 nm",
        status="derived",
    )
    release: Any = param("1/h", doc="release by the depot", default=2.0, bounds=(1e-3, 1e4), status="assumed")
    volume: Any = volume_parameter()
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        depot = Species(0.0, kind="local", unit="nM", long_name="Oxygen carrier in tissue", negligible=1e-3)
        return {"oxygen_carrier": depot, "oxygen_carrier_plasma": plasma("Oxygen carrier in plasma")}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"oxygen_carrier.loss": self.release, "oxygen_carrier_plasma.loss": self.elimination}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        rate = clock.rate(self.dose)
        if self.route == "intravenous":
            gain = self.gain * state["oxygen_carrier_plasma"]
            return Effects(add={"vessel_oxygen_gain": gain, "oxygen_carrier_plasma.source": rate / self.volume})
        shape = deposit(tissue.grid, self.site, self.width, self.depth)
        released = self.release * self.load * state["oxygen_carrier"] * tissue["interstitium"] / SOLUBILITY
        return Effects(add={**_dissolved(released), "oxygen_carrier.source": depot_nanomolar(rate, shape, tissue)})


class OxygenGel(Intervention):
    """S_O = (1 − O/P₀) S₀ exp(−t/τ) w(x): a gel or scaffold with calcium peroxide gives off oxygen for days.

    ∂g/∂t = dose·w/∫w dV − g/τ, S₀ = φ_i g/(τ α), g the oxygen that is left. Tissue that breathes lets the oxygen reach
    no further than √(D/k) from the gel, k its own supply and uptake: about 100 µm. Above P₀, one atmosphere, it is gas.
    """

    reviews: ClassVar[tuple[int, ...]] = (3,)

    dose: Any = dose("nmol", doc="oxygen that the gel can give off")
    time: Any = param(
        "h", doc="time constant of the release (3 days)", default=72.0, bounds=(0.1, 1e4), ref="1-14 days"
    )
    site: Any = site_parameter()
    width: Any = width_parameter()
    depth: Any = depth_parameter()

    def species(self, grid: Any) -> dict[str, Any]:
        return {"oxygen_gel": Species(0.0, kind="local", unit="nM", long_name="Oxygen left in the gel", negligible=1.0)}

    def kinetics(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"oxygen_gel.loss": 1.0 / self.time}

    def effects(self, clock: Any, state: Any, tissue: Any) -> Effects:
        shape = deposit(tissue.grid, self.site, self.width, self.depth)
        released = state["oxygen_gel"] * tissue["interstitium"] / (self.time * SOLUBILITY)
        entry = depot_nanomolar(clock.rate(self.dose), shape, tissue)
        return Effects(add={**_dissolved(released), "oxygen_gel.source": entry})
