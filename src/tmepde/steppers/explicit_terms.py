"""The waist for explicit schemes: F(u) species by species, at the cost of a stencil, and the rate that limits the step.

    F = ∇·(D∇u) − ∇·(v u) + s − λu ,     r = max over cells and species of (Σ_f Φ_f/V + λ + 2 Σ_k |v|/w)

A cell empties through its faces, its reactions and its drift at most at the rate r. With Δt r ≤ 1 an Euler step keeps
what is positive positive, and by Gershgorin's theorem every eigenvalue of the linearised diffusion and loss lies within
ρ = 2r of 0 (the 2 is what diffusion needs; for losses it covers exchange between species and rates proportional to u).
The limited drift needs |v|Δt/w ≤ ½.

:meth:`SemiDiscrete.evaluate` stacks the fields for the elliptic solves and builds face arrays; here each field is read
once, and a field with one number for D on a grid without mask needs no face arrays at all.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.layout import current, platform
from tmepde.operators import metric_volumes
from tmepde.operators.advection import opening
from tmepde.operators.faces import axis_of, take
from tmepde.operators.uniform import coupling_rates, ghosted, interior, uniform_laplacian
from tmepde.steppers.account import contribution
from tmepde.steppers.semidiscrete import Evaluation, Rates, SemiDiscrete


class Terms(eqx.Module):
    """F, the rates it came from, and the drift −∇·(v u) within it; ``whole`` is the evaluation of the other steppers,
    where that was needed. ``state``: the values that F belongs to, to be used in place of the given ones (read from the
    same arrays as F, so that a loop need not copy its carry)."""

    state: State
    tendency: State
    rates: Rates
    drift: State
    whole: Evaluation | None = None


def plain(problem: SemiDiscrete, coefficients: Any) -> bool:
    """Whether ∇·(D∇u) is D∇²u on the whole box for every field: one number for D, no mask, no held cells."""
    species = problem.system.species
    given = {n: coefficients.diffusivity[n] for n in problem.transported}
    numbers = all(not isinstance(d, tuple) and jnp.ndim(d) == 0 for d in given.values())
    free = all(getattr(species[n], "held", None) is None for n in given)
    return problem.grid.mask is None and numbers and free


def terms(problem: SemiDiscrete, clock: Any, state: State) -> Terms:
    """F at ``state``."""
    if not plain(problem, problem.system.coefficients(clock, state)):
        whole = problem.evaluate(clock, state)
        return Terms(state, whole.tendency, whole.rates, whole.drift, whole)
    grid, moving = problem.grid, problem.transported
    ghosts = {n: ghosted(grid, state[n]) for n in moving}
    state = {**state, **{n: interior(grid, g) for n, g in ghosts.items()}}
    rates = problem.reaction(problem.dynamic, clock, problem.positive(state))
    tendency = {n: rates.gain(n) - rates.rate(n) * state[n] for n in problem.dynamic}
    for name in moving:
        d = jnp.asarray(rates.coefficients.diffusivity[name]).astype(state[name].dtype)
        tendency[name] = tendency[name] + d * uniform_laplacian(grid, ghosts[name])
    drift: State = {}
    if rates.coefficients.velocity or rates.coefficients.flow:
        drift, _, _ = problem._drift(rates.coefficients, clock, state, jnp.zeros(()))
        tendency = {n: f + drift[n] if n in drift else f for n, f in tendency.items()}
    return Terms(state, tendency, rates, drift)


def amounts(problem: SemiDiscrete, found: Terms) -> Any:
    """A row (produced, lost, inflow) per species, in amount/h; what is one number or identically zero is not summed."""
    state = found.state
    if found.whole is not None:
        return contribution(problem, found.whole, state, {}, {}, found.whole)
    out = []
    rates = found.rates
    size = jnp.sum(problem.volumes(jnp.result_type(*state.values())))  # once, outside the loop over substeps
    for name in problem.dynamic:
        u = state[name]
        source, loss = (given.get(name, 0.0) for given in (rates.coefficients.source, rates.coefficients.loss))
        if problem.system.species[name].held is not None:
            source, loss = rates.source[name], rates.loss[name]  # zero where it is held
        produced = source * size if jnp.ndim(source) == 0 and jnp.ndim(u) else rates.source[name]
        lost = loss * weighted_sum(problem, u) if jnp.ndim(loss) == 0 else rates.loss[name] * u
        inflow = []
        if name in rates.side_source:
            inflow.append(rates.side_source[name] - rates.side_loss[name] * u)
        if name in found.drift:
            inflow.append(found.drift[name])
        parts = (produced, lost, sum(inflow) if inflow else jnp.zeros(()))
        out.append(jnp.stack([weighted_sum(problem, x).astype(u.dtype) for x in parts]))
    return jnp.stack(out)


def weighted_sum(problem: SemiDiscrete, values: Any) -> Any:
    """Σ V·values on a grid without mask; a number stays what it is.

    XLA sums over all cells without vector instructions on a CPU, which takes as long as the whole step. So the quarters
    of the first axis are added up where the values are computed, and the rest is products of a matrix and a vector. On
    other devices a sum is one pass, and the products would be three.
    """
    if jnp.ndim(values) == 0:
        return jnp.asarray(values)
    grid = problem.grid
    widths = [jnp.asarray(grid.metric_widths(k)).reshape(-1).astype(values.dtype) for k in range(grid.ndim)]
    if platform() != "cpu":
        return jnp.sum(problem.volumes(values.dtype) * values, axis=tuple(range(-grid.ndim, 0)))
    if grid.ndim > 1 and grid.shape[0] % 4 == 0 and current() is None:  # the quarters lie on different devices
        values = values * jnp.expand_dims(widths[0], tuple(range(1, grid.ndim)))
        quarter = grid.shape[0] // 4
        values = sum(jax.lax.slice_in_dim(values, i * quarter, (i + 1) * quarter, axis=0) for i in range(4))
        widths[0] = jnp.ones_like(widths[0][:quarter])
    for width in reversed(widths):
        values = values @ width
    return values


def explicit_rate(problem: SemiDiscrete, clock: Any, state: State) -> Any:
    """ρ = 2r in 1/h: an Euler step is stable and positive for Δt ≤ 2/ρ; s Chebyshev stages for Δt ρ ≤ 0.6 (s² − 1).

    Fields that are not in ``problem.dynamic`` (quasi-steady ones) do not count.
    """
    grid = problem.grid
    state = freeze(state)
    rates = freeze(problem.reaction(problem.dynamic, clock, problem.positive(state)))
    worst = jnp.zeros((), jnp.result_type(*state.values()))
    simple = plain(problem, rates.coefficients)
    for name in problem.dynamic:
        dtype = state[name].dtype
        emptying = rates.rate(name)
        for drift in (rates.coefficients.velocity, rates.coefficients.flow):
            if name in drift:
                emptying = emptying + 2.0 * _swept(problem, drift[name], dtype)
        spreading: Any = 0.0
        if name in problem.transported:
            if simple:
                d = jnp.asarray(rates.coefficients.diffusivity[name]).astype(dtype)
                pairs = [coupling_rates(grid, k, dtype) for k in range(grid.ndim)]
                spreading = d * sum(jnp.max(below + above) for below, above in pairs)
            else:
                laplacian = problem.laplacian((name,), rates.coefficients, state)
                emptying = emptying + laplacian.couplings()[0] / metric_volumes(grid).astype(dtype)
        worst = jnp.maximum(worst, spreading + jnp.max(problem.inside(emptying)))
    return jax.lax.stop_gradient(2.0 * worst)


def _swept(problem: SemiDiscrete, velocity: Any, dtype: Any) -> Any:
    """Σ_k max(|v| A at a cell's two faces)/V, 1/h: |v|/w among whole cells of a box."""
    grid = problem.grid
    total: Any = 0.0
    for k, v in enumerate(velocity):
        axis = axis_of(grid, k)
        through = jnp.abs(v) * jnp.asarray(grid.areas(k))
        widest = jnp.maximum(take(through, 1, None, axis), take(through, 0, -1, axis))
        speed = widest / jnp.asarray(grid.metric_widths(k))
        total = total + (speed if grid.apertures is None else speed * opening(grid, k, speed.dtype))
    return jax.lax.stop_gradient(jnp.asarray(total).astype(dtype))
