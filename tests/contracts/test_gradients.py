"""The derivative with respect to every number of every therapy equals finite differences (float64)."""

from __future__ import annotations

import equinox as eqx
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


@pytest.mark.slow
def test_gradient_of_what_core_therapies_state(core_registry, populated_core):
    check_gradients(core_registry, populated_core)


@pytest.mark.slow
def test_gradient_of_what_every_therapy_states(registry, populated_registry):
    check_gradients(registry, populated_registry)


def check_gradients(registry, state):
    """At one state, over steps that contain dose edges: exact to the error of the differences, also for dose times.

    Each therapy alone, by strength, in the one program of the registry.
    """
    leaves, tree = jax.tree.flatten(registry.system.interventions)
    leaves = [jnp.asarray(x, jnp.float64) for x in leaves]
    model = registry.system.model

    def stated(leaves, strengths):
        system = System(model, jax.tree.unflatten(tree, leaves))
        system = eqx.tree_at(
            lambda s: [s.interventions[n].strength for n in registry.labels],
            system,
            [s * system.interventions[n].strength for n, s in zip(registry.labels, strengths, strict=True)],
        )
        found = []
        for start, step in STEPS:
            clock = Clock(*(jnp.asarray(v) for v in (start, 0.0, 0.0, step)))
            found += jax.tree.leaves((system.coefficients(clock, state), system.hazards(clock, state)))
        return found

    @jax.jit
    def sizes(strengths):
        return jnp.stack([jnp.max(jnp.abs(x)) for x in stated(leaves, strengths)])

    def objective(leaves, strengths, sizes):
        """One number that every term enters with its own weight."""
        total = 0.0
        for i, x in enumerate(stated(leaves, strengths)):
            weights = (1 + i % 3) * jnp.linspace(1.0, 2.0, x.size).reshape(x.shape)
            total = total + jnp.mean(weights * x) / sizes[i]
        return total

    value, slope = jax.jit(objective), jax.jit(jax.grad(objective))
    names = list(numbers(registry.system.interventions))
    for k, label in enumerate(registry.labels):
        strengths = [jnp.asarray(float(j == k)) for j in range(len(registry.labels))]
        size = np.asarray(sizes(strengths))
        size = jnp.asarray(np.where(size > 0, size, 1.0))
        found, sensitive, mine = slope(leaves, strengths, size), 0, 0
        for i, name in enumerate(names):
            if not name.startswith(f"{label}."):
                continue
            mine += 1
            number = np.asarray(leaves[i])
            for j in range(max(number.size, 1)):

                def f(x, i=i, strengths=strengths, size=size):
                    return float(value([*leaves[:i], jnp.asarray(x), *leaves[i + 1 :]], strengths, size))

                expected, ad = differences(f, number, j), float(np.reshape(found[i], -1)[j])
                large = max(abs(number.reshape(-1)[j]), 1e-3)
                assert ad == pytest.approx(expected, rel=1e-5, abs=1e-9 / large), name
                sensitive += abs(expected) * large > 1e-9
        assert sensitive >= 0.25 * mine, f"{label}: the test must see its numbers"
