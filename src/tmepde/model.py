"""What is simulated: species and processes on a grid (``Model``), and everything with its therapies (``System``)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import as_number, entries, given, not_a_number
from tmepde._once import once
from tmepde._types import State, Whole
from tmepde.admissible import (
    by_name,
    check_moving,
    check_required,
    check_species,
    check_tissue,
    dose_problems,
    site_problems,
    type_of,
)
from tmepde.boundary import Sides, sides
from tmepde.coefficients import (
    CHANNELS,
    DEATH,
    LYSIS,
    Coefficients,
    Tissue,
    add,
    answered,
    effects_of,
    scale,
    split,
    times,
    unknown,
)
from tmepde.grid import Grid
from tmepde.parameter import out_of_bounds
from tmepde.process import Process
from tmepde.sharing import Sharing
from tmepde.species import KINDS, Species


def _quantity(name: str, value: Any) -> np.ndarray:
    """The base value of a tissue quantity."""
    made = as_number(value)
    problem = "must be a number, but None was given. Write one" if made is None else not_a_number(made)
    if problem and not isinstance(made, bool | np.bool_):  # a mask, as a number
        raise ValueError(f"`tissue.{name}` {problem}.")
    return np.asarray(made, float)


class Model(Whole):
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
            raise ValueError(f"`grid` must be a tmepde.Grid, but {type_of(grid)} was given. Write Grid.square(…), say.")
        self.grid = grid
        self.species = by_name("species", species, Species)
        if not isinstance(processes, Mapping):
            listed = entries("processes", processes, "processes, or a mapping of names")
            processes = {f"process_{i}": p for i, p in enumerate(listed)}
        self.processes = by_name("processes", processes, Process)
        if tissue is not None and not isinstance(tissue, Mapping):
            raise ValueError(
                f'`tissue` must be a mapping of names, but {given(tissue)} was given. Write {{"name": numbers}}.'
            )
        self.tissue = {k: v if isinstance(v, jax.Array) else _quantity(k, v) for k, v in (tissue or {}).items()}
        for name, value in self.tissue.items():
            check_tissue(name, value, grid)
        for name in sorted(self.processes):
            for key, one in self.processes[name].brings(self.base).items():
                self.species.setdefault(key, one)
        if not self.species:
            raise ValueError("A model needs at least one species, but none was given.")
        for name, one in self.species.items():
            check_species(name, one, grid)
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


class System(Whole):
    """A model together with its interventions: all that a stepper needs to know.

    ``species`` are those of the model and those the interventions bring; what two of them both bring is one species
    (:mod:`tmepde.sharing`).
    """

    model: Model
    interventions: dict[str, Any]
    brought: dict[str, Species]

    def __init__(self, model: Model, interventions: Mapping[str, Any] | None = None):
        self.model, self.interventions = model, dict(interventions or {})
        sharing = Sharing(self.interventions, model.grid)
        for name, brought in sharing.brought.items():
            check_required(name, self.interventions[name], model.processes)
            for key in brought:
                if key in model.species:
                    raise ValueError(f"Intervention {name!r} brings the species {key!r}, which the model already has.")
        self.brought = sharing.species()
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
        """Tissue quantities with therapies applied, and what these state with its weights."""
        quantities = dict(self.model.tissue)
        base = Tissue(self.grid, dict(quantities))
        for name in sorted(self.model.processes):
            add(quantities, self.model.processes[name].tissue(clock, state, base))
        for name in sorted(self.model.processes):
            for key, factor in self.model.processes[name].factors(clock, state, base).items():
                scale(quantities, key, factor)
        before = Tissue(self.grid, dict(quantities))
        rest = {
            n: jnp.broadcast_to(jnp.asarray(s.initial, state[n].dtype), state[n].shape) for n, s in self.brought.items()
        }
        ask = functools.partial(self._effects, clock, before)
        stated = Sharing(self.interventions, self.grid).stated(ask, state, rest)
        _apply(quantities, stated, dotted=False)
        return Tissue(self.grid, quantities), stated

    def _effects(self, clock: Any, tissue: Tissue, name: str, state: State) -> Any:
        """What a therapy does, checked. It is given a state of its own: what it writes there is not for others."""
        ask = functools.partial(self.interventions[name].effects, clock, dict(state), tissue)
        kinds = {n: s.kind for n, s in self.species.items()}
        return effects_of(f"Intervention {name!r}", ask, self.grid, kinds, state)

    def coefficients(self, clock: Any, state: State) -> Coefficients:
        """The waist at this instant: D, v, s, λ of every species, with all therapies applied."""
        return once(System._coefficients, self, clock, state)

    def _coefficients(self, clock: Any, state: State) -> Coefficients:
        tissue, stated = self.tissue(clock, state)
        terms: dict[str, Any] = {}
        for name, species in self.species.items():
            if species.kind in ("transported", "quasi_steady"):
                terms[f"{name}.diffusivity"] = jax.tree.map(jnp.asarray, species.diffusivity)
        kinds = {n: s.kind for n, s in self.species.items()}
        for name in sorted(self.model.processes):
            ask = functools.partial(self.model.processes[name].coefficients, clock, dict(state), tissue)
            add(terms, answered(f"Process {name!r}", ask, self.grid, kinds, state))
        add(terms, self._kinetics(clock, state, tissue))
        _apply(terms, stated, dotted=True, species=self.species)
        deaths = {n: terms.pop(f"{n}.{DEATH}") for n in self.species if f"{n}.{DEATH}" in terms}
        lysis = {f"{n}.{LYSIS}": terms.pop(f"{n}.{LYSIS}") for n in self.species if f"{n}.{LYSIS}" in terms}
        self._follow(terms, clock, state, tissue, deaths | lysis, stated)
        add(terms, {f"{n}.loss": rate for n, rate in deaths.items()})
        self._carry(terms)
        check_moving(terms, kinds)
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
        killed: dict[str, Any] = {}
        for weight, effects in stated:
            add(killed, {n: weight * value for n, value in effects.hazard.items()})
        dying = dict(deaths)
        add(dying, {n: -jnp.expm1(-value) / clock.step for n, value in killed.items()})  # no more than there are
        for one in following:
            add(terms, one.aftermath(clock, state, tissue, dying))

    def _kinetics(self, clock: Any, state: State, tissue: Tissue) -> dict[str, Any]:
        """What the body does to the drugs that interventions bring."""
        sharing = Sharing(self.interventions, self.grid)
        answers = {}
        for name, brought in sharing.brought.items():
            answers[name] = self.interventions[name].kinetics(clock, state, tissue)
            for target in answers[name]:
                species = target.rpartition(".")[0]
                if species not in brought:
                    raise KeyError(unknown("species of its own", species, brought) + f" (kinetics of {name!r})")
        return sharing.kinetics(answers)

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
            found += dose_problems(one, f"interventions.{name}")
            found += site_problems(one, f"interventions.{name}", self.grid)
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
