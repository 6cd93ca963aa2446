"""Ways in: a dose into plasma, a dose into a place, and from plasma through the vessel wall.

plasma   dc/dt += R/V                      R amount/h, V volume of distribution
place    ∂c/∂t += R w(x)/∫w dV,  w = exp(−|x − x₀|²/(2σ²))
wall     ∂c/∂t += ν f_p P(d, d_p)/φ_i (c_plasma − c)
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from tmepde.parameter import param
from tmepde.physiology.pores import wall_permeability
from tmepde.physiology.vessels import PORE_AREA, WALL
from tmepde.species import Species

#: mm³ per µm³
_CUBIC = 1e-9
#: h in a day
_DAY = 24.0
ROUTES = ("intravenous", "intratumoral")


def volume_parameter() -> Any:
    """Plasma volume; the same for every drug that stays in plasma."""
    return param(
        "L",
        doc="plasma volume (3 in a human, 1e-3 in a mouse)",
        default=3.0,
        bounds=(1e-4, 10),
        ref="physiology",
        status="seen",
    )


def site_parameter() -> Any:
    """Place of an injection."""
    return param(
        "um", doc="place of the injection per axis (z, y, x); absent: the centre", default=None, bounds=(None, None)
    )


def width_parameter() -> Any:
    """Spread of an injection."""
    return param(
        "um", doc="spread (standard deviation) of the injected depot", default=100.0, bounds=(1, 1e5), status="assumed"
    )


def depth_parameter() -> Any:
    """Extent of the unresolved axes."""
    return param(
        "um",
        doc="extent of each axis that the grid does not resolve",
        default=1000.0,
        bounds=(1, 1e6),
        status="assumed",
    )


def deposit(grid: Any, site: Any, width: Any, depth: Any) -> Any:
    """w(x)/∫w dV in 1/mm³: where a depot injected at ``site`` (µm per axis) lies; integrates to 1 over the tissue.

    A two-dimensional grid stands for a slab of thickness ``depth``, a line for a rod of section ``depth``². Of a site
    outside of the tissue (a cavity, a lumen) the dose lies where tissue is nearest.
    """
    coordinates = grid.coordinates()
    if site is None:
        edges = [grid.faces(k) for k in range(grid.ndim)]
        site = [0.0 if a == "r" else 0.5 * (f[0] + f[-1]) for a, f in zip(grid.axes, edges, strict=True)]
    site = jnp.broadcast_to(jnp.asarray(site), (grid.ndim,)) if not isinstance(site, list) else site
    distance2 = sum((x - site[k]) ** 2 for k, x in enumerate(coordinates))
    return spread(bell(distance2 / width**2, grid), grid, depth)


def bell(exponent: Any, grid: Any) -> Any:
    """exp(−(e − e₀)/2) with e₀ the least ``exponent`` of the tissue: 1 in its nearest cell, however far; 0 beyond."""
    if grid.mask is None:
        return jnp.exp(-0.5 * (exponent - jnp.min(exponent)))
    inside = jnp.asarray(grid.mask)
    least = jnp.min(jnp.where(inside, exponent, jnp.inf))
    # nothing infinite goes into exp, whose derivative would not be a number
    return jnp.where(inside, jnp.exp(-0.5 * (jnp.where(inside, exponent, least) - least)), 0.0)


def spread(weight: Any, grid: Any, depth: Any) -> Any:
    """w/∫w dV in 1/mm³ over the tissue; a line stands for a rod, a plane for a slab (``depth``)."""
    if grid.mask is not None:
        weight = jnp.where(jnp.asarray(grid.mask), weight, 0.0)
    total = grid.integrate(weight) * depth ** (3 - grid.resolved) * _CUBIC
    return weight / jnp.maximum(total, jnp.finfo(jnp.result_type(total)).tiny)


def heap(schedule: Any, grid: Any, site: Any, width: Any, depth: Any) -> float:
    """max amount · max w: cells/mm³ of the largest dose of a depot (:func:`deposit`) where most of it lies; of a dose
    that lasts for days what comes in one. It is asked before a run, hence numpy alone: nothing to compile."""
    edges = [np.asarray(grid.faces(k), float) for k in range(grid.ndim)]
    if site is None:
        site = [0.0 if a == "r" else 0.5 * (f[0] + f[-1]) for a, f in zip(grid.axes, edges, strict=True)]
    place = np.broadcast_to(np.asarray(site, float), (grid.ndim,))
    inside = np.ones(grid.shape, bool) if grid.mask is None else np.asarray(grid.mask)
    distance2 = sum((np.asarray(x, float) - place[k]) ** 2 for k, x in enumerate(grid.coordinates()))
    exponent = np.broadcast_to(distance2, grid.shape)[inside] / float(width) ** 2
    weight = np.exp(-0.5 * (exponent - exponent.min()))
    volumes = np.broadcast_to(np.asarray(grid.volumes(), float), grid.shape)[inside]
    whole = np.sum(volumes * weight) * float(depth) ** (3 - grid.resolved) * _CUBIC
    return float(np.max(schedule.amount * np.minimum(1.0, _DAY / np.asarray(schedule.over))) / whole)


def plasma(name: str) -> Species:
    """A plasma level in nM that starts at 0."""
    return Species(0.0, kind="compartment", unit="nM", long_name=name, negligible=0.02)


def interstitial(name: str, diffusivity: Any) -> Species:
    """A transported drug in nM of interstitial fluid that starts at 0."""
    return Species(0.0, diffusivity, kind="transported", unit="nM", long_name=name, negligible=0.02)


def wall_exchange(diameter: Any, state: Any, tissue: Any) -> Any:
    """ν f_p P/φ_i in 1/h for a molecule of hydrodynamic ``diameter`` nm."""
    permeability = wall_permeability(diameter, state["pore_diameter"], PORE_AREA, WALL)
    return state["vessel_surface"] * tissue["perfusion"] * tissue["wall_factor"] * permeability / tissue["interstitium"]


def drug_kinetics(
    name: str, diameter: Any, elimination: Any, clearance: Any, state: Any, tissue: Any
) -> dict[str, Any]:
    """Wall exchange, drainage ``clearance`` (1/h) and plasma ``elimination`` (1/h) of ``name`` and ``name_plasma``."""
    rate = wall_exchange(diameter, state, tissue)
    return {
        f"{name}.source": rate * state[f"{name}_plasma"],
        f"{name}.loss": rate + clearance,
        f"{name}_plasma.loss": elimination,
    }


def depot_nanomolar(amount: Any, shape: Any, tissue: Any) -> Any:
    """nmol (or nmol/h) spread by ``shape`` (1/mm³) in nM of interstitial fluid (per h)."""
    return amount * shape * 1e6 / tissue["interstitium"]


def arrival(name: str, one: Any, rate: Any, tissue: Any) -> dict[str, Any]:
    """Where a dose of ``rate`` nmol/h of ``name`` goes: by the ``route`` of the therapy ``one``, plasma or a depot."""
    if one.route == "intravenous":
        return {f"{name}_plasma.source": rate / one.volume}
    shape = deposit(tissue.grid, one.site, one.width, one.depth)
    return {f"{name}.source": depot_nanomolar(rate, shape, tissue)}


def whole(density: Any, tissue: Any, depth: Any) -> Any:
    """∫ u dV of a ``density`` per mm³; ``depth`` (µm) is the extent of each axis that the grid does not resolve."""
    return tissue.grid.integrate(density) * depth ** (3 - tissue.grid.resolved) * _CUBIC


def carriers(cells: Any, tissue: Any, depth: Any) -> Any:
    """w = E/(∫E dV + 1) in 1/mm³: how a payload on all ``cells`` (cells/mm³) is spread over the tissue.

    Integrates to 1 but for one cell, so that w is finite where there are none; then nothing is released.
    """
    return cells / (whole(cells, tissue, depth) + 1.0)


def payload(name: str) -> Species:
    """nmol that all CAR-T cells of the tissue carry together."""
    return Species(0.0, kind="compartment", unit="nmol", long_name=name, negligible=1e-9)


def targeting_parameter() -> Any:
    """Share of a payload that comes to the tissue with its carriers."""
    return param(
        "1",
        doc="share of the payload that its carriers bring to the tissue",
        default=0.01,
        bounds=(0, 1),
        status="assumed",
    )
