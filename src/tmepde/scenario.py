"""Everything needed to run: a model, its therapies, how long, and what to watch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.tree_util as jtu
import numpy as np

from tmepde._arguments import as_number, entries, given, kind_of, not_a_number, number, word
from tmepde._types import is_traced
from tmepde.coefficients import unknown
from tmepde.model import Model, System
from tmepde.operators.anisotropy import is_tensor, reduced
from tmepde.parameter import parameters
from tmepde.schedule import Schedule, schedules
from tmepde.sharing import Sharing

#: part of an off-diagonal entry of a tensor whose loss is told of
_REDUCED = 0.01


class Scenario(eqx.Module):
    """A model with interventions, from time 0 until ``until`` hours.

    Args:
        interventions: therapies by name; the names appear in results and configs.
        observables: callables ``(clock, state, tissue) -> number`` with ``unit`` and ``long_name``, evaluated at saves.

    Raises:
        ValueError: for a duration that is not positive, or parameters outside their bounds (all of them at once).
    """

    model: Model
    interventions: dict[str, Any]
    observables: dict[str, Any]
    until: Any

    def __init__(
        self,
        model: Model,
        interventions: Mapping[str, Any] | None = None,
        until: Any = 24.0,
        observables: Mapping[str, Any] | None = None,
    ):
        if not isinstance(model, Model):
            given = type(model).__name__
            raise ValueError(f"`model` must be a tmepde.Model, but {given} was given. Write library.solid_tumour(…).")
        self.model = model
        self.interventions = _therapies(interventions)
        self.observables = _watched(observables)
        self.until = _duration(until)
        problems = self.system.problems()
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def system(self) -> System:
        """The model together with the therapies; made anew where a therapy was exchanged in place."""
        made: System | None = self.__dict__.get("_system")
        if made is None or not _same(made.interventions, self.interventions):
            made = self.__dict__["_system"] = System(self.model, self.interventions)
        return made

    def at(self, path: str) -> Any:
        """The value behind a dotted path such as ``"interventions.car_t.dose.amount"``."""
        here: Any = self
        for key in word("path", path).split("."):
            here = _child(here, key, path)
        return here

    def replace(self, path: str, value: Any) -> Scenario:
        """The same scenario with another value behind ``path``; numbers keep their shape (no recompilation).

        A number may lie a thousandth beyond its bounds, so that differences can be taken at them.
        """
        old = self.at(path)
        new = as_number(value)
        problem = not_a_number(new)
        above, _, name = path.rpartition(".")
        holder = self.at(above) if above else self
        if problem is None and new is None and isinstance(old, np.ndarray) and not _optional(holder, name):
            problem = "must be a number, but None was given. Write one"
        if problem:
            raise ValueError(f"`{path}` {problem}.")
        declared = parameters(type(holder)) if above and dataclasses.is_dataclass(holder) else {}
        if (
            name in declared
            and isinstance(new, np.ndarray)
            and (problem := declared[name].problem(_eased(new, declared[name].bounds)))
        ):
            raise ValueError(f"`{path}` {problem}. Meaning: {declared[name].doc}.")
        if hasattr(old, "shape") and hasattr(new, "shape") and new.shape != old.shape:
            if new.shape != ():
                raise ValueError(f"`{path}` must keep shape {old.shape}, but shape {new.shape} was given.")
            new = new + 0.0 * old  # one number for all doses
        return eqx.tree_at(lambda s: s.at(path), self, new, is_leaf=lambda x: x is None)

    def only(self, active: Iterable[str]) -> Scenario:
        """The same scenario with all other interventions at strength 0: no recompilation.

        Raises:
            KeyError: for an intervention that is not there.
        """
        names, scenario = entries("active", active, "names of interventions"), self
        for one in names:
            if word("active", one) not in self.interventions:
                raise KeyError(unknown("intervention", one, self.interventions))
        wanted = set(names)
        for one in self.interventions:
            if one not in wanted:
                scenario = scenario.replace(f"interventions.{one}.strength", 0.0)
        return scenario

    def __repr__(self) -> str:
        lines = repr(self.model).splitlines()
        lines[0] = f"Scenario of {float(self.until):g} h"
        lines.insert(1, f"├─ {self.model.grid}")
        for name, one in self.interventions.items():
            brings = ", ".join(one.species(self.model.grid)) or "nothing"
            doses = sum(s.at.shape[0] for s in schedules(one))
            lines.insert(-1, f"├─ {name}: {type(one).__name__}, {doses} dose(s), brings {brings}")
        return "\n".join(lines)


def _optional(holder: Any, name: str) -> bool:
    """Whether a field of ``holder`` may be left out."""
    return dataclasses.is_dataclass(holder) and any(
        one.name == name and one.default is None for one in dataclasses.fields(holder)
    )


def mixtures(scenario: Scenario) -> list[str]:
    """Sentences for therapies that are given together, bring the same and differ in what it does."""
    return Sharing(scenario.interventions, scenario.model.grid).mixtures()


def reservations(scenario: Scenario) -> list[str]:
    """Sentences for what a run will not be quite as asked for: therapies that mix, light of more than full power,
    depots of more cells than fit, tensors that are too steep."""
    return mixtures(scenario) + _powers(scenario) + _packed(scenario) + _steep(scenario)


def _packed(scenario: Scenario) -> list[str]:
    """Sentences for cells that are put where there is no room for them: more than 1/v_T, which is all volume."""
    crowding, found = scenario.model.processes.get("crowding"), []
    size = getattr(crowding, "lymphocyte_volume", None)  # µm³
    if size is None or is_traced((size, scenario.model.grid)):
        return []
    most = 1e9 / float(size)
    for name, one in scenario.interventions.items():
        if is_traced(one) or not np.any(np.asarray(one.strength) > 0) or not hasattr(one, "densest"):
            continue
        there = float(one.densest(scenario.model.grid))
        if there > most:
            found.append(
                f"`interventions.{name}.dose` puts {there:.2g} cells/mm^3 into tissue that {most:.2g} fill: "
                f"{there / most:.2g} times what fits. Spread it (a larger `width`), or give the part of the dose that "
                "stays in this tissue."
            )
    return found


def _powers(scenario: Scenario) -> list[str]:
    """Sentences for light, sound and magnets whose hours of full power are given in a shorter time."""
    found = []
    for name, one in scenario.interventions.items():
        for field in dataclasses.fields(one):
            declared, given = field.metadata.get("schedule", {}), getattr(one, field.name)
            if declared.get("unit") != "h" or not isinstance(given, Schedule) or is_traced((given, one.strength)):
                continue
            power = float(np.max(given.amount / given.over))
            if power > 1.0 + 1e-9 and np.any(np.asarray(one.strength) > 0):
                found.append(
                    f"`interventions.{name}.{field.name}` is {power:.3g} times full power: its amount is hours of "
                    "full power, given in a shorter time. Write an Infusion, such as amount=1/6 over=1/6."
                )
    return found


def _steep(scenario: Scenario) -> list[str]:
    """Sentences for tensor diffusivities whose off-diagonal entries are reduced (those of species; not traced ones)."""
    grid, found = scenario.model.grid, []
    for name, one in scenario.system.species.items():
        if not is_tensor(one.diffusivity) or grid.ndim == 1 or is_traced((one.diffusivity, grid)):
            continue
        lost = float(reduced(grid, one.diffusivity))
        if lost > _REDUCED:
            found.append(
                f"`{name}.diffusivity` is more anisotropic than a monotone scheme can be on these cells: off-diagonal "
                f"entries are reduced by up to {lost:.0%}. Every direction is met up to D_∥/D_⊥ = 17.9 in the plane, "
                "3.7 in space, on cells of equal sides. Lay an axis of the grid along the fibres, or lower the ratio."
            )
    return found


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the same objects have the same names."""
    return one.keys() == other.keys() and all(one[n] is other[n] for n in one)


def _duration(until: Any) -> Any:
    """``until`` as a number; traced ones pass, for derivatives by the length of a run."""
    made = number("until", until, "h", above=0.0)
    if getattr(made, "ndim", 0):
        raise ValueError(f"`until` must be one number of hours, but has shape {tuple(made.shape)}. Run one at a time.")
    return made


def _therapies(given: Any) -> dict[str, Any]:
    """Interventions by name, as a copy."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise ValueError(
            f'`interventions` must be a mapping of names, but {kind} was given. Write {{"name": therapy}}.'
        )
    for name, one in given.items():
        if not (hasattr(one, "effects") and hasattr(one, "requires")) or isinstance(one, type):
            kind = f"the class {one.__name__} itself" if isinstance(one, type) else type(one).__name__
            raise ValueError(f"`interventions.{name}` must be a tmepde.Intervention, but {kind} was given.")
        for field in dataclasses.fields(one) if dataclasses.is_dataclass(one) else ():
            part, value = field.default_factory, getattr(one, field.name)
            if isinstance(part, type) and issubclass(part, eqx.Module) and not isinstance(value, part):
                raise ValueError(
                    f"`interventions.{name}.{field.name}` must be a {part.__name__}, but {kind_of(value)} was given. "
                    f"Write {part.__name__}(…)."
                )
    return dict(given)


def _watched(given: Any) -> dict[str, Any]:
    """Observables by name, as a copy."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise ValueError(f'`observables` must be a mapping of names, but {kind} was given. Write {{"name": function}}.')
    for name, one in given.items():
        if not callable(one):
            raise ValueError(
                f"`observables.{name}` must be a function of (clock, state, tissue), but {one!r} was given. Define one."
            )
    return dict(given)


def _eased(value: np.ndarray, bounds: tuple[float | None, float | None]) -> np.ndarray:
    """What lies a thousandth beyond its bounds, at them."""
    low, high = bounds
    slack = 1e-3 * max(abs(b) for b in (low or 0.0, high or 0.0))
    if low is not None:
        value = np.where((value < low) & (value >= low - slack), low, value)
    if high is not None:
        value = np.where((value > high) & (value <= high + slack), high, value)
    return value


def _child(here: Any, key: str, path: str) -> Any:
    if isinstance(here, Mapping):
        if key in here:
            return here[key]
        raise KeyError(unknown("entry", key, here) + f" (path {path!r})")
    if hasattr(here, key) and not key.startswith("_"):
        return getattr(here, key)
    fields = [k.name for k in getattr(here, "__dataclass_fields__", {}).values()]
    raise KeyError(unknown("entry", key, fields) + f" (path {path!r})")


#: snapshots of one run, before anything is computed
MOST_SAVES = 1_000_000


def check_save(scenario: Any, save: Any) -> None:
    """Refuse what cannot be save times, before they are worked out; their order and range are seen to later.

    Raises:
        ValueError: for a scenario that is none, text, a single number, a misspelt key, or too many snapshots.
    """
    if not isinstance(scenario, Scenario):
        given = type(scenario).__name__
        raise ValueError(
            f"`scenario` must be a tmepde.Scenario, but {given} was given. Write Scenario(model, until=…)."
        )
    if save is None:
        return
    if isinstance(save, Mapping):
        if "every" not in save:
            raise ValueError(f"`save` must be every(hours), but {dict(save)!r} was given. Write save=tme.every(12.0).")
        interval = number("save", save["every"], "h", above=0.0)
        count = float(scenario.until) / float(interval) if isinstance(scenario.until, np.ndarray) else 0.0
        if count > MOST_SAVES:
            raise ValueError(
                f"`save` must ask for at most {MOST_SAVES} snapshots, but {count:.3g} were asked for, each with "
                f"{_bytes(scenario) / 2**20:.3g} MiB of fields in float32. Save less often."
            )
        return
    if is_traced(save):
        raise ValueError(
            "`save` must hold times that are known, but one is being differentiated or mapped. Save at fixed times; "
            "the derivative with respect to a time is the rate of change there, as two saves beside it tell."
        )
    if isinstance(save, str | bytes) or not isinstance(save, Sequence | np.ndarray) and not hasattr(save, "__iter__"):
        raise ValueError(
            f"`save` must be every(hours) or a list of times in h, but {save!r} was given. Write save=tme.every(12.0)."
        )
    if isinstance(save, np.ndarray) and save.ndim != 1:
        raise ValueError(
            f"`save` must be a list of times in h, but an array of shape {save.shape} was given. Write save.ravel()."
        )
    for i, one in enumerate(save.tolist() if isinstance(save, np.ndarray) else list(save)):
        number(f"save[{i}]", one, "h")


def check_fields(fields: Any) -> None:
    """Refuse a single text where names are meant: its letters would be taken for names; what can be gone through once
    only would be empty afterwards."""
    if fields is None:
        return
    if isinstance(fields, str):
        raise ValueError(f"`fields` must be a list of species, but the text {fields!r} was given. Write [{fields!r}].")
    if not isinstance(fields, Collection) or getattr(fields, "ndim", 1) != 1:
        raise ValueError(f"`fields` must be a list of species, but {given(fields)} was given. Write ['NAME', …].")
    for one in fields:
        word("fields", one, remedy="Write the names of species.")


def _bytes(scenario: Scenario) -> float:
    cells = float(np.prod(scenario.model.grid.shape))
    return 4.0 * cells * sum(one.kind != "compartment" for one in scenario.model.species.values())


def numbers(tree: Any) -> dict[str, Any]:
    """All traced numbers of a pytree by dotted path."""
    found = {}
    for path, leaf in jtu.tree_leaves_with_path(tree):
        names = [str(getattr(p, "name", getattr(p, "key", getattr(p, "idx", p)))) for p in path]
        found[".".join(names)] = leaf
    return found
