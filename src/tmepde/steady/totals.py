"""Totals that the equations keep, alone or in sum: they are kept to round-off, however long the pseudo time step.

    Σ_n w_n Σ V u_n = const.    for w with    Σ_n w_n Σ V (s_n − λ_n u_n + drift_n) = 0 whatever the state

The weights w are the null space of the totals of all rates at states drawn at random. (1 − Δτ ∂R/∂u) is singular but
for the 1 in what is conserved, so that round-off in R changes it by 1e-16 Δτ times the fastest rate in every step.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.semidiscrete import Evaluation

#: totals of rates relative to all that comes and goes, below which they are nothing: where w is looked for, and later
_NOTHING, _BROKEN = 1e-12, 1e-9
#: largest relative change of a field that is put down to round-off
_ROUNDING = 0.1


def reactions(problem: SemiDiscrete, here: Evaluation, state: State) -> tuple[State, State]:
    """Of every dynamic species all of R but ∇·(D∇u), and what comes and goes in all, per cell."""
    net, gross, rates = {}, {}, here.rates
    for name in problem.dynamic:
        u = state[name]
        parts = [rates.source[name], -rates.loss[name] * u]
        if name in rates.side_source:
            parts += [rates.side_source[name], -rates.side_loss[name] * u]
        net[name], gross[name] = sum(parts), sum(jnp.abs(p) for p in parts)
        if name in here.drift:
            net[name] = net[name] + here.drift[name]
            gross[name] = gross[name] + here.courant * jnp.abs(u)
    return net, gross


def _totals(problem: SemiDiscrete, values: State) -> Any:
    return jnp.stack([problem.total(values[n]) for n in problem.dynamic])


@functools.partial(jax.jit, static_argnums=1)
def _drawn(arrays: list[Any], frame: Frame, state: State, clock: Clock, seed: int) -> tuple[Any, Any]:
    """Totals of net and gross rates at states drawn at random, a row for each."""
    problem: SemiDiscrete = frame.filled(arrays)
    names = problem.dynamic
    typical = {n: jnp.mean(jnp.abs(u)) for n, u in state.items()}
    most = jnp.max(jnp.stack(list(typical.values())))
    most = jnp.where(most > 0, most, 1.0)

    def one(key: Any) -> tuple[Any, Any]:
        drawn = {}
        for i, name in enumerate(names):
            u = jnp.abs(state[name]) + jnp.where(typical[name] > 0, 0.5 * typical[name], most)
            share = jax.random.uniform(jax.random.fold_in(key, i), u.shape, u.dtype, 0.3, 1.5)
            drawn[name] = problem.hold(name, problem.inside(share * u))
        net, gross = reactions(problem, problem.evaluate(clock, drawn, diffusing=False), drawn)
        return _totals(problem, net), _totals(problem, gross)

    return jax.lax.map(one, jax.random.split(jax.random.key(seed), 2 * len(names) + 4))


def conserved(arrays: list[Any], frame: Frame, state: State, clock: Clock) -> Any:
    """Weights w of the totals of the dynamic species, a row for each combination that is conserved."""
    net, gross = (np.asarray(x) for x in _drawn(arrays, frame, state, clock, 0))
    count = net.shape[1]
    if not np.all(np.isfinite(net)) or not np.all(np.isfinite(gross)):
        return np.zeros((0, count))
    largest = np.max(gross, axis=0)
    unit = np.where(largest > 0, largest, 1.0)
    _, values, rows = np.linalg.svd(net / unit)
    found = rows[values <= _NOTHING * np.sqrt(len(net))]
    return np.where(np.abs(found) > 1e-9, found, 0.0) / unit


def unbroken(problem: SemiDiscrete, here: Evaluation, state: State, w: Any) -> Any:
    """Whether each combination of rates is nothing at ``state``."""
    net, gross = (_totals(problem, x) for x in reactions(problem, here, state))
    return jnp.abs(w @ net) <= _BROKEN * (jnp.abs(w) @ gross)


def sums(problem: SemiDiscrete, state: State, w: Any) -> Any:
    """Σ_n w_n Σ V u_n of each combination."""
    return w @ _totals(problem, state)


def kept(problem: SemiDiscrete, state: State, w: Any, values: Any) -> State:
    """``state`` with fields scaled as little as can be, so that every combination has its value."""
    if not w.shape[0]:
        return state
    parts = w * _totals(problem, state)
    size = jnp.sum(jnp.abs(parts), axis=1, keepdims=True)
    size = jnp.where(size > 0, size, 1.0)
    parts, lacking = parts / size, (values - jnp.sum(parts, axis=1)) / size[:, 0]
    root = jnp.sqrt(jnp.sum(jnp.abs(parts), axis=0))  # so that fields of one sum are scaled alike: fast exchange rests
    root = jnp.where(root > 0, root, 1.0)
    more = (jnp.linalg.pinv(parts / root) @ lacking) / root
    more = jnp.where(jnp.all(jnp.abs(more) <= _ROUNDING), more, 0.0)
    return {**state, **{n: state[n] * (1.0 + more[i]) for i, n in enumerate(problem.dynamic)}}
