"""What is simulated: species and processes on a grid (``Model``), and everything with its therapies (``System``)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import State, is_traced, not_a_number
from tmepde.boundary import Sides, sides
from tmepde.coefficients import (
    CHANNELS,
    DEATH,
    LYSIS,
    Coefficients,
    Tissue,
    add,
    answered,
    scale,
    split,
    times,
    unknown,
)
from tmepde.grid import Grid
from tmepde.parameter import out_of_bounds
from tmepde.process import Process
from tmepde.schedule import Schedule
from tmepde.species import KINDS, Species


class Model(eqx.Module):
    """A grid, species by name, processes by name, and base values of tissue quantities.

    Processes may bring species of their own (:meth:`Process.brings`); those given here win over them.

    Raises:
        ValueError: for an initial array of the wrong shape, non-finite or negative values, or a bad side name.
    """

    grid: Grid
    species: dict[str, Species]
    processes: dict[str, Process]
    tissue: dict[str, Any]

    def __init__(
        self,
        grid: Grid,
        species: Mapping[str, Species],
        processes: Mapping[str, Process] | Any = (),
        tissue: Mapping[str, Any] | None = None,
    ):
        if not isinstance(grid, Grid):
            raise ValueError(f"`grid` must be a tmepde.Grid, but {_type(grid)} was given. Write Grid.square(…), say.")
        self.grid = grid
        self.species = _by_name("species", species, Species)
        if not isinstance(processes, Mapping):
            processes = {f"process_{i}": p for i, p in enumerate(processes)}
        self.processes = _by_name("processes", processes, Process)
        self.tissue = {k: v if isinstance(v, jax.Array) else np.asarray(v, float) for k, v in (tissue or {}).items()}
        for name, value in self.tissue.items():
            _check_tissue(name, value, grid)
        for name in sorted(self.processes):
            for key, one in self.processes[name].brings(self.base).items():
                self.species.setdefault(key, one)
        if not self.species:
            raise ValueError("A model needs at least one species, but none was given.")
        for name, one in self.species.items():
            _check_species(name, one, grid)
            if one.carrier and one.carrier not in self.species:
                raise ValueError(f"`{name}.carrier`: {unknown('species', one.carrier, self.species)}")

    @property
    def base(self) -> Tissue:
        """The grid and the base values of tissue quantities."""
        return Tissue(self.grid, self.tissue)

    def without(self, *names: str) -> Model:
        """The same model with some processes switched off."""
        for name in names:
            if name not in self.processes:
                raise KeyError(unknown("process", name, self.processes))
        kept = {k: p for k, p in self.processes.items() if k not in names}
        return Model(self.grid, self.species, kept, self.tissue)

    def __repr__(self) -> str:
        lines = [f"Model on {self.grid}"]
        for kind in KINDS:
            names = [n for n, s in self.species.items() if s.kind == kind]
            if names:
                lines.append(f"├─ {kind}: {', '.join(names)}")
        lines.append(f"├─ processes: {', '.join(self.processes) or 'none'}")
        lines.append(f"└─ tissue: {', '.join(self.tissue) or 'none'}")
        return "\n".join(lines)


def _type(value: Any) -> str:
    return f"an object of type {type(value).__name__}"


def _by_name(label: str, given: Any, wanted: type) -> dict[str, Any]:
    """A copy of a mapping of names to objects of the type ``wanted``."""
    if not isinstance(given, Mapping):
        pairs = list(given) if isinstance(given, list | tuple) else None
        names = [p[0] for p in pairs if isinstance(p, tuple) and len(p) == 2] if pairs is not None else []
        twice = sorted({n for n in names if isinstance(n, str) and names.count(n) > 1})
        if twice:
            raise ValueError(f"`{label}` must name each entry once, but {twice[0]!r} is there twice. Rename one.")
        raise ValueError(f"`{label}` must be a mapping of names, but {_type(given)} was given. Write {{name: …}}.")
    for name, value in given.items():
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(
                f"`{label}` must have names that are words without dots, but {name!r} was given. Rename it."
            )
        if not isinstance(value, wanted):
            raise ValueError(
                f"`{label}.{name}` must be a tmepde.{wanted.__name__}, but {_type(value)} was given. "
                f"Write {wanted.__name__}(…)."
            )
    return dict(given)


def _known(value: Any) -> Any:
    """The values of an array that is not traced, else ``None``."""
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value) if isinstance(value, jax.Array) and not is_traced(value) else None


def _check_tissue(name: str, value: Any, grid: Grid) -> None:
    values = _known(value)
    if values is None:
        return
    if values.ndim == grid.ndim and values.shape != grid.shape and values.size > 1:
        raise ValueError(f"`tissue.{name}` must be a number or have shape {grid.shape}, but has shape {values.shape}.")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"`tissue.{name}` must be finite, but it contains NaN or infinity. Mask such cells.")


def _check_species(name: str, species: Species, grid: Grid) -> None:
    for k, pair in enumerate(sides(species.boundary, grid.axes)):
        for sign, condition in zip("-+", pair, strict=True):
            _check_side(f"{name}.boundary.{grid.axes[k]}{sign}", condition, species, grid, k)
    if isinstance(species.boundary, Mapping) and "r-" in species.boundary and _has_centre(grid):
        raise ValueError(
            f"`{name}.boundary.r-` must be left out: it is the centre r = 0, which has no area: nothing crosses it. "
            "Write 'r+', give the grid an `inner` radius, or hold the cells there with `held`."
        )
    parts = [_known(d) for d in jax.tree.leaves(species.diffusivity)]
    if species.kind in ("local", "compartment") and any(d is not None and np.any(d != 0) for d in parts):
        raise ValueError(
            f"`{name}.diffusivity` needs a species that moves, but its kind is {species.kind!r}. "
            "Leave it out, or use kind='transported' or 'quasi_steady'."
        )
    wanted = () if species.kind == "compartment" else grid.shape
    checked = (
        ("initial", species.initial, -np.inf if species.signed else 0.0, wanted),
        ("negligible", species.negligible, 0.0, ()),
        *((label, value, least, grid.shape) for label, value, least in _diffusivities(name, species.diffusivity, grid)),
    )
    for label, value, least, shape in checked:
        problem = not_a_number(value)
        if problem:
            raise ValueError(f"`{name}.{label}` {problem}.")
        values = _known(value)
        if values is None:
            continue
        if values.shape not in ((), shape):
            raise ValueError(f"`{name}.{label}` must be a number or have shape {shape}, but has shape {values.shape}.")
        if not np.all(np.isfinite(values)):
            cell = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            where = f" in cell {cell}" if cell else ""
            raise ValueError(f"`{name}.{label}` must be finite, but it is {values[cell]}{where}. Correct it.")
        if np.any(values < least):
            raise ValueError(f"`{name}.{label}` must not be negative, but its minimum is {values.min():g}.")
    if species.held is not None and (species.held.shape != grid.shape or species.held.dtype != bool):
        raise ValueError(
            f"`{name}.held` must be a boolean array of shape {grid.shape}, but has shape {species.held.shape} "
            f"and dtype {species.held.dtype}. Write `mask > 0`."
        )


def _has_centre(grid: Grid) -> bool:
    """Whether the radial axis begins at r = 0."""
    first = _known(grid.origin[-1])
    return grid.symmetry != "slab" and first is not None and float(first) == 0.0


def _check_side(path: str, condition: Any, species: Species, grid: Grid, k: int) -> None:
    """Values on a side must fit it, and be of a sign that the species can have."""
    if grid.periodic[k] and type(condition).__name__ != "NoFlux":
        raise ValueError(
            f"`{path}` must be left out, because the grid is periodic along {grid.axes[k]}. "
            "Drop the condition or build the grid with periodic=False."
        )
    side = tuple(1 if j == k else n for j, n in enumerate(grid.shape))
    for label in ("value", "transfer", "outside", "flux"):
        values = _known(getattr(condition, label, None))
        if values is None:
            continue
        if label == "value" and not species.signed and np.any(values < 0):  # the bath of Robin may be an effective one
            raise ValueError(f"`{path}.{label}` must not be negative, but its minimum is {values.min():g}.")
        if values.size not in (1, int(np.prod(side))):
            raise ValueError(
                f"`{path}.{label}` must be a number or have the {int(np.prod(side))} values of the side, but has shape "
                f"{values.shape}. Give one value per cell of the side."
            )


def _diffusivities(name: str, value: Any, grid: Grid) -> list[tuple[str, Any, float]]:
    """(label, entry, lower bound) of every entry; a tensor must be symmetric and have no negative direction."""
    if not isinstance(value, tuple):
        return [("diffusivity", value, 0.0)]
    n = grid.ndim
    rows = isinstance(value[0], tuple)
    if len(value) != n or (rows and any(not isinstance(r, tuple) or len(r) != n for r in value)):
        raise ValueError(
            f"`{name}.diffusivity` must have {n} entries (one per axis) or {n} rows of {n}, but {len(value)} "
            "were given."
        )
    if not rows:
        return [(f"diffusivity[{k}]", v, 0.0) for k, v in enumerate(value)]
    flat = [v for row in value for v in row]
    if all(isinstance(v, np.ndarray) for v in flat) and all(np.all(np.isfinite(v)) for v in flat):
        try:
            full = np.stack(np.broadcast_arrays(*flat), axis=-1).reshape(-1, n, n)
        except ValueError:
            full = np.eye(n)[None]  # shapes that do not agree are reported entry by entry
        size = np.max(np.abs(full), initial=0.0)
        if np.max(np.abs(full - np.swapaxes(full, 1, 2)), initial=0.0) > 1e-9 * size:
            raise ValueError(f"`{name}.diffusivity` must be a symmetric tensor, but its rows are not. Symmetrise it.")
        if np.min(np.linalg.eigvalsh(full), initial=0.0) < -1e-9 * size:
            raise ValueError(f"`{name}.diffusivity` must have no negative eigenvalue, but it has one.")
    return [(f"diffusivity[{i}][{j}]", value[i][j], 0.0 if i == j else -np.inf) for i in range(n) for j in range(n)]


def _check_required(name: str, intervention: Any, model: Model) -> None:
    missing = [one for one in intervention.requires if one not in model.processes]
    if missing:
        listed = ", ".join(repr(one) for one in missing)
        raise ValueError(
            f"Intervention {name!r} acts on what the model does not carry: it needs the processes {listed}. "
            "Build the model with them: solid_tumour(..., therapies=plan), or processes={name: True}."
        )


class System(eqx.Module):
    """A model together with its interventions: all that a stepper needs to know.

    ``species`` are those of the model and those the interventions bring; two interventions may share a species if they
    declare it alike.
    """

    model: Model
    interventions: dict[str, Any]
    brought: dict[str, Species]

    def __init__(self, model: Model, interventions: Mapping[str, Any] | None = None):
        self.model, self.interventions = model, dict(interventions or {})
        brought: dict[str, Species] = {}
        for name in sorted(self.interventions):
            _check_required(name, self.interventions[name], model)
            for key, species in self.interventions[name].species(model.grid).items():
                if key in model.species:
                    raise ValueError(f"Intervention {name!r} brings the species {key!r}, which the model already has.")
                brought.setdefault(key, species)
        self.brought = brought
        for name, species in self.species.items():
            if species.carrier and species.carrier not in self.species:
                raise ValueError(unknown(f"carrier of {name!r}", species.carrier, self.species))

    @property
    def grid(self) -> Grid:
        return self.model.grid

    @property
    def species(self) -> dict[str, Species]:
        return {**self.model.species, **self.brought}

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Names of the species of one kind, sorted, so that the order of declaration cannot matter."""
        return tuple(sorted(n for n, s in self.species.items() if s.kind == kind))

    def boundary(self) -> dict[str, Sides]:
        return {n: sides(s.boundary, self.grid.axes) for n, s in self.species.items()}

    def initial_state(self, dtype: Any) -> State:
        """Initial values of every species, each broadcast to its shape."""
        state = {}
        for name, species in self.species.items():
            shape = () if species.kind == "compartment" else self.grid.shape
            state[name] = jnp.broadcast_to(jnp.asarray(species.initial, dtype), shape)
        return state

    def tissue(self, clock: Any, state: State) -> tuple[Tissue, list[tuple[Any, Any]]]:
        """Tissue quantities with therapies applied, and each intervention's (strength, effects)."""
        quantities = dict(self.model.tissue)
        base = Tissue(self.grid, dict(quantities))
        for name in sorted(self.model.processes):
            add(quantities, self.model.processes[name].tissue(clock, state, base))
        for name in sorted(self.model.processes):
            for key, factor in self.model.processes[name].factors(clock, state, base).items():
                scale(quantities, key, factor)
        before = Tissue(self.grid, dict(quantities))
        stated = [(i.strength, i.effects(clock, state, before)) for _, i in sorted(self.interventions.items())]
        _apply(quantities, stated, dotted=False)
        return Tissue(self.grid, quantities), stated

    def coefficients(self, clock: Any, state: State) -> Coefficients:
        """The waist at this instant: D, v, s, λ of every species, with all therapies applied."""
        tissue, stated = self.tissue(clock, state)
        terms: dict[str, Any] = {}
        for name, species in self.species.items():
            if species.kind in ("transported", "quasi_steady"):
                terms[f"{name}.diffusivity"] = jax.tree.map(jnp.asarray, species.diffusivity)
        kinds = {n: s.kind for n, s in self.species.items()}
        for name in sorted(self.model.processes):
            ask = functools.partial(self.model.processes[name].coefficients, clock, state, tissue)
            add(terms, answered(f"Process {name!r}", ask, self.grid, kinds, state))
        add(terms, self._kinetics(clock, state, tissue))
        _apply(terms, stated, dotted=True, species=self.species)
        deaths = {n: terms.pop(f"{n}.{DEATH}") for n in self.species if f"{n}.{DEATH}" in terms}
        lysis = {f"{n}.{LYSIS}": terms.pop(f"{n}.{LYSIS}") for n in self.species if f"{n}.{LYSIS}" in terms}
        self._follow(terms, clock, state, tissue, deaths | lysis, stated)
        add(terms, {f"{n}.loss": rate for n, rate in deaths.items()})
        self._carry(terms)
        _check_moving(terms, kinds)
        return split(terms, self.species)

    def _carry(self, terms: dict[str, Any]) -> None:
        """What rides on cells moves with them and goes with them."""
        for name, species in self.species.items():
            if species.carrier:
                shared = ("diffusivity", "velocity", "flow", "loss")
                keys = {f"{species.carrier}.{c}": f"{name}.{c}" for c in shared}
                add(terms, {to: terms[key] for key, to in keys.items() if key in terms})

    def _follow(self, terms: Any, clock: Any, state: State, tissue: Tissue, deaths: Any, stated: Any) -> None:
        """Add what follows from the dead: by rate, and by log-kill spread over the step."""
        following = [p for _, p in sorted(self.model.processes.items()) if type(p).aftermath is not Process.aftermath]
        if not following:
            return
        dying = dict(deaths)
        for strength, effects in stated:
            add(dying, {n: strength * value / clock.step for n, value in effects.hazard.items()})
        for one in following:
            add(terms, one.aftermath(clock, state, tissue, dying))

    def _kinetics(self, clock: Any, state: State, tissue: Tissue) -> dict[str, Any]:
        """What the body does to the drugs that interventions bring; of several owners the first by name counts."""
        terms: dict[str, Any] = {}
        taken: set[str] = set()
        for name in sorted(self.interventions):
            one = self.interventions[name]
            brought = set(one.species(self.grid))
            for target, value in one.kinetics(clock, state, tissue).items():
                species = target.rpartition(".")[0]
                if species not in brought:
                    raise KeyError(unknown("species of its own", species, brought) + f" (kinetics of {name!r})")
                if species not in taken:
                    terms[target] = value
            taken |= brought
        return terms

    def hazards(self, clock: Any, state: State) -> dict[str, Any]:
        """Summed log-kill Λ per species that falls into the step of ``clock``."""
        _, stated = self.tissue(clock, state)
        total: dict[str, Any] = {}
        for strength, effects in stated:
            for name, value in effects.hazard.items():
                if name not in self.species:
                    raise KeyError(unknown("species", name, self.species) + " (hazard)")
                if self.species[name].kind == "quasi_steady":
                    raise ValueError(
                        f"A log-kill needs a species that keeps what it has, but {name!r} is quasi-steady, in balance "
                        f"at every instant. State its loss instead: add '{name}.loss'."
                    )
                add(total, {name: strength * value})
        for name, species in self.species.items():
            if species.carrier in total:
                add(total, {name: total[species.carrier]})
        return total

    def problems(self) -> list[str]:
        """Sentences for every parameter outside its bounds."""
        found = []
        for label, group in (("model.processes", self.model.processes), ("interventions", self.interventions)):
            for name, module in group.items():
                found += out_of_bounds(module, f"{label}.{name}")
        for name, one in self.interventions.items():
            found += _dose_problems(one, f"interventions.{name}")
        return found


def _check_moving(terms: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """Nothing may move what stays in its cell.

    Raises:
        ValueError: for a diffusivity, velocity or flow of a local species or a compartment.
    """
    for target in terms:
        name, _, channel = target.rpartition(".")
        if channel in ("diffusivity", "velocity", "flow") and kinds.get(name) in ("local", "compartment"):
            raise ValueError(
                f"`{target}` needs a species that moves, but the kind of {name!r} is {kinds[name]!r}. "
                "Use kind='transported', or leave it out."
            )


def _dose_problems(intervention: Any, path: str) -> list[str]:
    """Sentences for fields that must be schedules and are not, and for doses before the start."""
    found = []
    for field in dataclasses.fields(intervention):
        if "schedule" not in field.metadata:
            continue
        doses = getattr(intervention, field.name)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if not isinstance(doses, Schedule):
            if doses is not None or required:
                found.append(
                    f"`{path}.{field.name}` must be a schedule, but {doses!r} was given. Write Bolus(at, amount)."
                )
            continue
        at = _known(doses.at)
        if at is not None and np.any(at < 0):
            found.append(
                f"`{path}.{field.name}.at` must be at least 0 h, but {at.min():g} h was given: doses before the start "
                "are not given. Shift the times."
            )
    return found


def _apply(values: dict[str, Any], stated: list[tuple[Any, Any]], dotted: bool, species: Any = ()) -> None:
    """value ← value·Π(1 + strength(f − 1)) + Σ strength·r, for targets with or without a dot."""
    for strength, effects in stated:
        for target, factor in effects.scale.items():
            if ("." in target) != dotted:
                continue
            if target not in values:
                if (
                    dotted
                    and target.rpartition(".")[0] in species
                    and target.rpartition(".")[2] in (*CHANNELS, DEATH, LYSIS)
                ):
                    continue  # a known coefficient that is zero here stays zero
                raise KeyError(unknown("target", target, values))
            scale(values, target, 1.0 + strength * (factor - 1.0))
    for strength, effects in stated:
        for target, term in effects.add.items():
            if ("." in target) != dotted:
                continue
            if not dotted and target not in values:
                raise KeyError(unknown("tissue quantity", target, values))
            add(values, {target: times(term, strength)})
