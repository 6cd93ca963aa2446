"""Coefficients that must not be negative, D ≥ 0, s ≥ 0, λ ≥ 0, in models with code of one's own.

Looked at where a run stands still anyway, at its start, at some saves and at its end, so that no step costs more: with
D < 0 differences grow instead of spreading, the faster the finer the grid, and nothing shows that in a run that ends.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State
from tmepde.process import FunctionProcess
from tmepde.scenario import Scenario
from tmepde.schedule import Clock

#: share of the largest value that is put down to round-off
_ROUNDING = 1e-5
_REMEDIES = {
    "diffusivity": "Such an equation has no solution: differences grow, the faster the finer the grid.",
    "source": "Write what is taken away as a loss rate, which falls with what is there.",
    "loss": "Write what is made as a source.",
}


def watched(scenario: Scenario) -> bool:
    """Whether a model has processes or therapies that are not ours (those are tested for it)."""
    modules = (*scenario.model.processes.values(), *scenario.interventions.values())
    return any(isinstance(m, FunctionProcess) or not type(m).__module__.startswith("tmepde.") for m in modules)


@functools.partial(jax.jit, static_argnums=1)
def extremes(arrays: list[Any], frame: Frame, state: State, time: Any) -> dict[str, dict[str, Any]]:
    """The least and the largest value of each coefficient that must not be negative, by channel and species."""
    runner = frame.filled(arrays)
    problem, zero = runner.problem, jnp.zeros((), runner.dtype)
    clock = Clock(time, zero, zero, runner.control.first)
    found = problem.system.coefficients(clock, problem.positive(state))
    signed = {n for n, one in problem.system.species.items() if one.signed}
    channels = {
        "diffusivity": {n: _diagonal(d) for n, d in found.diffusivity.items()},
        "source": {n: [s] for n, s in found.source.items() if n not in signed},
        "loss": {n: [rate] for n, rate in found.loss.items()},
    }

    def both(entries: list[Any]) -> Any:
        inside = [problem.inside(jnp.broadcast_to(x, problem.grid.shape)) if jnp.ndim(x) else x for x in entries]
        least = jnp.min(jnp.stack([jnp.min(jnp.asarray(x)) for x in inside]))
        return jnp.stack([least, jnp.max(jnp.stack([jnp.max(jnp.abs(jnp.asarray(x))) for x in inside]))])

    return {channel: {n: both(x) for n, x in by_name.items()} for channel, by_name in channels.items()}


def _diagonal(d: Any) -> list[Any]:
    """The entries of a diffusivity that must not be negative."""
    if not isinstance(d, tuple):
        return [d]
    return [row[k] if isinstance(row, tuple) else row for k, row in enumerate(d)]


def negative(arrays: list[Any], frame: Frame, state: State, time: Any) -> dict[str, float]:
    """The least value of each coefficient that is negative at ``state``, by ``"species.channel"``."""
    found = {}
    for channel, by_name in jax.device_get(extremes(arrays, frame, state, time)).items():
        for name, (least, largest) in by_name.items():
            if least < -_ROUNDING * largest and np.isfinite(largest):
                found[f"{name}.{channel}"] = float(least)
    return found


def refused(found: dict[str, float]) -> None:
    """Nothing can begin with D < 0.

    Raises:
        ValueError: naming the diffusivity.
    """
    for label, least in found.items():
        if label.endswith(".diffusivity"):
            raise ValueError(
                f"`{label}` must not be negative, but its minimum at the start is {least:.4g}. "
                f"{_REMEDIES['diffusivity']} Correct what is added to it."
            )


def sentence(found: dict[str, tuple[float, float]]) -> str:
    """A caution for coefficients that were negative, from the least value of each and when that was met (h)."""
    if not found:
        return ""
    label = min(found, key=lambda name: (not name.endswith(".diffusivity"), name))
    least, time = found[label]
    others = ", ".join(f"`{n}`" for n in found if n != label)
    also = f" (and so were {others})" if others else ""
    return (
        f" Caution: `{label}` was {least:.4g} at {time:.6g} h{also}, but must not be negative. "
        f"{_REMEDIES[label.rpartition('.')[2]]}"
    )
