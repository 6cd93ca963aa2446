"""From a checked config to the objects of tmepde, and from an intervention back to its table."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tmepde import library
from tmepde.boundary import Dirichlet, NoFlux, PrescribedFlux, Robin
from tmepde.config.catalogue import describe
from tmepde.config.dosing import schedule
from tmepde.config.errors import ConfigError, Problem
from tmepde.config.modules import catalogue, of_library
from tmepde.config.schema import PICTURES
from tmepde.config.section import Section
from tmepde.config.trial import attempt
from tmepde.config.units import text
from tmepde.grid import Grid
from tmepde.interventions import REGISTRY, resolve
from tmepde.io.names import check_fields
from tmepde.library import own
from tmepde.model import Model
from tmepde.observables import every_species, standard, systemic
from tmepde.physiology import MILIEU
from tmepde.region import Region
from tmepde.scenario import Scenario, mixtures
from tmepde.schedule import Schedule, every

_CONDITIONS = {"no_flux": NoFlux, "dirichlet": Dirichlet, "robin": Robin, "prescribed_flux": PrescribedFlux}


@dataclasses.dataclass(frozen=True)
class Build:
    """What a run needs: the scenario with every intervention, the arms, and what to save."""

    scenario: Any
    arms: dict[str, tuple[str, ...]]
    save: Any
    fields: tuple[str, ...] | None
    region: Region | None
    precision: str
    rtol: float
    max_steps: int


def build(config: Any, region: Region | None = None) -> Build:
    """All objects of a config.

    Args:
        region: the one that this config would give, where it is known already.

    Raises:
        ConfigError: where the objects refuse what the config alone could not know (a picture without tissue, say).
    """
    at = functools.partial(attempt, files=tuple(config.code_files.values()))
    if region is None and config.tissue is not None:
        region = attempt("tissue", lambda: region_of(config))
    if of_library(config.model):
        assert region is not None  # validation gives such models a tissue
        model = at("model", lambda: model_of(config.model, region, config.interventions, config.folder))
        watched = standard() | (systemic(model) if set(MILIEU["systemic"]) & set(model.processes) else {})
    else:
        grid = region.grid if region is not None else attempt("grid", lambda: grid_of(config.grid))
        model = at("model", lambda: own_model_of(config, grid, region))
        watched = every_species(model)
    plan = {}
    for name, section in config.interventions.items():
        plan[name] = at(f"interventions.{name}", functools.partial(intervention_of, section, config.folder))
    scenario = at("", lambda: Scenario(model, interventions=plan, until=config.run.until, observables=watched))
    at("model", lambda: check_fields(scenario.system.species, model.grid.axes, scenario.observables))
    for arm, members in config.all_arms.items():
        for told in mixtures(scenario.only(members)):
            warnings.warn(f"Arm {arm!r}: {told}", stacklevel=2)
    save = config.run.save
    return Build(
        scenario=scenario,
        arms=config.all_arms,
        save=every(save.every) if save.times is None else list(save.times),
        fields=save.fields,
        region=region,
        precision=config.run.precision,
        rtol=config.run.rtol,
        max_steps=config.run.max_steps,
    )


def grid_of(section: Any) -> Grid:
    """The grid of ``[grid]``."""
    if section.kind == "radial":
        return Grid.radial(section.radius, section.cells, section.symmetry, section.inner)
    if section.kind == "axisymmetric":
        around = (section.periodic, False)
        grid = Grid.axisymmetric(section.height, section.radius, section.cells, section.inner, periodic=around)
    else:
        grid = Grid.box(section.extent, section.cells, periodic=section.periodic)
    return grid if section.cut is None else grid.with_level_set(_ellipsoid(section))


def _ellipsoid(section: Any) -> Any:
    """φ of ``[grid.cut]``: the distance to a ball; for an ellipsoid a function with the same zeros."""
    middle, radii = section.cut.middle(section), section.cut.radii(section)

    def level(*places: Any) -> Any:
        squares = [((x - c) / a) ** 2 for x, c, a in zip(places, middle, radii, strict=True)]
        return min(radii) * (np.sqrt(sum(squares)) - 1.0)

    return level


def region_of(config: Any) -> Region:
    """The region of ``[tissue]``, on the grid of ``[grid]`` or its own."""
    tissue = config.tissue
    if tissue.kind == "nodule":
        center = (0.0,) if config.grid.kind == "radial" and config.grid.symmetry == "slab" else tissue.center
        return Region.nodule(grid_of(config.grid), tissue.radius, center, tissue.vessels)
    if tissue.kind == "uniform":
        return Region.uniform(grid_of(config.grid))
    if tissue.kind in ("retina", "brain_mni"):
        from tmepde.region.brain import brain_mni
        from tmepde.region.retina import retina

        keys = {name: value for name, value in _values(tissue).items() if name != "kind"}
        return retina(**keys) if tissue.kind == "retina" else brain_mni(**keys)
    if tissue.kind == "labels":
        from tmepde.region import labels

        return labels.from_file(Path(config.folder) / tissue.file, tissue.pixel_size, tissue.cell_size, tissue.classes)
    from tmepde.region import histology

    keys = {"pixel_size": tissue.pixel_size, "cell_size": tissue.cell_size, "crop": tissue.crop}
    if tissue.kind == "colon_ihc":
        return histology.colon_ihc(**keys)
    image = tissue.image if tissue.image == histology.BUNDLED else str(Path(config.folder) / tissue.image)
    return histology.from_image(image, **keys)


def model_of(section: Any, region: Region, interventions: Any = (), folder: str = ".") -> Model:
    """The model of ``[model]``: its numbers, its processes with those that interventions need, changes to species."""
    entry = catalogue()["models"][section.kind]
    keys = {n: getattr(section, n) for n in (*entry["parameters"], *entry["options"])}
    given = {n: getattr(section.processes, n) for n in type(section.processes).model_fields}
    processes = {n: _values(p) for n, p in given.items() if p is not None}
    therapies = {n: resolve(one.kind, folder) for n, one in dict(interventions).items()}
    model = library.MODELS[section.kind](region=region, processes=processes, therapies=therapies, **keys)
    if section.species is None:
        return model
    species = dict(model.species)
    for name in section.species.model_fields_set:
        if name not in species:
            raise ValueError(f"The species {name!r} is of a process that this model does not carry. Name its process.")
        species[name] = dataclasses.replace(species[name], **_species(getattr(section.species, name)))
    return Model(model.grid, species, model.processes, model.tissue)


def own_model_of(config: Any, grid: Grid, region: Region | None) -> Model:
    """A model of the literature, or of a class in a file beside the config."""
    section = config.model
    cls = own.builder(section.kind, config.folder)
    needs = own.takes_region(cls)
    if needs and region is None:
        raise ConfigError([Problem("tissue", f"must be given: the model {section.kind!r} is built from it. Add it.")])
    if not needs and region is not None and config.tissue.kind not in PICTURES:
        message = f"must be left out: the model {section.kind!r} takes nothing of it but a grid. Drop it."
        raise ConfigError([Problem("tissue", message)])
    return own.built(cls(**_arguments(section, describe(cls))), grid, region)


def _values(section: Section) -> dict[str, Any]:
    return {n: getattr(section, n) for n in type(section).model_fields}


def _species(section: Section) -> dict[str, Any]:
    changes = {n: v for n, v in _values(section).items() if v is not None}
    if "boundary" in changes:
        one = changes["boundary"]
        sides = None if hasattr(one, "kind") else {s: _condition(c) for s, c in _values(one).items() if c is not None}
        changes["boundary"] = _condition(one) if sides is None else sides
    return changes


def _condition(section: Any) -> Any:
    return _CONDITIONS[section.kind](**{n: v for n, v in _values(section).items() if n != "kind"})


def intervention_of(section: Any, folder: str = ".") -> Any:
    """The intervention of ``[interventions.NAME]``; a class in a file is looked up from ``folder``."""
    cls = resolve(section.kind, folder)
    return cls(**_arguments(section, describe(cls)))


def _arguments(section: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments: numbers as they are, doses as schedules, parts as their classes."""
    out: dict[str, Any] = {}
    for name in (*entry["parameters"], *entry.get("options", ())):
        value = getattr(section, name)
        if value is not None:
            out[name] = list(value) if isinstance(value, tuple) else value
    for name in entry.get("schedules", ()):
        if getattr(section, name) is not None:
            out[name] = schedule(getattr(section, name))
    for name, part in entry.get("parts", {}).items():
        out[name] = _class(part["class"])(**_arguments(getattr(section, name), part))
    return out


def _class(path: str) -> Any:
    import importlib

    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def table_of(intervention: Any) -> dict[str, Any]:
    """The config table of an intervention: the inverse of :func:`intervention_of`, exact.

    Raises:
        ValueError: for a number that is an array, which a config cannot hold.
    """
    cls = type(intervention)
    kind = next((k for k, c in REGISTRY.items() if c is cls), f"{cls.__module__}:{cls.__qualname__}")
    return {"kind": kind, **_table(intervention, describe(cls))}


def _table(module: Any, entry: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, one in entry["parameters"].items():
        value = getattr(module, name)
        if value is not None:
            out[name] = _written(np.asarray(value), one["unit"], name)
    out |= {name: getattr(module, name) for name in entry.get("options", ())}
    for name, one in entry.get("schedules", {}).items():
        doses = getattr(module, name)
        if isinstance(doses, Schedule):
            keys = (("at", "h"), ("amount", one["unit"]), ("over", "h"))
            out[name] = {"kind": "infusion", **{k: _written(np.asarray(getattr(doses, k)), u, k) for k, u in keys}}
    for name, part in entry.get("parts", {}).items():
        out[name] = _table(getattr(module, name), part)
    return out


def _written(value: np.ndarray, unit: str, name: str) -> Any:
    if value.ndim > 1:
        raise ValueError(f"`{name}` must be a number or a list, but has shape {value.shape}. Keep it in Python.")
    return [text(v, unit) for v in value.tolist()] if value.ndim else text(float(value), unit)
