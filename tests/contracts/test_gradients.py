"""The derivative with respect to every number of every therapy equals finite differences (float64)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde.model import System
from tmepde.scenario import numbers
from tmepde.schedule import Clock

#: steps that hold the beginning or the end of the doses of the cases well inside, in h
STEPS = ((0.0, 0.85), (0.85, 1.22), (2.07, 3.5), (5.57, 1.5))
#: central differences of fourth order with relative steps of 1e-3: truncation near 1e-12, rounding near 1e-13/1e-3
RELATIVE = 1e-3


def differences(f, x, j):
    """Fourth-order central difference of f with respect to entry j of x."""
    h = RELATIVE * max(abs(x.reshape(-1)[j]), 1e-3)

    def at(k):
        y = x.copy().reshape(-1)
        y[j] += k * h
        return f(y.reshape(x.shape))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def stated(interventions, model, state):
    """Everything that therapies state in the steps, as a list of arrays."""
    system = System(model, interventions)
    found = []
    for start, step in STEPS:
        clock = Clock(*(jnp.asarray(v) for v in (start, 0.0, 0.0, step)))
        found += jax.tree.leaves((system.coefficients(clock, state), system.hazards(clock, state)))
    return [jnp.asarray(x) for x in found]


def test_gradient_of_what_is_stated(case, cases, model, populated):
    """At one state, over steps that contain dose edges: exact to the error of the differences, also for dose times."""
    plan = {case: cases[case][1]}
    _, state = populated(model, plan)
    sizes = [float(jnp.max(jnp.abs(x))) or 1.0 for x in stated(plan, model, state)]
    leaves, tree = jax.tree.flatten(plan)

    @jax.jit
    def objective(leaves):
        """One number that every term enters with its own weight."""
        terms = stated(jax.tree.unflatten(tree, leaves), model, state)
        weights = [(1 + i % 3) * jnp.linspace(1.0, 2.0, x.size).reshape(x.shape) for i, x in enumerate(terms)]
        return sum(jnp.mean(w * x) / size for w, x, size in zip(weights, terms, sizes, strict=True))

    found = numbers(jax.tree.unflatten(tree, jax.jit(jax.grad(objective))([jnp.asarray(x) for x in leaves])))
    sensitive = 0
    for i, (name, derivative) in enumerate(found.items()):
        value = np.asarray(numbers(plan)[name], float)
        for j in range(max(value.size, 1)):

            def f(x, i=i):
                return float(objective([*leaves[:i], x, *leaves[i + 1 :]]))

            expected, ad = differences(f, value, j), float(np.reshape(derivative, -1)[j])
            size = max(abs(value.reshape(-1)[j]), 1e-3)
            assert ad == pytest.approx(expected, rel=1e-5, abs=1e-10 / size), name
            sensitive += abs(expected) * size > 1e-9
    assert sensitive >= 0.5 * len(found), "the test must see most of the numbers"
