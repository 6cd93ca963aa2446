"""Which stepper suits a problem, decided once before a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State
from tmepde.elliptic import SeparableOperator, choose
from tmepde.schedule import Clock, schedules
from tmepde.steppers.account import Stepper
from tmepde.steppers.exponential import Exponential2
from tmepde.steppers.newton_krylov import NewtonKrylov
from tmepde.steppers.rosenbrock import Rosenbrock2
from tmepde.steppers.semidiscrete import SemiDiscrete
from tmepde.steppers.stiffness import turns_fast

#: parts of a run at which rates are compared: irregular, so that nothing periodic looks constant
_TRIALS = (0.0, 0.137, 0.371, 0.618, 0.931)


#: local species up to which their Jacobian is kept in every cell by default: 144 numbers a cell
_MOST = 12


def general_stepper(system: Any) -> Stepper:
    """:func:`Rosenbrock2`; with the exact kinetics of each cell where nothing moves: all stiffness is in them then."""
    kinds = {s.kind for s in system.species.values()}
    still = not kinds & {"transported", "quasi_steady"}
    if still and 1 <= len(system.of_kind("local")) <= _MOST:
        return dataclasses.replace(Rosenbrock2(kinetics=True), cautious=True)
    return Rosenbrock2()


def choose_stepper(problem: SemiDiscrete, state: State, until: Any) -> Stepper:
    """:class:`Exponential2` for linear equations with constant coefficients, which it solves exactly in time;
    :class:`NewtonKrylov` where fields of a small model exchange or turn over fast (:mod:`tmepde.steppers.stiffness`);
    :func:`Rosenbrock2` for everything else (with ``kinetics`` where nothing moves).

    Linear with constant coefficients means: one diffusivity per field, no drift, no quasi-steady fields, no doses, no
    side whose values are functions, a loss rate that is the same everywhere, and rates that depend neither on the state
    nor on time (tried at ``state`` and at another one, at five times up to ``until``).
    """
    if _constant(problem, state, until):
        return Exponential2()
    if turns_fast(problem, _clock(state, 0.0), state, _other(state), until):
        return NewtonKrylov()
    return general_stepper(problem.system)


@eqx.filter_jit
def _other(state: State) -> State:
    """A state unlike ``state``, nowhere zero."""
    return {n: 0.7 * u + 0.1 * (1.0 + jnp.max(jnp.abs(u))) for n, u in state.items()}


def _constant(problem: SemiDiscrete, state: State, until: Any) -> bool:
    names = problem.transported
    if not names or problem.quasi_steady or problem.solver not in ("auto", "fast_diagonal"):
        return False
    if schedules(problem.system) or any(map(callable, jax.tree.leaves([s.boundary for s in _species(problem)]))):
        return False
    return bool(_tried(problem, state, until))


@eqx.filter_jit
def _tried(problem: SemiDiscrete, state: State, until: Any) -> Any:
    """Whether D is a number, nothing drifts, and rates are the same at other states and times, losses everywhere."""
    laplacian, drift = _transport(problem, _clock(state, 0.0), state)
    if drift or not isinstance(laplacian, SeparableOperator) or choose(laplacian, "auto") == "multigrid":
        return jnp.asarray(False)
    other = _other(state)
    here = problem.reaction(problem.dynamic, _clock(state, 0.0), state)
    same = jnp.asarray(True)
    for i, part in enumerate(_TRIALS):
        there = problem.reaction(problem.dynamic, _clock(state, part * until), other if i % 2 == 0 else state)
        same = same & eqx.tree_equal(_rates(here), _rates(there))
    return same & jnp.all(jnp.stack([_uniform(here.loss[n]) for n in problem.transported]))


def _rates(found: Any) -> Any:
    d = found.coefficients.diffusivity
    return found.source, found.loss, found.side_source, found.side_loss, d


def _species(problem: SemiDiscrete) -> Any:
    return problem.system.species.values()


def _clock(state: State, local: Any) -> Clock:
    dtype = jnp.result_type(*state.values())
    zero = jnp.zeros((), dtype)
    return Clock(zero, jnp.asarray(local, dtype), zero, jnp.asarray(1e-3, dtype))


def _uniform(values: Any) -> Any:
    return jnp.max(values) - jnp.min(values) <= 1e-6 * jnp.max(jnp.abs(values))


def method_name(stepper: Stepper, solver: str, build: Callable[[Any], SemiDiscrete], arrays: Any, dtype: Any) -> str:
    """Stepper and linear solver in words, as results record them: ``"rosenbrock2, multigrid"``.

    ``build`` makes the problem of ``arrays``, of which only shapes are needed.
    """
    if not stepper.solves:
        return stepper.name

    def laplacian(arrays: Any) -> Any:
        problem = build(arrays)
        if not problem.transported:
            return None
        state = problem.system.initial_state(dtype)
        return _transport(problem, _clock(state, 0.0), state)[0]

    operator = jax.eval_shape(laplacian, arrays)
    return stepper.name if operator is None else f"{stepper.name}, {choose(operator, solver)}"


def _drifting(coefficients: Any) -> Any:
    return coefficients.velocity or coefficients.flow


def _transport(problem: SemiDiscrete, clock: Clock, state: State) -> Any:
    coefficients = problem.system.coefficients(clock, state)
    return problem.prepared(clock, state).laplacian(problem.transported, coefficients, state), _drifting(coefficients)
