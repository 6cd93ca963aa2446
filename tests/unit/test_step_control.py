"""The size of the next step, and what is spared: refusals where the error rises, small steps behind slow cells."""

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme

CONTROL = tme.StepControl()


def following(dt, error, accepted=True, power=2, before=None, refused=None):
    given = [None if pair is None else tuple(jnp.asarray(x) for x in pair) for pair in (before, refused)]
    return float(CONTROL.following(jnp.asarray(dt), jnp.asarray(error), jnp.asarray(accepted), power, *given))


@pytest.mark.parametrize("power", [2, 3])
def test_a_steady_error_gives_the_plain_rule(power):
    """With dt = dt₋ and e = e₋ the trend is 1."""
    plain = following(0.5, 0.3, power=power)
    assert plain == pytest.approx(0.5 * 0.9 * 0.3 ** (-1 / power), rel=1e-6)
    assert following(0.5, 0.3, power=power, before=(0.5, 0.3)) == pytest.approx(plain, rel=1e-6)


def test_a_rising_error_shortens_the_step_by_its_trend():
    """e fourfold at the same dt: the constant of e ~ C dt² has grown fourfold and is expected to do so again."""
    assert following(0.5, 0.8, before=(0.5, 0.2)) == pytest.approx(0.5 * following(0.5, 0.8), rel=1e-6)


def test_a_falling_error_lengthens_no_more_than_the_plain_rule():
    assert following(0.5, 0.2, before=(0.5, 0.8)) == following(0.5, 0.2)


def test_there_is_no_trend_after_a_knot_or_a_refusal():
    assert following(0.5, 0.8, before=(0.0, 0.0)) == following(0.5, 0.8)
    assert following(0.5, 2.0, accepted=False, before=(0.5, 0.1)) == following(0.5, 2.0, accepted=False)


def test_a_huge_error_is_answered_at_once_and_a_failed_solve_with_care():
    assert following(1.0, 900.0, accepted=False) == pytest.approx(0.9 / 30)
    assert following(1.0, np.inf, accepted=False) == pytest.approx(0.2)
    assert following(1.0, np.nan, accepted=False) == pytest.approx(0.2)


def test_two_refusals_in_a_row_show_how_the_error_falls():
    """e ~ dt, as after a jump: a third refusal would follow from e ~ dt²."""
    assert following(0.1, 8.0, accepted=False, refused=(1.0, 80.0)) == pytest.approx(0.1 * 0.9 / 8.0, rel=1e-5)
    plain = following(0.1, 4.0, accepted=False)
    assert plain == pytest.approx(0.1 * 0.9 / 2.0, rel=1e-6)
    for before in ((0.0, 0.0), (1.0, 400.0), (1.0, 4e4)):  # none, the power itself, a higher one
        assert following(0.1, 4.0, accepted=False, refused=before) == pytest.approx(plain, rel=1e-5)
    assert following(0.1, 8.0, accepted=False, refused=(1.0, 8.0)) == pytest.approx(0.1 * 0.02)  # falls no more
    assert following(0.1, 0.5, refused=(1.0, 80.0)) == following(0.1, 0.5)


@pytest.mark.parametrize(("loss", "most"), [(5.0, 2), (1000.0, 3)])
def test_a_jump_of_a_fast_field_takes_few_refusals(loss, most):
    """u′ = λ (s − u), where s falls from 1 to 1/2 at a knot: what step resolves it cannot be known before. By e ~ dt²
    alone it takes one refusal more."""

    def following(clock, state, tissue, dose):
        return {"u.source": loss * (1.0 - 0.5 * clock.rate(dose)), "u.loss": loss}

    process = tme.process(following, dose=tme.Infusion(5.0, 5.0, 5.0))
    model = tme.Model(tme.Grid.line(1.0, 2), {"u": tme.Species(1.0, kind="local")}, {"p": process})
    run = tme.simulate(tme.Scenario(model, until=10.0), stepper=tme.Rosenbrock2())
    assert int(run.statistics["rejected"]) <= most
    np.testing.assert_allclose(run.fields["u"][-1], 0.5, rtol=1e-4)


def test_a_field_that_runs_out_is_followed_with_few_refusals():
    """u′ = −u/(u² + 10⁻⁵): u falls ever faster, like √(1 − 2t), until it is nearly gone; the error constant rises at
    every step. The exact time course is implicit: t = (1 − u²)/2 − 10⁻⁵ ln u. Without the trend every fourth step is
    refused."""

    def sinking(clock, state, tissue):
        return {"u.loss": 1.0 / (state["u"] ** 2 + 1e-5)}

    model = tme.Model(tme.Grid.line(1.0, 2), {"u": tme.Species(1.0, kind="local")}, {"p": tme.process(sinking)})
    run = tme.simulate(tme.Scenario(model, until=0.5), save=[0.4, 0.48, 0.5])
    steps, rejected = int(run.statistics["steps"]), int(run.statistics["rejected"])
    assert rejected <= 0.1 * (steps + rejected)
    u = np.asarray(run.fields["u"][1:3, 0], float)
    np.testing.assert_allclose((1 - u**2) / 2 - 1e-5 * np.log(u), [0.4, 0.48], rtol=2e-3)


def test_a_fast_field_does_not_lag_behind_the_slow_cells_that_make_it():
    """u′ = g u with D = 0.1, c made by u at rate p, λ = 50/h, D = 10⁵: from c = p u/(λ + g) both grow as e^(gt).

    Cells alone set the steps: with c there may be no more than a third more (without the pull there are twenty times
    as many)."""
    g, p, loss = 0.05, 3.0, 50.0

    def growing(clock, state, tissue):
        rates = {"u.source": g * state["u"]}
        return rates | {"c.source": p * state["u"], "c.loss": loss} if "c" in state else rates

    def run(**species):
        grid = tme.Grid.line(100.0, 8)
        cells = {"u": tme.Species(1.0, diffusivity=0.1)}
        model = tme.Model(grid, cells | species, {"p": tme.process(growing)})
        return tme.simulate(tme.Scenario(model, until=48.0))

    alone = run()
    both = run(c=tme.Species(p / (loss + g), diffusivity=1e5))
    assert int(both.statistics["steps"]) <= 1.34 * int(alone.statistics["steps"])
    np.testing.assert_allclose(both.fields["c"][-1], p * np.exp(g * 48.0) / (loss + g), rtol=3e-3)


def test_a_tolerance_too_loose_to_be_stable_is_refused():
    problems = tme.StepControl(rtol=0.1).problems("f32")
    assert len(problems) == 1 and "at most 0.05" in problems[0]
    assert not tme.StepControl(rtol=0.05).problems("f32")
