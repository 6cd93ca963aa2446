"""Numbers that are followed over time: functions ``(clock, state, tissue) → 0-d array`` with a unit.

    burden Σ∫C dV · hypoxic fraction ∫w [O < p] dV/∫w dV · infiltration ∫E w dV/∫E dV, w nest fraction at the start

A two-dimensional grid stands for a slab, a line for a rod: ``depth`` is the extent of each axis that is not resolved.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from tmepde.parameter import param
from tmepde.physiology.populations import TUMOUR
from tmepde.physiology.rates import hill

_CUBIC = 1e-9


class Observable(eqx.Module):
    """Base: ``unit`` and ``long_name`` are static and end up in the dataset."""

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        raise TypeError(f"{type(self).__name__} must define `__call__(clock, state, tissue)`.")


def _ratio(part: Any, whole: Any) -> Any:
    """part/whole, 0 where there is nothing."""
    there = whole > 0
    return jnp.where(there, part / jnp.where(there, whole, 1.0), 0.0)


def _sum(state: Any, names: tuple[str, ...]) -> Any:
    return sum(state[name] for name in names)


class Total(Observable):
    """Σ ∫ u dV in cells (densities in cells/mm³, lengths in µm)."""

    species: tuple[str, ...] = eqx.field(static=True)
    long_name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True, default="cells")
    depth: Any = param("um", doc="extent of each axis that the grid does not resolve", default=1000.0, bounds=(1, 1e6))

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        grid = tissue.grid
        return grid.integrate(_sum(state, self.species)) * (_CUBIC * self.depth ** (3 - grid.resolved))


class Mean(Observable):
    """∫ u dV/∫ dV: mean of a species over the tissue."""

    species: str = eqx.field(static=True)
    long_name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        return tissue.grid.mean(state[self.species])


class NestMean(Observable):
    """∫ u w dV/∫ w dV: mean over the tumour nests, of a species or of a tissue quantity such as ``"acidity"``."""

    species: str = eqx.field(static=True)
    long_name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        nest = tissue["region_tumour"]
        value = state[self.species] if self.species in state else tissue[self.species]
        return _ratio(tissue.grid.integrate(nest * value), tissue.grid.integrate(nest))


class HypoxicFraction(Observable):
    """∫ w [O < p] dV/∫ w dV: share of the nests below a pO₂. Has no gradient: it counts."""

    threshold: Any = param("mmHg", doc="pO2 below which tissue counts as hypoxic", default=10.0, bounds=(0, 100))
    long_name: str = eqx.field(static=True, default="Hypoxic fraction of the tumour nests")
    unit: str = eqx.field(static=True, default="1")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        nest = tissue["region_tumour"]
        below = jnp.where(state["oxygen"] < self.threshold, nest, 0.0)
        return _ratio(tissue.grid.integrate(below), tissue.grid.integrate(nest))


class InfiltratedFraction(Observable):
    """∫ E w dV/∫ E dV: share of the CAR-T cells that is inside the nests."""

    species: tuple[str, ...] = eqx.field(static=True, default=("car_t", "car_t_exhausted"))
    long_name: str = eqx.field(static=True, default="CAR-T cells inside the tumour nests")
    unit: str = eqx.field(static=True, default="1")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        cells = _sum(state, self.species)
        return _ratio(tissue.grid.integrate(cells * tissue["region_tumour"]), tissue.grid.integrate(cells))


class InfiltrationDepth(Observable):
    """∫ E w (−m)₊ dV/∫ E w dV: mean depth below the margin of the CAR-T cells inside the nests."""

    species: tuple[str, ...] = eqx.field(static=True, default=("car_t", "car_t_exhausted"))
    long_name: str = eqx.field(static=True, default="Mean depth of infiltrating CAR-T cells")
    unit: str = eqx.field(static=True, default="um")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        inside = _sum(state, self.species) * tissue["region_tumour"]
        depth = jnp.maximum(-tissue["region_margin_distance"], 0.0)
        return _ratio(tissue.grid.integrate(inside * depth), tissue.grid.integrate(inside))


class PeakDistance(Observable):
    """m at the largest density: where the ring of CAR-T cells stands, negative inside the tumour."""

    species: str = eqx.field(static=True, default="car_t")
    long_name: str = eqx.field(static=True, default="Distance of the densest CAR-T cells from the margin")
    unit: str = eqx.field(static=True, default="um")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        cells = state[self.species]
        if tissue.grid.mask is not None:
            cells = jnp.where(jnp.asarray(tissue.grid.mask), cells, -1.0)
        margin = jnp.broadcast_to(tissue["region_margin_distance"], cells.shape)
        return jnp.take(jnp.ravel(margin), jnp.argmax(cells))


class Level(Observable):
    """A compartment as it is."""

    species: str = eqx.field(static=True)
    long_name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        return state[self.species]


def every_species(model: Any) -> dict[str, Any]:
    """What is followed over time in a model that nothing is known about: means of fields, levels of compartments."""
    found: dict[str, Any] = {}
    for name, one in model.species.items():
        words = one.long_name or name
        if one.kind == "compartment":
            found[f"level_{name}"] = Level(name, words, one.unit)
        else:
            found[f"mean_{name}"] = Mean(name, f"Mean of {words}", one.unit)
    return found


def standard() -> dict[str, Observable]:
    """What is asked of :func:`tmepde.library.solid_tumour` by default."""
    return {
        "tumour_burden": Total(("tumour", "tumour_negative"), "Tumour cells"),
        "antigen_positive_burden": Total(("tumour",), "Antigen-positive tumour cells"),
        "antigen_negative_burden": Total(("tumour_negative",), "Antigen-negative tumour cells"),
        "car_t_total": Total(("car_t",), "Effector CAR-T cells in tissue"),
        "car_t_exhausted_total": Total(("car_t_exhausted",), "Exhausted CAR-T cells in tissue"),
        "car_t_blood": Level("car_t_plasma", "CAR-T cells in blood", "cells/uL"),
        "infiltrated_fraction": InfiltratedFraction(),
        "infiltration_depth": InfiltrationDepth(),
        "car_t_peak_distance": PeakDistance(),
        "mean_oxygen": NestMean("oxygen", "Mean oxygen in the tumour nests", "mmHg"),
        "hypoxic_fraction": HypoxicFraction(),
        "severely_hypoxic_fraction": HypoxicFraction(2.5, "Part of the tumour nests below 2.5 mmHg"),
        "mean_ifn_gamma": NestMean("ifn_gamma", "Mean IFN-gamma in the tumour nests", "nM"),
        "mean_nanoparticle": NestMean("nanoparticle", "Mean free nanoparticle in the tumour nests", "nM"),
    }


class CytokineReleaseGrade(Observable):
    """g = Σ_i s²/(s² + T_i²): 0 to 4, one step at each threshold of the IL-6 that receptors see (``il6_signal``).

    Not the clinical grade, which goes by fever, pressure and oxygen: an index that rises with it.
    """

    first: Any = param("pg/mL", doc="IL-6 of half a grade", default=50.0, bounds=(1, 1e5), status="assumed")
    second: Any = param("pg/mL", doc="IL-6 of grade 1.5", default=200.0, bounds=(1, 1e5), status="assumed")
    third: Any = param(
        "pg/mL", doc="IL-6 of grade 2.5", default=1000.0, bounds=(1, 1e6), ref="severe 1e3-1e4", status="from memory"
    )
    fourth: Any = param(
        "pg/mL", doc="IL-6 of grade 3.5", default=5000.0, bounds=(1, 1e6), ref="severe 1e3-1e4", status="from memory"
    )
    long_name: str = eqx.field(static=True, default="Cytokine release, index from 0 to 4")
    unit: str = eqx.field(static=True, default="1")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        steps = (self.first, self.second, self.third, self.fourth)
        return sum(hill(tissue["il6_signal"], one, 2) for one in steps)


class NeurotoxicityIndex(Observable):
    """g = 4 N²/(1 + N²): 0 to 4, of the lagged action of cytokines behind the blood-brain barrier."""

    long_name: str = eqx.field(static=True, default="Neurotoxicity, index from 0 to 4")
    unit: str = eqx.field(static=True, default="1")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        return 4.0 * hill(state["neural_exposure"], 1.0, 2)


class ExposureRatio(Observable):
    """∫⟨c⟩dt/∫P dt: exposure of the nests over that of plasma, 0 before there is any."""

    tissue_exposure: str = eqx.field(static=True, default="growth_factor_exposure")
    plasma_exposure: str = eqx.field(static=True, default="growth_factor_plasma_exposure")
    long_name: str = eqx.field(static=True, default="Exposure of the tumour to the cytokine over that of plasma")
    unit: str = eqx.field(static=True, default="1")

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        return _ratio(state[self.tissue_exposure], state[self.plasma_exposure])


class KillRate(Observable):
    """∫ Σ λ_lysis C dV: kills per hour in the simulated tissue, by the model's ``killing``."""

    killing: Any
    long_name: str = eqx.field(static=True, default="Tumour cells killed by CAR-T cells per hour")
    unit: str = eqx.field(static=True, default="cells/h")
    depth: Any = param("um", doc="extent of each axis that the grid does not resolve", default=1000.0, bounds=(1, 1e6))

    def __call__(self, clock: Any, state: Any, tissue: Any) -> Any:
        rates = self.killing.coefficients(clock, state, tissue)
        rate = sum(rates[f"{name}.lysis"] * state[name] for name in TUMOUR if f"{name}.lysis" in rates)
        return tissue.grid.integrate(rate) * (_CUBIC * self.depth ** (3 - tissue.grid.resolved))


def systemic(model: Any) -> dict[str, Observable]:
    """What is asked of blood and plasma, as far as ``model`` carries it."""
    found: dict[str, Observable] = {}
    if "killing" in model.processes:
        found["kill_rate"] = KillRate(model.processes["killing"])
    if "car_t_exposure" in model.processes:
        found["car_t_exposure"] = Level("car_t_exposure", "Exposure of blood to CAR-T cells", "cells*h/uL")
    if "growth_factor_plasma" in model.processes:
        found["growth_factor_exposure_ratio"] = ExposureRatio()
    if "cytokine_release" in model.processes:
        found |= {
            "cytokine_release_grade": CytokineReleaseGrade(),
            "neurotoxicity_index": NeurotoxicityIndex(),
            "il6": Level("il6_plasma", "IL-6 in plasma", "pg/mL"),
            "il6_peak": Level("il6_peak", "Highest IL-6 in plasma so far", "pg/mL"),
            "killed_cells": Level("killed_cells", "Tumour cells killed by CAR-T cells, whole tumour", "cells"),
        }
    return found
