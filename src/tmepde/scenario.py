"""Everything needed to run: a model, its therapies, how long, and what to watch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax.tree_util as jtu

from tmepde._types import as_number
from tmepde.coefficients import unknown
from tmepde.model import Model, System
from tmepde.schedule import schedules


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
        self.model = model
        self.interventions = dict(interventions or {})
        self.observables = dict(observables or {})
        self.until = as_number(until)
        problems = self.system.problems()
        if not isinstance(until, int | float) or not until > 0:
            problems.append(f"`until` must be a positive number of hours, but {until!r} was given.")
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def system(self) -> System:
        return System(self.model, self.interventions)

    def at(self, path: str) -> Any:
        """The value behind a dotted path such as ``"interventions.car_t.dose.amount"``."""
        here: Any = self
        for key in path.split("."):
            here = _child(here, key, path)
        return here

    def replace(self, path: str, value: Any) -> Scenario:
        """The same scenario with another value behind ``path``; numbers keep their shape (no recompilation)."""
        old = self.at(path)
        new = as_number(value)
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
        wanted, scenario = set(active), self
        for one in sorted(wanted - set(self.interventions)):
            raise KeyError(unknown("intervention", one, self.interventions))
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


def _child(here: Any, key: str, path: str) -> Any:
    if isinstance(here, Mapping):
        if key in here:
            return here[key]
        raise KeyError(unknown("entry", key, here) + f" (path {path!r})")
    if hasattr(here, key) and not key.startswith("_"):
        return getattr(here, key)
    fields = [k.name for k in getattr(here, "__dataclass_fields__", {}).values()]
    raise KeyError(unknown("entry", key, fields) + f" (path {path!r})")


def numbers(tree: Any) -> dict[str, Any]:
    """All traced numbers of a pytree by dotted path."""
    found = {}
    for path, leaf in jtu.tree_leaves_with_path(tree):
        names = [str(getattr(p, "name", getattr(p, "key", getattr(p, "idx", p)))) for p in path]
        found[".".join(names)] = leaf
    return found
