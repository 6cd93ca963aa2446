"""The contracts that need a whole run: 2⁶ combinations in one compilation, off = absent, doses, gradients."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import observables
from tmepde.scenario import numbers

FIXED = tme.StepControl(dt=0.5)
UNTIL = 6.0


def _scenario(model, plan):
    return tme.Scenario(model, plan, until=UNTIL, observables=observables.standard())


def _run(scenario, control=FIXED, **options):
    return tme.simulate(scenario, save=[UNTIL], precision="f64", control=control, **options)


@pytest.mark.slow
def test_all_64_combinations_in_one_vmap_with_one_compilation(six, model):
    names = sorted(six)
    scenario = _scenario(model, six)
    traces = 0

    def burden(strengths):
        nonlocal traces
        traces += 1
        variant = scenario
        for i, name in enumerate(names):
            variant = eqx.tree_at(lambda s, n=name: s.interventions[n].strength, variant, strengths[i])
        return _run(variant).observables

    table = np.array([[(k >> i) & 1 for i in range(6)] for k in range(64)], float)
    seen = jax.jit(jax.vmap(burden))(jnp.asarray(table))
    assert traces == 1
    final = {n: np.asarray(v)[:, -1] for n, v in seen.items()}
    assert all(np.all(np.isfinite(v)) for v in final.values())
    assert len(np.unique(np.round(final["mean_oxygen"], 9))) > 16  # several therapies act on oxygen
    for row in (0, 21, 63):
        variant = scenario
        for name, on in zip(names, table[row], strict=True):
            variant = variant.replace(f"interventions.{name}.strength", on)
        alone = _run(variant).observables
        for n, v in final.items():
            np.testing.assert_allclose(v[row], alone[n][-1], rtol=1e-6, atol=1e-9, err_msg=n)


@pytest.mark.slow
def test_toggling_and_new_numbers_do_not_recompile(six, model):
    scenario = _scenario(model, six)
    _run(scenario)
    compiled = []

    def listen(event, duration, **_):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for name in six:
            _run(scenario.replace(f"interventions.{name}.strength", 0.0))
        for name, value in numbers(six).items():
            if not name.endswith("strength"):
                scenario = scenario.replace(f"interventions.{name}", 0.9 * value)
        _run(scenario)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not compiled


@pytest.mark.slow
def test_off_is_absent(six, model):
    """All six off against a model without them, dose edges on the step grid, so that the same steps are taken.

    At one instant this holds bitwise (test_composition); over a run the linear solver sees a longer stack of fields and
    may stop an iteration earlier or later: 0.02 of the step tolerance 1e-6.
    """
    control = tme.StepControl(dt=0.5, rtol=1e-6)
    on_grid = tme.Infusion(at=1.0, amount=1.0, over=0.5)
    plan = {n: eqx.tree_at(lambda x: (x.dose, x.strength), one, (on_grid, np.asarray(0.0))) for n, one in six.items()}
    found, wanted = (_run(_scenario(model, p), control).fields for p in (plan, {}))
    for name, value in wanted.items():
        scale = float(np.max(np.abs(value[-1]))) or 1.0
        np.testing.assert_allclose(found[name][-1] / scale, value[-1] / scale, atol=2e-8, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [3.0, 0.07, 0.5])
def test_delivered_is_prescribed_in_a_run(model, dt):
    """Plasma levels without clearance hold the dose whatever the steps, also where one step swallows a dose; exhausted
    T cells that nothing else touches die of radiation alone, at 0.8/Gy."""
    quiet = model.without("turnover", "exhaustion", "egress", "motility")
    plan = {
        "a": tme.AntiVEGF(dose=tme.Bolus([0.4, 3.3], [300.0, 600.0]), elimination=0.0),
        "b": tme.CheckpointBlockade(dose=tme.Infusion(1.1, 900.0, 2.0), elimination=0.0),
        "x": tme.Radiotherapy(dose=tme.Infusion([1.1, 4.3], [2.0, 3.0], 0.4)),
    }
    fields = _run(_scenario(quiet, plan), tme.StepControl(dt=dt)).fields
    assert float(fields["bevacizumab_plasma"][-1]) == pytest.approx(300.0, rel=1e-12)
    assert float(fields["pd1_antibody_plasma"][-1]) == pytest.approx(300.0, rel=1e-12)
    cells = fields["car_t_exhausted"]
    np.testing.assert_allclose(cells[-1] / cells[0], np.exp(-0.8 * 5.0), rtol=1e-10)


@pytest.mark.slow
def test_gradients_of_a_run_equal_differences(cases, model):
    """Forward mode through six hours with all therapies at once, every number but dose times: relative 1e-5.

    Dose times move the knots on which steps land, and derivatives are taken at frozen steps: those are first order in
    the step (test_gradients has them exactly for what is stated in a step).
    """
    plan = {name: one for name, (_, one) in cases.items()}
    scenario = tme.Scenario(model, plan, until=UNTIL)
    control = tme.StepControl(dt=0.5, rtol=1e-11)
    leaves, tree = jax.tree.flatten(plan)
    names = list(numbers(plan))
    sizes = {n: float(np.max(np.abs(v[-1]))) or 1.0 for n, v in _run(scenario, control).fields.items()}

    def objective(leaves):
        variant = eqx.tree_at(lambda s: s.interventions, scenario, jax.tree.unflatten(tree, leaves))
        final = _run(variant, control, gradient="forward").fields
        return sum((1 + i % 3) * jnp.mean(final[n][-1]) / sizes[n] for i, n in enumerate(sorted(sizes)))

    entries = [(i, j) for i, leaf in enumerate(leaves) for j in range(np.size(leaf))]
    entries = [(i, j) for i, j in entries if not names[i].endswith((".at", ".over"))]

    def tangent(i, j):
        unit = [np.zeros(np.shape(x)) for x in leaves]
        unit[i].reshape(-1)[j] = 1.0
        return unit

    directions = jax.tree.map(lambda *x: jnp.stack(x), *[tangent(*e) for e in entries])
    push = jax.jit(jax.vmap(lambda t: jax.jvp(objective, (leaves,), (t,))[1]))
    found = np.asarray(push(directions))
    for (i, j), derivative in zip(entries, found, strict=True):
        value = np.asarray(leaves[i], float)
        h = 2e-4 * (abs(value.reshape(-1)[j]) or 1e-3)  # small: limiters have kinks

        def at(k, i=i, j=j, h=h, value=value):
            moved = value.copy().reshape(-1)
            moved[j] += k * h
            return float(objective([*leaves[:i], moved.reshape(value.shape), *leaves[i + 1 :]]))

        expected = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
        noise = 1e-8 / (abs(value.reshape(-1)[j]) or 1e-3)  # of the linear solver, 2e-13 of values near 10, over 2e-4
        assert derivative == pytest.approx(expected, rel=1e-5, abs=noise), names[i]
