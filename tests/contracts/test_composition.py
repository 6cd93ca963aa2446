"""How therapies compose at one instant: off is absent, order is free, numbers do not retrace, nothing blows up."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde.model import System


def _terms(system, clock, state):
    return system.coefficients(clock, state), system.hazards(clock, state)


_compiled = jax.jit(_terms)


def _off(one):
    return eqx.tree_at(lambda x: x.strength, one, np.asarray(0.0))


def _assert_same(found, wanted, species, exact=True):
    """Terms of ``species`` agree; a term that is absent is 0."""
    for channel in ("diffusivity", "source", "loss", "velocity"):
        a, b = getattr(found[0], channel), getattr(wanted[0], channel)
        for name in species:
            pair = zip(jax.tree.leaves(a.get(name, 0.0)), jax.tree.leaves(b.get(name, 0.0)), strict=False)
            for x, y in pair:
                x, y = np.broadcast_arrays(np.asarray(x), np.asarray(y))
                if exact:
                    np.testing.assert_array_equal(x, y, err_msg=f"{name}.{channel}")
                else:
                    np.testing.assert_allclose(x, y, rtol=1e-14, atol=1e-300, err_msg=f"{name}.{channel}")
    for name, value in found[1].items():
        np.testing.assert_allclose(value, np.zeros_like(value) + wanted[1].get(name, 0.0), rtol=0 if exact else 1e-14)


def test_off_is_absent_bitwise(case, cases, model, clock, populated):
    """1 + 0·(f − 1) = 1 and x + 0·r = x exactly, also when compiled."""
    system, state = populated(model, {case: _off(cases[case][1])})
    absent = System(model, {})
    bare = {k: v for k, v in state.items() if k in model.species}
    _assert_same(_compiled(system, clock, state), _compiled(absent, clock, bare), model.species)
    _assert_same(_terms(system, clock, state), _terms(absent, clock, bare), model.species)


def test_on_does_something(case, cases, model, clock, populated):
    system, state = populated(model, {case: cases[case][1]})
    bare = {k: v for k, v in state.items() if k in model.species}
    with pytest.raises(AssertionError):
        _assert_same(_terms(system, clock, state), _terms(System(model, {}), clock, bare), model.species)


def test_order_of_declaration_does_not_matter_bitwise(six, model, clock, populated):
    names = sorted(six)
    first = None
    for order in (names, names[::-1], names[3:] + names[:3]):
        system, state = populated(model, {n: six[n] for n in order})
        found = _compiled(system, clock, state)
        if first is None:
            first = found
        _assert_same(found, first, system.species)


def test_names_do_not_matter(six, model, clock, populated):
    """Another name changes the order of a sum of up to seven terms: equal to rounding, 7 · 2⁻⁵³ < 1e-14."""
    system, state = populated(model, six)
    wanted = _terms(system, clock, state)
    for rotation in (1, 4):
        names = sorted(six)[rotation:] + sorted(six)[:rotation]
        renamed = System(model, dict(zip(sorted(six), (six[n] for n in names), strict=True)))
        _assert_same(_terms(renamed, clock, state), wanted, system.species, exact=False)


def test_strength_interpolates_linearly(case, cases, model, clock, populated):
    """Half strength states half of every effect: the mean of off and on, wherever one target has one term."""
    one = cases[case][1]
    half = eqx.tree_at(lambda x: x.strength, one, np.asarray(0.5))
    effects = {}
    for label, each in (("off", _off(one)), ("half", half), ("on", one)):
        system, state = populated(model, {case: each})
        tissue, _ = system.tissue(clock, state)
        effects[label] = (tissue.quantities, system.hazards(clock, state))
    for i in (0, 1):
        for name, value in effects["half"][i].items():
            mean = 0.5 * (effects["off"][i][name] + effects["on"][i][name])
            np.testing.assert_allclose(value, mean, rtol=1e-12, atol=1e-300)


def test_no_number_retraces(case, cases, model, clock, populated):
    system, state = populated(model, {case: cases[case][1]})
    traces = 0

    @jax.jit
    def terms(system, clock, state):
        nonlocal traces
        traces += 1
        return _terms(system, clock, state)

    terms(system, clock, state)
    leaves, tree = jax.tree.flatten(system.interventions)
    assert all(isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves), "a Python number would retrace"
    for i, leaf in enumerate(leaves):
        changed = [*leaves[:i], np.asarray(leaf) * 0.9, *leaves[i + 1 :]]
        terms(System(model, jax.tree.unflatten(tree, changed)), clock, state)
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
def test_what_is_stated_is_finite_and_non_negative_at_extreme_states(case, cases, model, clock, populated, dtype):
    system, state = populated(model, {case: cases[case][1]})
    one, clock, model = _cast((system.interventions[case], clock, model), dtype)
    untreated = System(model, {})
    for label, extreme in _extremes(system, _cast(state, dtype)):
        tissue, _ = untreated.tissue(clock, extreme)
        effects = one.effects(clock, extreme, tissue)
        for part in (effects.scale, effects.add, effects.hazard, one.kinetics(clock, extreme, tissue)):
            for name, value in part.items():
                assert np.all(np.isfinite(value)) and np.all(np.asarray(value) >= 0), f"{label}: {name}"


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_coefficients_and_their_gradients_are_finite_at_extreme_states(cases, model, clock, populated, dtype):
    """All therapies at once, with respect to every number and every value of the state."""
    system, state = populated(model, {name: one for name, (_, one) in cases.items()})
    numbers, clock = _cast(system, dtype), _cast(clock, dtype)

    @jax.jit
    def slope(numbers, state):
        def total(numbers, state):
            return sum(jnp.sum(x) for x in jax.tree.leaves(_terms(numbers, clock, state)))

        return jax.value_and_grad(total, argnums=(0, 1))(numbers, state)

    for label, extreme in _extremes(system, _cast(state, dtype)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(slope(numbers, extreme)):
            assert np.all(np.isfinite(leaf)), f"{label}: {jax.tree_util.keystr(path)}"


def test_all_pairs_share_one_tissue_without_conflict(six, model, clock, populated):
    for pair in itertools.combinations(sorted(six), 2):
        system, state = populated(model, {n: six[n] for n in pair})
        jax.eval_shape(_terms, system, clock, state)
