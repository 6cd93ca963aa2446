"""How therapies compose at one instant: off is absent, order is free, numbers do not retrace, nothing blows up.

All of them at once on the full model: an arm is a set of strengths.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde.model import System

CHANNELS = ("diffusivity", "source", "loss", "velocity", "flow")


def _terms(system, clock, state):
    return system.coefficients(clock, state), system.hazards(clock, state)


@pytest.fixture(scope="module")
def compiled(registry):
    """(strengths, clock, state, doses) → terms, compiled once."""
    program = jax.jit(lambda *arguments: registry.terms(*arguments))
    return lambda strengths, clock, state, doses=1.0: program(strengths, clock, state, jnp.asarray(doses))


def _assert_same(found, wanted, species, rtol=0.0, what=""):
    """Terms of ``species`` agree; a term that is absent is 0."""
    for channel in CHANNELS:
        a, b = getattr(found[0], channel), getattr(wanted[0], channel)
        for name in species:
            x, y = jax.tree.leaves(a.get(name, 0.0)), jax.tree.leaves(b.get(name, 0.0))
            count = max(len(x), len(y))
            for p, q in zip(x * (count // len(x)), y * (count // len(y)), strict=True):
                p, q = np.broadcast_arrays(np.asarray(p), np.asarray(q))
                np.testing.assert_allclose(p, q, rtol=rtol, atol=0.0, err_msg=f"{what} {name}.{channel}")
    for name, value in found[1].items():
        np.testing.assert_allclose(value, np.zeros_like(value) + wanted[1].get(name, 0.0), rtol=rtol, err_msg=what)


def _differs(found, wanted):
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    return any(np.any(np.asarray(a) != np.asarray(b)) for a, b in pairs)


def test_off_is_absent_bitwise(registry, compiled, full, clock, populated_registry):
    """1 + 0·(f − 1) = 1 and x + 0·r = x exactly; compiled, programs may contract products and sums differently."""
    absent = System(full, {})
    bare = {k: v for k, v in populated_registry.items() if k in full.species}
    off = registry.only()
    _assert_same(registry.terms(off, clock, populated_registry), _terms(absent, clock, bare), full.species)
    found = compiled(off, clock, populated_registry)
    _assert_same(found, jax.jit(_terms)(absent, clock, bare), full.species, rtol=1e-13)


def test_dose_zero_is_the_control(registry, compiled, full, clock, populated_registry):
    """Where there is nothing yet of what a dose brings. Of particles a model has one kind, and of viruses: who brings
    none acts on those of others. So does the armour of a cell infusion, which belongs to all CAR-T cells."""
    shared = ("nanoparticle", "nanoparticle_bound", "nanoparticle_plasma", "payload", "virus", "tumour_infected")
    brought = {n for n in populated_registry if n not in full.species}
    state = {n: jnp.zeros_like(v) if n in brought.union(shared) else v for n, v in populated_registry.items()}
    untreated = compiled(registry.only(), clock, state)
    for label in (n for n in registry.dosed() if not n.startswith("cell_infusion")):
        found = compiled(registry.only(label), clock, state, 0.0)
        _assert_same(found, untreated, set(full.species).difference(shared), rtol=1e-13, what=label)


def test_on_does_something(registry, compiled, clock, populated_registry):
    off = compiled(registry.only(), clock, populated_registry)
    idle = [n for n in registry.labels if not _differs(compiled(registry.only(n), clock, populated_registry), off)]
    assert not idle


def test_order_of_declaration_does_not_matter_bitwise(registry, full, clock, populated_registry, cases):
    names = list(registry.labels)
    wanted = registry.terms(np.ones(len(names)), clock, populated_registry)
    turned = System(full, {n: cases[n][1] for n in names[::-1]})
    _assert_same(_terms(turned, clock, populated_registry), wanted, turned.species)


@pytest.mark.slow
def test_names_do_not_matter(registry, compiled, full, clock, populated_registry, cases):
    """Other names change the order of sums and products: equal to rounding, some 60 · 2⁻⁵³ of the largest term."""
    names = list(registry.labels)
    wanted = compiled(np.ones(len(names)), clock, populated_registry)
    middle = len(names) // 2
    rotated = names[middle:] + names[:middle]
    renamed = System(full, dict(zip(names, (cases[n][1] for n in rotated), strict=True)))
    _assert_same(jax.jit(_terms)(renamed, clock, populated_registry), wanted, renamed.species, rtol=1e-12)


def test_strength_interpolates_linearly(registry, clock, populated_registry):
    """Half strength states half of every effect: the mean of off and on, for each therapy alone, where nothing of what
    it brings, or of the virus by way of which it acts, is there yet."""
    begun = {
        n: registry.system.brought[n].initial + 0 * u
        for n, u in populated_registry.items()
        if n in registry.system.brought
    }
    begun = {**populated_registry, **begun, "tumour_infected": 0.0 * populated_registry["tumour_infected"]}

    @jax.jit
    def stated(strengths):
        system = registry.at(strengths)
        tissue, _ = system.tissue(clock, begun)
        return tissue.quantities, system.hazards(clock, begun)

    off = stated(registry.only())
    for label in registry.labels:
        half, on = (stated(registry.only(label, value=v)) for v in (0.5, 1.0))
        for x, y, z in zip(*(jax.tree.leaves(part) for part in (half, off, on)), strict=True):
            np.testing.assert_allclose(x, 0.5 * (np.asarray(y) + np.asarray(z)), rtol=1e-12, atol=1e-300, err_msg=label)


@pytest.mark.slow
def test_no_number_retraces(registry, clock, populated_registry):
    traces = 0

    @jax.jit
    def terms(system, clock, state):
        nonlocal traces
        traces += 1
        return _terms(system, clock, state)

    system = registry.system
    terms(system, clock, populated_registry)
    leaves, tree = jax.tree.flatten(system.interventions)
    assert all(isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves), "a Python number would retrace"
    for i, leaf in enumerate(leaves):
        changed = [*leaves[:i], np.asarray(leaf) * 0.9, *leaves[i + 1 :]]
        terms(System(system.model, jax.tree.unflatten(tree, changed)), clock, populated_registry)
    assert traces == 1


def _extremes(system, state):
    cells = {n for n, s in system.species.items() if s.unit == "cells/mm^3"}
    yield "zeros", {k: jnp.zeros_like(v) for k, v in state.items()}
    yield "traces", {k: jnp.full_like(v, 1e-30) for k, v in state.items()}
    yield "packed", {k: jnp.full_like(v, 4e5) if k in cells else v for k, v in state.items()}
    yield "flooded", {k: jnp.full_like(v, 1e5) for k, v in state.items()}


def _cast(tree, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_what_is_stated_is_finite_and_non_negative_at_extreme_states(registry, clock, populated_registry, dtype):
    """What a therapy states, velocities apart, which have a direction."""
    system, clock = _cast((registry.system, clock), dtype)

    @jax.jit
    def stated(state):
        tissue, _ = System(system.model, {}).tissue(clock, state)
        found = {}
        for name, one in system.interventions.items():
            effects = one.effects(clock, state, tissue)
            kinetics = one.kinetics(clock, state, tissue)
            found[name] = (effects.scale, effects.add, effects.hazard, kinetics)
        return found

    for label, extreme in _extremes(system, _cast(populated_registry, dtype)):
        for name, parts in stated(extreme).items():
            for part in parts:
                for target, value in part.items():
                    for leaf in jax.tree.leaves(value):
                        assert np.all(np.isfinite(leaf)), f"{label}: {name} {target}"
                        directed = target.endswith((".velocity", ".flow"))
                        assert directed or np.all(np.asarray(leaf) >= 0), f"{label}: {name} {target}"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_coefficients_and_their_gradients_are_finite_at_extreme_states(registry, clock, populated_registry, dtype):
    """All therapies at once, with respect to every number and every value of the state."""
    numbers, clock = _cast((registry.system, clock), dtype)

    @jax.jit
    def slope(numbers, state):
        def total(numbers, state):
            return sum(jnp.sum(x) for x in jax.tree.leaves(_terms(numbers, clock, state)))

        return jax.value_and_grad(total, argnums=(0, 1))(numbers, state)

    for label, extreme in _extremes(registry.system, _cast(populated_registry, dtype)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(slope(numbers, extreme)):
            assert np.all(np.isfinite(leaf)), f"{label}: {jax.tree_util.keystr(path)}"


@pytest.mark.slow
def test_every_pair_is_finite_and_non_negative(registry, compiled, clock, populated_registry):
    """Every subset of two, by strength, in the one program; D, s and λ keep their sign."""
    before = compiled._cache_size()
    for pair in itertools.combinations(registry.labels, 2):
        coefficients, hazards = compiled(registry.only(*pair), clock, populated_registry)
        for leaf in jax.tree.leaves((coefficients, hazards)):
            assert np.all(np.isfinite(leaf)), pair
        for channel in ("diffusivity", "source", "loss"):
            for name, value in getattr(coefficients, channel).items():
                signed = registry.system.species[name].signed and channel == "source"
                assert signed or all(np.all(np.asarray(x) >= 0) for x in jax.tree.leaves(value)), (pair, name, channel)
        assert all(np.all(np.asarray(v) >= 0) for v in hazards.values()), pair
    assert compiled._cache_size() == max(before, 1)
