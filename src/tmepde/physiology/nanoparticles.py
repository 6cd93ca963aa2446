"""Nanoparticles of one diameter: plasma, vessel wall, interstitium, binding, cargo (nM of interstitial fluid).

    dn_v/dt = −k_el n_v
    ∂n/∂t = ∇·(D(d, φ) ∇n) + ν f_p P(d, d_p)/φ_i (n_v − n) − k_on n (B − b) + k_off b − (k_l + k_rel) n
    ∂b/∂t = k_on n (B − b) − (k_off + k_int + k_rel) b
    ∂c/∂t = ∇·(D_c ∇c) + m k_rel (n + b) − k_c c

The diameter d is the tissue quantity ``particle_diameter`` (nm). A particle that has released its m cargo molecules
leaves the count. Exchange is diffusive, unless the optional ``interstitial_flow`` computes the pressure that convection
through the wall needs.

What particles do to tissue (heat, radicals, peroxide turned over) is stated by their level in interstitial fluid, so
that φ_i is in those rate constants; what a depot or gel of oxygen gives is counted off its load, and multiplied by φ_i.
"""

from __future__ import annotations

from typing import Any

from tmepde.parameter import param
from tmepde.physiology.pores import interstitial_diffusivity, wall_permeability
from tmepde.physiology.rates import positive
from tmepde.physiology.vessels import PORE_AREA, WALL
from tmepde.process import Process


class NanoparticlePlasma(Process):
    """λ = k_el: first-order clearance from plasma."""

    elimination: Any = param(
        "1/h",
        doc="clearance (half-life 24 h)",
        default=0.6931471805599453 / 24,
        bounds=(0, 100),
        ref="PEG liposomes 10-55 h",
        status="from memory",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"nanoparticle_plasma.loss": self.elimination}


class NanoparticleExchange(Process):
    """s = ν f_p P n_v/φ_i, λ = ν f_p P/φ_i, P = f γ H(d/d_p) D₀/L: small pores stop large particles.

    f is ``charge`` times ``wall_factor`` (base 1): cationic particles pass the wall more easily, heat opens it.
    """

    charge: Any = param(
        "1",
        doc="passage relative to a neutral particle; 2 is cationic",
        default=1.0,
        bounds=(0, 20),
        ref="Stylianopoulos 2013 (direction)",
        status="assumed",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        permeability = wall_permeability(tissue["particle_diameter"], state["pore_diameter"], PORE_AREA, WALL)
        permeability = permeability * self.charge * tissue["wall_factor"]
        rate = state["vessel_surface"] * tissue["perfusion"] * permeability / tissue["interstitium"]
        return {"nanoparticle.source": rate * state["nanoparticle_plasma"], "nanoparticle.loss": rate}


class NanoparticleDiffusion(Process):
    """D = F D₀ exp(−0.84 f^1.09)/(1 + r/√k + r²/(3k)): 8.5 µm²/s for 12 nm, 0.06 for 100 nm at φ = 0.03."""

    fibre: Any = param(
        "nm", doc="radius of matrix fibres", default=20.0, bounds=(1, 500), ref="handbook 2.7", status="from memory"
    )
    mesh: Any = param(
        "nm",
        doc="square root of the Darcy permeability",
        default=6.1,
        bounds=(0.5, 500),
        ref="K_t, Baxter-Jain",
        status="derived",
    )
    tortuosity: Any = param(
        "1",
        doc="factor of cells and winding paths",
        default=0.37,
        bounds=(0.01, 1),
        ref="IgG = 10 um^2/s",
        status="derived",
    )

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        diffusivity = interstitial_diffusivity(
            tissue["particle_diameter"], tissue["matrix"], self.fibre, self.mesh, self.tortuosity
        )
        return {"nanoparticle.diffusivity": diffusivity}


class NanoparticleBinding(Process):
    """λ_n = k_on (B − b)₊ + k_l, s_n = k_off b, s_b = k_on B n, λ_b = k_on n + k_off + k_int: capture, release.

    What binds, k_on n (B − b), is split into gain and loss of b, so that b never overshoots its sites.
    """

    association: Any = param("1/(nM h)", doc="binding rate constant", default=0.01, bounds=(0, 1e4), status="assumed")
    capacity: Any = param("nM", doc="binding sites", default=100.0, bounds=(0, 1e6), status="assumed")
    dissociation: Any = param("1/h", doc="unbinding", default=0.1, bounds=(0, 1e4), status="assumed")
    internalisation: Any = param(
        "1/h", doc="uptake of bound particles into cells", default=0.02, bounds=(0, 100), status="assumed"
    )
    clearance: Any = param("1/h", doc="drainage of free particles", default=0.01, bounds=(0, 100), status="assumed")

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        free, bound = state["nanoparticle"], state["nanoparticle_bound"]
        return {
            "nanoparticle.loss": self.association * positive(self.capacity - bound) + self.clearance,
            "nanoparticle.source": self.dissociation * bound,
            "nanoparticle_bound.source": self.association * self.capacity * free,
            "nanoparticle_bound.loss": self.association * free + self.dissociation + self.internalisation,
        }


class PayloadRelease(Process):
    """s_c = m k_rel (n + b), λ_c = k_c, λ_n = λ_b = k_rel; what the cargo does is up to who reads ``payload``.

    m is the tissue quantity ``particle_cargo`` (base 0), which triggered release reads as well.
    """

    rate: Any = param("1/h", doc="release rate per particle", default=0.01, bounds=(0, 100), status="assumed")
    loading: Any = param("1", doc="cargo molecules per particle", default=1000.0, bounds=(0, 1e7), status="assumed")
    decay: Any = param("1/h", doc="loss of free cargo", default=0.1, bounds=(0, 1e3), status="assumed")

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"particle_cargo": self.loading}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        carried = state["nanoparticle"] + state["nanoparticle_bound"]
        return {
            "payload.source": self.loading * self.rate * carried,
            "payload.loss": self.decay,
            "nanoparticle.loss": self.rate,
            "nanoparticle_bound.loss": self.rate,
        }
