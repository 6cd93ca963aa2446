"""Fast diagonalisation: exact for every kind of side, stretched or not, and singular problems handled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.elliptic import FastDiagonal, LinearControl, choose, prepare
from tmepde.model import System
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete

SIDES = {
    "closed": None,
    "fixed": tme.Dirichlet(2.0),
    "mixed": {"x-": tme.Dirichlet(1.0), "x+": tme.Robin(3.0, 1.0), "y": tme.Robin(5.0, 2.0)},
    "driven": {"x-": tme.PrescribedFlux(1.0)},
    "periodic": None,
}


def setup(sides: str, stretched: bool, diffusivity=(3.0, 0.7)):
    """Two fields on 8 × 9 cells: the problem with and without its eigenbases, its clock and state."""
    rng = np.random.default_rng(0)
    periodic = sides == "periodic"
    if stretched:
        grid = tme.Grid((rng.uniform(0.5, 2, 8), rng.uniform(0.5, 2, 9)), periodic=periodic)
    else:
        grid = tme.Grid.box((7.0, 9.0), (8, 9), periodic=periodic)
    species = {
        name: tme.Species(initial=rng.uniform(size=grid.shape), diffusivity=d, boundary=SIDES[sides])
        for name, d in zip("ab", diffusivity, strict=True)
    }
    problem = SemiDiscrete(System(tme.Model(grid, species)))
    zero = jnp.zeros(())
    clock = Clock(zero, zero, zero, jnp.asarray(1.0))
    state = problem.system.initial_state(jnp.float64)
    return problem, problem.prepared(clock, state), clock, state


@pytest.mark.parametrize("stretched", [False, True], ids=["equal cells", "stretched"])
@pytest.mark.parametrize("sides", SIDES)
def test_one_application_is_the_inverse(sides, stretched):
    """Round-off of 1e-15 times a condition number below 100."""
    general, separable, clock, state = setup(sides, stretched)
    here, there = separable.evaluate(clock, state), general.evaluate(clock, state)
    for name in "ab":
        np.testing.assert_allclose(here.tendency[name], there.tendency[name], atol=1e-13)
    rate = jnp.stack([1.0 + 0.5 * here.rates.rate(n) for n in "ab"])  # I − ½A, its open sides included
    operator = separable.shifted(here.laplacian, rate, 0.5)
    reference = general.shifted(there.laplacian, rate, 0.5)
    u = jnp.asarray(np.random.default_rng(1).normal(size=rate.shape))
    np.testing.assert_allclose(operator(u), reference(u), atol=1e-12)
    np.testing.assert_allclose(operator.expanded()(u), reference(u), atol=1e-12)
    np.testing.assert_allclose(operator.couplings(), reference.couplings(), atol=1e-12)
    np.testing.assert_allclose(FastDiagonal(operator)(operator(u)), u, atol=1e-12)


def test_an_axis_may_have_its_own_diffusivity():
    general, separable, clock, state = setup("closed", True, ((3.0, 0.2), 0.7))
    here, there = separable.evaluate(clock, state), general.evaluate(clock, state)
    assert choose(here.laplacian) == "fast_diagonal"
    np.testing.assert_allclose(here.tendency["a"], there.tendency["a"], atol=1e-13)


def test_loss_that_varies_leaves_a_few_iterations():
    """With the mean loss rate as preconditioner; rates over a factor of 10, to 1e-10."""
    _, separable, clock, state = setup("closed", False)
    here = separable.evaluate(clock, state)
    rate = jnp.asarray(10.0 ** np.random.default_rng(2).uniform(size=(2, 8, 9)))
    operator = separable.shifted(here.laplacian, rate, 10.0)
    u = jnp.asarray(np.random.default_rng(3).normal(size=rate.shape))
    result = jax.jit(lambda b: prepare(operator)(b, control=LinearControl(1e-12)))(operator(u))
    assert bool(jnp.all(result.converged)) and int(result.iterations) <= 25
    np.testing.assert_allclose(result.value, u, atol=1e-9)


@pytest.mark.parametrize("method", ["fast_diagonal", "multigrid", "jacobi"])
def test_closed_sides_without_loss_give_the_solution_of_mean_zero(method):
    """−∇·(D∇u) = b has a solution for mean-free b only, up to a constant; another b counts as not converged."""
    _, separable, clock, state = setup("closed", False)
    operator = separable.evaluate(clock, state).laplacian
    u = np.random.default_rng(4).normal(size=(2, 8, 9))
    u -= u.mean(axis=(1, 2), keepdims=True)
    solve = jax.jit(lambda b: prepare(operator, method)(b, control=LinearControl(1e-13, 300)))
    assert not bool(jnp.any(solve(operator(jnp.asarray(u)) + 5.0).converged))
    result = solve(operator(jnp.asarray(u)))
    assert bool(jnp.all(result.converged))
    np.testing.assert_allclose(result.value, u, atol=1e-9)


def test_a_closed_line_without_loss_gives_the_solution_of_mean_zero():
    grid = tme.Grid.line(10.0, 12)
    problem = SemiDiscrete(System(tme.Model(grid, {"a": tme.Species(initial=1.0, diffusivity=2.0)})))
    zero = jnp.zeros(())
    operator = problem.evaluate(Clock(zero, zero, zero, zero), problem.system.initial_state(jnp.float64)).laplacian
    u = np.random.default_rng(5).normal(size=(1, 12))
    u -= u.mean()
    np.testing.assert_allclose(prepare(operator)(operator(jnp.asarray(u))).value, u, atol=1e-12)


@pytest.mark.slow
def test_weakly_coupled_cells_are_solved_by_the_diagonal():
    """A step so short that D Δt/h² = 0.25: automatic and Jacobi take the same iterations, to the same result."""
    general, _, clock, state = setup("closed", False)
    laplacian = general.evaluate(clock, state).laplacian
    operator = general.shifted(laplacian, jnp.ones((2, 8, 9)), 0.05)
    b = jnp.asarray(np.random.default_rng(6).normal(size=(2, 8, 9)))
    automatic, jacobi, cycles = (prepare(operator, m)(b) for m in ("auto", "jacobi", "multigrid"))
    np.testing.assert_allclose(automatic.value, jacobi.value, rtol=1e-13)  # compiled apart: rounded apart
    assert int(automatic.iterations) == int(jacobi.iterations) != int(cycles.iterations)


def test_unsuitable_solvers_are_refused_by_name():
    general, separable, clock, state = setup("closed", False)
    varying = general.evaluate(clock, state).laplacian
    with pytest.raises(ValueError, match="one diffusivity per field"):
        choose(varying, "fast_diagonal")
    with pytest.raises(ValueError, match="one axis"):
        choose(varying, "direct")
    with pytest.raises(ValueError, match="must be one of auto, direct"):
        choose(varying, "lu")
