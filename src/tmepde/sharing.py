"""What therapies bring with them, and who answers for it.

Two entries of one therapy (an antibody in two doses, two regimens of which each arm takes one) bring the same species.
What is there of it is one amount, and acts once. So what a therapy states is taken apart by what it would state if
nothing of that were there:

    at rest   the doses, and what is done to cells beforehand:     × strength
    beyond    what the drug, the enzyme, the cells that are there do:    × share, and not once more × strength

The share of a therapy is its strength over the sum of those who bring the same: entries that are alike act as one, of
two regimens the one that is given counts by its own numbers, and of two that differ and are both given the mean.

So it is with what a therapy does by way of species of the model that it doses (``acts_through``: particles, their
cargo, a virus, CAR-T cells): entries of one kind, and of the same choices but for those that it ``mixes``, share it.
What other kinds do by way of them is their own.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import State, is_traced
from tmepde.coefficients import add, times
from tmepde.parameter import parameters

#: what of a therapy says where and how much, not what the drug does
_PLACES = ("strength", "site", "width", "depth", "route", "engraftment", "blood_volume")


class Part(NamedTuple):
    """A part of what therapies state, as :class:`tmepde.interventions.Effects`."""

    scale: dict[str, Any]
    add: dict[str, Any]
    hazard: dict[str, Any]


class Sharing:
    """Which therapies bring the same species, and the share that each has in them."""

    def __init__(self, interventions: Mapping[str, Any], grid: Any):
        self.interventions = interventions
        self.brought = {name: interventions[name].species(grid) for name in sorted(interventions)}
        owners: dict[str, list[str]] = {}
        for name, species in self.brought.items():
            for key in species:
                owners.setdefault(key, []).append(name)
        #: by species: who brings it
        self.owners = {key: tuple(names) for key, names in owners.items()}
        #: by therapy: species of the model by way of which it acts, and those that act alike by way of the same
        self.through = {name: tuple(getattr(type(interventions[name]), "acts_through", ())) for name in self.brought}
        self.alike = {name: self._alike(name) for name in self.brought}
        groups = {name: {name} for name in self.brought}
        for names in (*self.owners.values(), *self.alike.values()):
            joined = set().union(*(groups[n] for n in names))
            groups |= dict.fromkeys(joined, joined)
        #: by therapy: it and those that bring the same, if only by way of others
        self.group = {name: tuple(sorted(group)) for name, group in groups.items()}

    def _alike(self, name: str) -> tuple[str, ...]:
        """The entries of the kind of ``name`` and of the choices that set it apart, itself among them."""
        own = self.interventions[name]
        if not self.through[name]:
            return (name,)
        apart = [c for c in _choices(own) if c not in getattr(type(own), "mixes", ())]
        return tuple(
            n
            for n, one in sorted(self.interventions.items())
            if type(one) is type(own) and not [c for c in apart if getattr(one, c) != getattr(own, c)]
        )

    def species(self) -> dict[str, Any]:
        """Every species that is brought, once; numbers that differ among its owners as means by share.

        Raises:
            ValueError: where two owners declare it as two kinds of thing.
        """
        found = {}
        for key, names in self.owners.items():
            declared = [self.brought[n][key] for n in names]
            structures: list[Any] = [jax.tree.structure(one) for one in declared]
            for name, structure in zip(names, structures, strict=True):
                if structure != structures[0]:
                    raise ValueError(
                        f"Interventions {names[0]!r} and {name!r} both bring the species {key!r}, but declare it in "
                        "two ways. Declare it alike, or give it two names."
                    )
            mean = functools.partial(_mean, self.shares(names))
            found[key] = jax.tree.map(mean, *declared)
        return found

    def shares(self, names: Sequence[str]) -> list[Any]:
        """Strength of each over the sum; equal shares where all are off."""
        if len(names) == 1:
            return [1.0]
        strengths = [self.interventions[n].strength for n in names]
        xp = jnp if is_traced(strengths) else np
        total = sum(strengths)
        return [xp.where(total > 0, s / xp.where(total > 0, total, 1.0), 1.0 / len(names)) for s in strengths]

    def kinetics(self, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """One set of coefficients of what is brought, of the ``answers`` of every therapy."""
        terms: dict[str, Any] = {}
        for key, names in self.owners.items():
            for name, weight in zip(names, self.shares(names), strict=True):
                own = {t: v for t, v in answers[name].items() if t.rpartition(".")[0] == key}
                add(terms, own if len(names) == 1 else {t: times(v, weight) for t, v in own.items()})
        return terms

    def stated(self, ask: Callable[[str, State], Any], state: State, rest: State) -> list[tuple[Any, Any]]:
        """(weight, effects) of all therapies.

        Args:
            ask: what a therapy states at a state.
            rest: the initial values of what is brought.
        """
        found: list[tuple[Any, Any]] = []
        acting = {n: set(b) - set(getattr(type(self.interventions[n]), "records", ())) for n, b in self.brought.items()}
        for name, species in self.through.items():
            rest = {**rest, **{k: jnp.zeros_like(state[k]) for k in species if k in state}}
            acting[name] |= {k for k in species if k in state}
        for name, keys in acting.items():
            if not keys:
                found.append((self.interventions[name].strength, ask(name, state)))
        for group in sorted({self.group[name] for name, keys in acting.items() if keys}):
            together = Part({}, {}, {})
            for name, share in zip(group, self.shares(group), strict=True):
                strength, keys = self.interventions[name].strength, acting[name]
                here, through = ask(name, state), set(self.through[name])
                common = {k for k in keys - through if len(self.owners[k]) > 1}
                common |= keys & through if len(self.alike[name]) > 1 else set()
                still = _unspent(ask(name, {**state, **{k: rest[k] for k in keys}}), keys & through)
                alone = ask(name, {**state, **{k: rest[k] for k in common}}) if common and common != keys else None
                alone = None if alone is None else _unspent(alone, common & through)
                found.append((strength, still))
                given = strength > 0  # what is left of an earlier run does not act where the therapy is off
                if len(group) == 1:
                    found.append((1.0, _switched(_beyond(here, still), given)))
                    continue
                if alone is not None:
                    found.append((1.0, _switched(_beyond(alone, still), given)))
                _gather(together, _switched(_beyond(here, alone or still), given), share)
            if len(group) > 1:
                scale = {target: 1.0 + change for target, change in together.scale.items()}
                found.append((1.0, Part(scale, together.add, together.hazard)))
        return found

    def mixtures(self) -> list[str]:
        """Sentences for therapies that are given together, bring or act by the same and differ in what that does."""
        told = []
        for group in sorted(set(self.group.values())):
            given = [n for n in group if not is_traced(self.interventions[n]) and _on(self.interventions[n].strength)]
            for one, other in itertools.combinations(given, 2):
                a, b = self.interventions[one], self.interventions[other]
                differ = _differing(a, b, self._places(one)) if type(a) is type(b) else []
                common = sorted(set(self.brought[one]) & set(self.brought[other]))
                verb, by = ("bring", common) if common else ("act by", self.through[one])
                if differ and (common or other in self.alike[one]):
                    told.append(
                        f"{one!r} and {other!r} are given together and {verb} the same ({', '.join(by)}), but "
                        f"differ in {', '.join(f'`{n}`' for n in differ)}: means of their numbers count. "
                        "Make them alike, or give one at a time."
                    )
        return told

    def _places(self, name: str) -> tuple[str, ...]:
        """Numbers of ``name`` that say where or how much is given; not the site of cells that wait and leave later."""
        one = self.interventions[name]
        waits = any(s.kind == "compartment" for s in self.brought[name].values()) and not hasattr(one, "route")
        return tuple(n for n in _PLACES if n != "site" or not waits)


def _on(strength: Any) -> bool:
    return bool(np.any(np.asarray(strength) > 0))


def _choices(one: Any) -> list[str]:
    """Names of the choices of a therapy, but for those of a place."""
    return [f.name for f in dataclasses.fields(one) if "choice" in f.metadata and f.name not in _PLACES]


def _unspent(effects: Any, keys: set[str]) -> Any:
    """``effects`` without the loss of ``keys``: at rest there is nothing of them to lose."""
    return Part(effects.scale, {t: r for t, r in effects.add.items() if t not in _losses(keys)}, effects.hazard)


def _losses(keys: set[str]) -> set[str]:
    return {f"{k}.loss" for k in keys}


def _differing(one: Any, other: Any, places: Sequence[str], path: str = "") -> list[str]:
    """Names of numbers and choices of two therapies of a kind that differ, but for doses and ``places``."""
    found = [path + name for name in _choices(one) if getattr(one, name) != getattr(other, name)]
    for field in dataclasses.fields(one):
        name, (a, b) = field.name, (getattr(one, field.name), getattr(other, field.name))
        if "parameter" not in field.metadata:
            if dataclasses.is_dataclass(a) and parameters(a):
                found += _differing(a, b, places, f"{path}{name}.")
        elif name not in places and _unlike(a, b):
            found.append(path + name)
    return found


def _unlike(a: Any, b: Any) -> bool:
    return (a is None) != (b is None) or (a is not None and not np.array_equal(np.asarray(a), np.asarray(b)))


def _mean(weights: Sequence[Any], *values: Any) -> Any:
    first = values[0]
    if not isinstance(first, jax.Array | np.ndarray):
        return first
    if not is_traced(values) and all(np.array_equal(first, v) for v in values[1:]):
        return first
    total = sum(w * v for w, v in zip(weights, values, strict=True))
    return total if isinstance(total, jax.Array) else np.asarray(total)


def _beyond(here: Any, still: Any) -> Part:
    """What ``here`` states more than ``still``: factors as ratios, terms as differences."""
    return Part(
        scale={t: _ratio(f, still.scale[t]) if t in still.scale else f for t, f in here.scale.items()},
        add={t: _difference(r, still.add.get(t)) for t, r in here.add.items()},
        hazard={t: _difference(r, still.hazard.get(t)) for t, r in here.hazard.items()},
    )


def _ratio(value: Any, base: Any) -> Any:
    """``value``/``base``, 1 where the base is 0: what is stopped at rest is stopped."""
    return jnp.where(base != 0, value / jnp.where(base != 0, base, 1.0), 1.0)


def _difference(value: Any, base: Any) -> Any:
    if base is None:
        return value
    total: dict[str, Any] = {"": value}
    add(total, {"": times(base, -1.0)})
    return total[""]


def _switched(effects: Part, given: Any) -> Part:
    """``effects`` where the therapy is given, else none; bit for bit."""

    def off(terms: Mapping[str, Any], nothing: float) -> dict[str, Any]:
        return {t: jax.tree.map(lambda x: jnp.where(given, x, nothing), v) for t, v in terms.items()}

    return Part(off(effects.scale, 1.0), off(effects.add, 0.0), off(effects.hazard, 0.0))


def _gather(total: Part, effects: Part, share: Any) -> None:
    add(total.scale, {t: share * (f - 1.0) for t, f in effects.scale.items()})
    add(total.add, {t: times(r, share) for t, r in effects.add.items()})
    add(total.hazard, {t: share * r for t, r in effects.hazard.items()})
