"""``solid_tumour``: CAR-T cells against a solid tumour with its oxygen, cytokines, matrix, vessels and particles.

Species (∂u/∂t = ∇·(D∇u − v u) + s − λu, see :mod:`tmepde.coefficients`)
    transported   tumour, tumour_negative, car_t, car_t_exhausted (cells/mm³); chemokine, growth_factor, tgf_beta, vegf,
                  nanoparticle, payload (nM of interstitial fluid)
    quasi-steady  oxygen (mmHg), ifn_gamma (nM)
    local         nanoparticle_bound (nM), collagen, hyaluronan (volume fractions), pore_diameter (nm),
                  vessel_surface (1/µm)
    compartments  car_t_plasma, car_t_plasma_memory (cells/µL), systemic_antigen (1), nanoparticle_plasma (nM)

Tissue quantities, which therapies may scale or add to
    crowding, antigen_contact, pd1_engagement (1/µm²), tgf_beta_signal, vegf_signal (nM), matrix, motility, perfusion,
    adhesion, alignment, peroxide_production (nM/h), host_cells (cells/mm³), interstitium, particle_diameter (nm),
    particle_cargo (molecules), collagen_base, hyaluronan_base, vessel_base, region_tumour, region_stroma,
    region_vessels, region_nuclei, region_margin_distance (µm), region_motility (of tumour cells, where the region has
    it)

Flow, fuel and acid, suppressor cells and others are optional (``milieu``). Left out: mechanics, the cell cycle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from tmepde._arguments import entries, given, word
from tmepde.coefficients import unknown
from tmepde.grid import Grid
from tmepde.library.balance import balance, expected_oxygen, settled
from tmepde.library.presets import chosen_presets
from tmepde.library.tissue import base_quantities, capsule_ring, layered
from tmepde.model import Model
from tmepde.parameter import out_of_bounds, param, parameters
from tmepde.physiology import MILIEU, OPTIONAL, REGISTRY, needed
from tmepde.process import Process
from tmepde.region import Region
from tmepde.species import Species
from tmepde.units import SECRETION

_SECOND = 3600.0
_PDAC = "Ramanujan 2002, SPQSP PDAC"


def _fraction(doc: str, default: float, status: str = "assumed", ref: str = "handbook 2.9", low: float = 0) -> Any:
    return param("1", doc=doc, default=default, bounds=(low, 1), ref=ref, status=status)


def _diffusivity(doc: str, per_second: float, ref: str = _PDAC, status: str = "seen") -> Any:
    text = f"diffusivity of {doc} ({per_second:g} um^2/s)"
    return param("um^2/h", doc=text, default=per_second * _SECOND, bounds=(0, 1e8), ref=ref, status=status)


class SolidTumour(eqx.Module):
    """Numbers of the model that belong to no single process: the tissue at the start, and diffusivities."""

    tumour_density: Any = param(
        "cells/mm^3", doc="tumour cells in a nest", default=2.3e5, bounds=(0, 3.9e5), ref="handbook 2", status="derived"
    )
    antigen_negative: Any = _fraction("share of tumour cells without the antigen", 0.05)
    host_density: Any = param(
        "cells/mm^3", doc="resident cells of the stroma", default=5e4, bounds=(0, 3.9e5), status="assumed"
    )
    interstitium: Any = _fraction(
        "volume fraction of interstitial fluid, by which what cells secrete is divided", 0.2, ref="handbook 2", low=1e-3
    )
    collagen_tumour: Any = _fraction(
        "collagen in the nests", 0.06, "assumed", "half of PDAC, SPQSP PDAC phi_col_ref 0.12"
    )
    collagen_capsule: Any = _fraction("collagen at the margin", 0.2)
    collagen_host: Any = _fraction("collagen away from the tumour", 0.02)
    hyaluronan_tumour: Any = _fraction("hyaluronan in the nests", 0.09)
    hyaluronan_capsule: Any = _fraction("hyaluronan at the margin", 0.3)
    hyaluronan_host: Any = _fraction("hyaluronan away from the tumour", 0.01)
    capsule_width: Any = param(
        "um",
        doc="spread of the capsule around the margin",
        default=60.0,
        bounds=(0, 1e4),
        ref="handbook 2.9",
        status="assumed",
    )
    capsule_barrier: Any = _fraction("motility lost to aligned fibres in an intact capsule", 0.55)
    vessel_surface: Any = param(
        "1/um",
        doc="vessel surface density where vessels are typical (200/cm)",
        default=0.02,
        bounds=(0, 1),
        ref="Baxter-Jain 1989",
        status="from memory",
    )
    adhesion_tumour: Any = _fraction("adhesion of T cells to tumour vessels; 0.1 is immune-excluded", 0.1)
    adhesion_host: Any = _fraction("adhesion of T cells to host vessels", 1.0)
    particle_diameter: Any = param(
        "nm", doc="hydrodynamic diameter of the nanoparticle", default=50.0, bounds=(1, 500), status="assumed"
    )
    tumour_motility: Any = param(
        "um^2/h",
        doc="random motility of tumour cells",
        default=0.4,
        bounds=(0, 1e5),
        ref="handbook 2.1",
        status="assumed",
    )
    oxygen_diffusivity: Any = _diffusivity("oxygen", 1750.0, "Grote 1977 (SPQSP PDAC)")
    chemokine_diffusivity: Any = _diffusivity("a CCL19-class chemokine", 13.5)
    growth_factor_diffusivity: Any = _diffusivity("an IL-15-class cytokine", 6.9)
    interferon_diffusivity: Any = _diffusivity("IFN-gamma", 12.6)
    tgf_beta_diffusivity: Any = _diffusivity("TGF-beta", 26.7)
    vegf_diffusivity: Any = _diffusivity("VEGF", 27.1)
    payload_diffusivity: Any = _diffusivity("released cargo", 200.0, "small molecule", "assumed")

    def build(self, region: Region, processes: Mapping[str, Process]) -> Model:
        """The model on ``region.grid``."""
        ring = capsule_ring(region, float(self.capsule_width))
        collagen = layered(region, self.collagen_tumour, self.collagen_host, self.collagen_capsule, ring)
        hyaluronan = layered(region, self.hyaluronan_tumour, self.hyaluronan_host, self.hyaluronan_capsule, ring)
        initial = self._initial(region, processes)
        initial |= {"collagen": collagen, "hyaluronan": hyaluronan}
        motility = self.tumour_motility * (1.0 if region.motility is None else region.motility)
        tissue = self._tissue(region, collagen, hyaluronan, ring)
        return settled(Model(region.grid, self._species(initial, motility), processes, tissue))

    def _tissue(self, region: Region, collagen: Any, hyaluronan: Any, ring: Any) -> dict[str, Any]:
        dense = max(float(self.collagen_capsule + self.hyaluronan_capsule), 1e-6)
        return base_quantities(region) | {
            "adhesion": self.adhesion_host + (self.adhesion_tumour - self.adhesion_host) * region.tumour,
            "alignment": self.capsule_barrier
            * ring
            / dense,  # 1 − alignment·matrix = 1 − barrier in the intact capsule
            "host_cells": self.host_density * region.stroma,
            "interstitium": np.full(region.grid.shape, self.interstitium),
            "particle_diameter": np.full(region.grid.shape, self.particle_diameter),
            "collagen_base": collagen,
            "hyaluronan_base": hyaluronan,
            "vessel_base": self.vessel_surface * region.vessels,
        }

    def _initial(self, region: Region, processes: Mapping[str, Process]) -> dict[str, Any]:
        cells = self.tumour_density * region.tumour * region.nuclei
        vegf = self._balance(region, processes, "vegf_kinetics", self.vegf_diffusivity)
        pores: Any = processes.get("pore_relaxation", REGISTRY["pore_relaxation"]())
        return {
            "tumour": (1.0 - self.antigen_negative) * cells,
            "tumour_negative": self.antigen_negative * cells,
            "chemokine": self._balance(region, processes, "chemokine_kinetics", self.chemokine_diffusivity),
            "tgf_beta": self._balance(region, processes, "tgf_beta_kinetics", self.tgf_beta_diffusivity),
            "vegf": vegf,
            "pore_diameter": np.asarray(pores.target(vegf)),
            "vessel_surface": self.vessel_surface * region.vessels,
            "oxygen": expected_oxygen(region.margin_distance),
            "systemic_antigen": 1.0,
        }

    def _balance(self, region: Region, processes: Mapping[str, Process], name: str, diffusivity: Any) -> Any:
        """The field that the production of the untreated tissue keeps up (0 where nobody makes it)."""
        if name not in processes:
            return np.zeros(region.grid.shape)
        made: Any = processes[name]
        cells = made.tumour * self.tumour_density * region.tumour * region.nuclei
        if hasattr(made, "hypoxia"):
            oxygen = expected_oxygen(region.margin_distance)
            cells = cells * (1.0 + (made.hypoxia - 1.0) * made.oxygen_half / (made.oxygen_half + oxygen))
        if hasattr(made, "host"):
            cells = cells + made.host * self.host_density * region.stroma
        source = SECRETION * cells / float(self.interstitium)
        return balance(region.grid, float(diffusivity), max(float(made.decay), 1e-6), source)

    def _species(self, initial: Mapping[str, Any], motility: Any) -> dict[str, Species]:
        def one(
            name: str, unit: str, long_name: str, negligible: float, d: Any = 0.0, kind: str = "transported"
        ) -> Species:
            return Species(initial.get(name, 0.0), d, None, negligible, kind, unit, long_name)

        cells = "cells/mm^3"
        return {
            "tumour": one("tumour", cells, "Antigen-positive tumour cells", 100.0, motility),
            "tumour_negative": one("tumour_negative", cells, "Antigen-negative tumour cells", 100.0, motility),
            "car_t": one("car_t", cells, "Effector CAR-T cells", 5.0),
            "car_t_exhausted": one("car_t_exhausted", cells, "Exhausted CAR-T cells", 5.0),
            "chemokine": one("chemokine", "nM", "Chemokine (CCL19/CXCL10 class)", 1e-2, self.chemokine_diffusivity),
            "growth_factor": one(
                "growth_factor", "nM", "IL-7/IL-15-class cytokine", 1e-2, self.growth_factor_diffusivity
            ),
            "tgf_beta": one("tgf_beta", "nM", "TGF-beta", 1e-3, self.tgf_beta_diffusivity),
            "vegf": one("vegf", "nM", "VEGF", 1e-3, self.vegf_diffusivity),
            "nanoparticle": one("nanoparticle", "nM", "Free nanoparticle", 0.05),
            "payload": one("payload", "nM", "Released cargo", 0.05, self.payload_diffusivity),
            "oxygen": one("oxygen", "mmHg", "Oxygen partial pressure", 0.05, self.oxygen_diffusivity, "quasi_steady"),
            "ifn_gamma": one("ifn_gamma", "nM", "IFN-gamma", 1e-4, self.interferon_diffusivity, "quasi_steady"),
            "nanoparticle_bound": one("nanoparticle_bound", "nM", "Bound nanoparticle", 0.05, kind="local"),
            "collagen": one("collagen", "1", "Collagen volume fraction", 1e-2, kind="local"),
            "hyaluronan": one("hyaluronan", "1", "Hyaluronan volume fraction", 1e-2, kind="local"),
            "pore_diameter": one("pore_diameter", "nm", "Pore diameter of the vessel wall", 0.1, kind="local"),
            "vessel_surface": one("vessel_surface", "1/um", "Vessel surface density", 1e-5, kind="local"),
            "car_t_plasma": one("car_t_plasma", "cells/uL", "CAR-T cells in blood", 1e-2, kind="compartment"),
            "car_t_plasma_memory": one(
                "car_t_plasma_memory", "cells/uL", "Memory CAR-T cells in blood", 1e-2, kind="compartment"
            ),
            "systemic_antigen": one("systemic_antigen", "1", "Systemic antigen left", 1e-2, kind="compartment"),
            "nanoparticle_plasma": one("nanoparticle_plasma", "nM", "Nanoparticle in plasma", 0.05, kind="compartment"),
        }


def milieu_of(milieu: str | Sequence[str], therapies: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Names of the optional processes of a ``milieu`` and of those that ``therapies`` need.

    Args:
        milieu: ``"core"`` (none), ``"full"`` (all), a group of :data:`tmepde.physiology.MILIEU`, or process names.
    """
    if isinstance(milieu, str):
        groups = {"core": {}, "full": OPTIONAL, **MILIEU}
        if milieu not in groups:
            raise ValueError(unknown("milieu", milieu, groups))
        milieu = tuple(groups[milieu])
    milieu = [word("milieu", one) for one in entries("milieu", milieu, "names of optional processes")]
    wanted = [name for one in (therapies or {}).values() for name in one.requires]
    return needed([*milieu, *wanted])


def default_processes(overrides: Mapping[str, Any] | None = None, optional: Sequence[str] = ()) -> dict[str, Process]:
    """Every process of the model by name.

    Args:
        overrides: by process name ``False`` (off), ``True`` (on), a :class:`Process` of your own, or
            ``{parameter: value}``, where ``enabled=False`` switches off. New names add processes.
        optional: names of optional processes to include (see :func:`milieu_of`).
    """
    known_processes = {**REGISTRY, **OPTIONAL}
    asked = [n for n, c in (overrides or {}).items() if n in OPTIONAL and c is not False and not _off(c)]
    chosen: dict[str, Process] = {n: known_processes[n]() for n in (*REGISTRY, *needed([*optional, *asked]))}
    for name, change in (overrides or {}).items():
        if isinstance(change, Process):
            chosen[name] = change
            continue
        if name not in known_processes:
            raise ValueError(unknown("process", name, known_processes))
        values = {"enabled": change} if isinstance(change, bool) else dict(change)
        if not values.pop("enabled", True):
            chosen.pop(name, None)
            continue
        known = parameters(known_processes[name])
        for key in values:
            if key not in known:
                raise ValueError(unknown(f"parameter of {name!r}", key, known))
        chosen[name] = known_processes[name](**values)
    return chosen


def _off(change: Any) -> bool:
    return isinstance(change, Mapping) and not change.get("enabled", True)


def solid_tumour(
    grid: Grid | None = None,
    region: Region | None = None,
    *,
    radius: Any = None,
    stroma: str = "excluded",
    blood: str = "human_solid",
    tumour: str = "generic",
    scale: str = "human",
    carrier: str = "generic",
    milieu: str | Sequence[str] = "core",
    therapies: Mapping[str, Any] | None = None,
    processes: Mapping[str, Any] | None = None,
    **values: Any,
) -> Model:
    """A solid tumour on any grid.

    Args:
        grid: one, two or three dimensions or radial; left out when ``region`` is given.
        region: where nests, stroma and vessels are; default a round nodule in the middle of ``grid``.
        radius: µm, of that nodule; default 0.4 of the smallest extent (of a radial grid: 0.4 of the radius).
        stroma: a preset of ``STROMA``: ``"excluded"`` (capsule, poor adhesion), ``"desmoplastic"`` or ``"inflamed"``.
        blood: a preset of ``BLOOD``: ``"human_solid"``, ``"human_leukaemia"``, ``"mouse"`` or ``"forced"``.
        tumour: a preset of ``TUMOURS``: ``"pdac"``, ``"glioblastoma"``, …; it wins over ``stroma``.
        scale: a preset of ``SCALE``, volumes and blood levels of ``"human"`` or ``"mouse"``; it wins over ``blood``.
        carrier: a preset of ``CARRIERS``: size, half-life, charge, binding and cargo of the nanoparticle.
        milieu: optional processes to carry, see :func:`milieu_of`; ``"core"`` carries none and stays small.
        therapies: interventions by name; the optional processes that they need are carried too.
        processes: changes to processes, see :func:`default_processes`.
        values: parameters of :class:`SolidTumour`.

    Raises:
        ValueError: for an unknown preset, process or parameter, with the nearest valid name.
    """
    chosen = chosen_presets(stroma=stroma, blood=blood, tumour=tumour, scale=scale, carrier=carrier)
    known_values = parameters(SolidTumour)
    for name in values:
        if name not in known_values:
            raise ValueError(unknown("parameter of solid_tumour", name, known_values))
    for label, one in (("processes", processes), ("therapies", therapies)):
        if one is not None and not isinstance(one, Mapping):
            raise ValueError(f"`{label}` must be a mapping of names, but {given(one)} was given. Write {{NAME: …}}.")
    optional = milieu_of(milieu, therapies)
    overrides = _with_presets(chosen, processes or {}, optional)
    if region is None:
        region = _nodule(grid, radius)
    elif radius is not None or (grid is not None and grid.shape != region.grid.shape):
        raise ValueError("Give either `grid` and `radius`, or a `region`, which brings its own grid.")
    numbers = {k: v for k, v in chosen.items() if k != "processes"}
    made = SolidTumour(**{**numbers, **values})
    problems = out_of_bounds(made, "model")
    if problems:
        raise ValueError("\n".join(problems))
    return made.build(region, default_processes(overrides, optional))


def _with_presets(chosen: Mapping[str, Any], processes: Mapping[str, Any], optional: Sequence[str]) -> dict[str, Any]:
    """``processes`` with the values of presets below them; an optional process gets them only where it is carried."""
    overrides = dict(processes)
    for name, values in chosen.get("processes", {}).items():
        change = overrides.get(name, {})
        change = {"enabled": change} if isinstance(change, bool) else change
        carried = name in REGISTRY or name in optional or bool(change) or values.get("enabled", False)
        if isinstance(change, Mapping) and carried:
            overrides[name] = {**values, **change}
    return overrides


def _nodule(grid: Grid | None, radius: Any) -> Region:
    if grid is None:
        raise ValueError("Argument `grid` must be given where there is no `region`.")
    if not isinstance(grid, Grid):
        raise ValueError(
            f"Argument `grid` must be a tmepde.Grid, but {type(grid).__name__} was given. Write Grid.square."
        )
    if radius is None:
        radius = 0.4 * min(float(np.sum(np.asarray(w))) for w in grid.widths)
    return Region.nodule(grid, radius)
