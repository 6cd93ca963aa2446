"""Which stepper suits a problem, decided once before a run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State, is_traced, parted, shapes
from tmepde.elliptic import SeparableOperator, choose
from tmepde.layout import beside
from tmepde.steppers.account import Stepper
from tmepde.steppers.control import StepControl
from tmepde.steppers.exponential import Exponential2
from tmepde.steppers.newton_krylov import NewtonKrylov
from tmepde.steppers.rosenbrock import Rosenbrock2
from tmepde.steppers.semidiscrete import SemiDiscrete
from tmepde.steppers.stiffness import fastest_each, pace, unlike
from tmepde.steppers.structure import Structure, instant, structure, transport

#: parts of a run at which rates are compared: irregular, so that nothing periodic looks constant
_TRIALS = (0.137, 0.371, 0.618, 0.931)
#: local species up to which their Jacobian is kept in every cell by default: 144 numbers a cell
_MOST = 12
#: steps of a run at least, where rates are functions of the time: what they do between two steps nobody sees
_PARTS = 200
#: round trips in a run from which on an exchange is fast
_FAST = 25.0
#: round trips in a step of the general scheme: the sum of two fields then moves right to 0.1 % at rtol 1e-3 (measured;
#: the square of this goes with rtol), and to 0.5 % at twice as many
_TRIPS, _RTOL = 0.5, 1e-3
#: fields of a model for which NewtonKrylov is taken at once, and steps that larger ones take rather than it
_FEW, _PATIENT = 8, 2_000
#: numbers in the largest Krylov basis, and in the Jacobians of all cells, that are taken unasked (1 GiB)
_NUMBERS, _BASIS = 2**28, 41


class Choice(NamedTuple):
    """The stepper that suits, and the longest step (h) with which it does; ``None``: a program must find it out."""

    stepper: Stepper
    longest: float | None = float("inf")


def general_stepper(system: Any) -> Stepper:
    """:func:`Rosenbrock2`; with the exact kinetics of each cell where nothing moves: all stiffness is in them then."""
    if _still(system) and 1 <= len(system.of_kind("local")) <= _MOST:
        return dataclasses.replace(Rosenbrock2(kinetics=True), cautious=True)
    return Rosenbrock2()


def choose_stepper(problem: SemiDiscrete, dtype: Any, until: float, control: StepControl) -> Choice:
    """:class:`Exponential2` for linear equations with constant coefficients, which it solves exactly in time;
    :class:`NewtonKrylov` where fields exchange or turn over fast (:mod:`tmepde.steppers.stiffness`);
    :func:`Rosenbrock2` for everything else (with ``kinetics`` where nothing moves), in steps of few round trips where
    fields of a larger model exchange at a moderate rate.

    Linear with constant coefficients means: one diffusivity per field, no drift, no quasi-steady fields, no doses, no
    side whose values are functions, a loss rate that is the same everywhere, and rates that depend neither on time nor
    on the state (by their program, or else tried at the start and at another state, at five times up to ``until``).
    Where rates are functions of the time, no step is longer than a two-hundredth of ``until``.
    """
    return choose_steppers([problem], dtype, [until], control)[0]


def choose_steppers(
    problems: Sequence[SemiDiscrete], dtype: Any, until: Sequence[float], control: StepControl
) -> list[Choice]:
    """:func:`choose_stepper` for each of many problems; where they are of one structure, its program is read once."""
    parts = [parted(problem) for problem in problems]
    frame, given = parts[0][1], shapes(parts[0][0])
    if any(other != frame or shapes(arrays) != given for arrays, other in parts[1:]):
        every = zip(problems, until, strict=True)
        return [choose_stepper(problem, dtype, hours, control) for problem, hours in every]
    members = [arrays for arrays, _ in parts]
    found = structure(frame, given, dtype)
    general = general_stepper(problems[0].system)
    if getattr(general, "kinetics", False):
        found = found.holding(problems[0].system.of_kind("local"))
    exchanging = found.exchanging
    if found.timed:
        found = dataclasses.replace(found, constant=False)
    if not exchanging and found.constant is not None:
        chosen = Choice(Exponential2() if found.constant else general)
        return [_within(chosen, hours, found) for hours in until]
    choices, open_ones = [_within(Choice(general), hours, found) for hours in until], []
    for i, (arrays, hours) in enumerate(zip(members, until, strict=True)):
        with beside(sum(x.size for x in arrays)):
            if found.constant is None and bool(_tried(arrays, frame, dtype, np.asarray(hours, dtype))):
                choices[i] = Choice(Exponential2())
            else:
                open_ones.append(i)
    if not exchanging or not open_ones:
        return choices
    shortest = float(resolved(control.rtol)) / float(control.longest) if control.adaptive else 0.0
    least = [max(_FAST / until[i], shortest) for i in open_ones]
    looked, spans = [members[i] for i in open_ones], [until[i] for i in open_ones]
    exchanges = fastest_each(looked, frame, found, least, dtype, spans)
    for i, one, matters in zip(open_ones, exchanges, least, strict=True):
        if one.pace > matters:
            choices[i] = _within(_held(problems[i], one.pace, until[i], control, general), until[i], found)
    return choices


def _within(choice: Choice, until: float, found: Structure) -> Choice:
    """The same in steps that meet what is a function of the time."""
    if not found.timed or choice.longest is None:
        return choice
    return choice._replace(longest=min(choice.longest, float(until) / _PARTS))


def _held(problem: SemiDiscrete, trips: float, until: float, control: StepControl, general: Stepper) -> Choice:
    """What holds an exchange of so many ``trips`` per hour. Steps of few round trips cost nothing where other fields
    ask for shorter ones, as in large models, and no memory."""
    longest = rounded(resolved(control.rtol) / trips)
    steps, fits = until / longest, _fits(problem)
    if fits and (len(problem.dynamic) <= _FEW or steps > _PATIENT or not control.adaptive):
        return Choice(NewtonKrylov())
    return Choice(general, longest if steps <= 10 * _PATIENT else float("inf"))  # the run then says what it was


def resolved(rtol: Any) -> Any:
    """Round trips in a step that is as accurate as ``rtol`` asks for."""
    numpy: Any = jnp if is_traced(rtol) else np
    return _TRIPS * numpy.sqrt(numpy.minimum(rtol / _RTOL, 1.0))


def longest_step(problem: SemiDiscrete, state: State, until: Any, rtol: Any) -> Any:
    """The longest step (h) that resolves the fastest exchange at ``state`` or at one unlike it, inside a program."""
    arrays, frame = parted(problem)
    found = structure(frame, shapes(arrays), jnp.result_type(*state.values()))
    if getattr(general_stepper(problem.system), "kinetics", False):
        found = found.holding(problem.system.of_kind("local"))
    met = until / _PARTS if found.timed else float("inf")
    if not found.exchanging:
        return met
    clock = instant(state, 0.0)
    trips = jnp.maximum(*(pace(problem, found, clock, u, until) for u in (state, unlike(state))))
    fast = trips * until > _FAST
    resolving = jnp.where(fast, resolved(rtol) / jnp.where(fast, trips, 1.0), jnp.inf)
    return jax.lax.stop_gradient(jnp.minimum(resolving, met))


def rounded(length: Any) -> float:
    """A little less, in steps of an eighth of an octave: the same on all machines."""
    return float(2.0 ** (np.floor(8.0 * np.log2(float(length))) / 8.0))


def _fits(problem: SemiDiscrete) -> bool:
    """Whether the Krylov vectors of all fields, and the Jacobian of every cell, do."""
    names, cells = len(problem.dynamic), int(np.prod(problem.grid.shape))
    return max(_BASIS, 2 * names) * names * cells <= _NUMBERS


def _still(system: Any) -> bool:
    """Whether nothing moves."""
    return not system.of_kind("transported") and not system.of_kind("quasi_steady")


@functools.partial(jax.jit, static_argnums=(1, 2))
def _tried(arrays: list[Any], frame: Frame, dtype: Any, until: Any) -> Any:
    """Whether D is a number, nothing drifts, and rates are the same at other states and times, losses everywhere."""
    problem: SemiDiscrete = frame.filled(arrays)
    state = problem.system.initial_state(dtype)
    laplacian, drift = transport(problem, instant(state, 0.0), state)
    if drift or not isinstance(laplacian, SeparableOperator) or choose(laplacian, "auto") == "multigrid":
        return jnp.asarray(False)
    other = unlike(state)
    here = problem.reaction(problem.dynamic, instant(state, 0.0), state)

    def same(part: float, at: State) -> Any:
        there = problem.reaction(problem.dynamic, instant(state, part * until), at)
        return jnp.asarray(eqx.tree_equal(_rates(here), _rates(there)))

    def later(_: Any) -> Any:
        trials = [same(part, state if i % 2 == 0 else other) for i, part in enumerate(_TRIALS)]
        return jnp.all(jnp.stack([*trials, *(_uniform(here.loss[n]) for n in problem.transported)]))

    return jax.lax.cond(same(0.0, other), later, lambda _: jnp.asarray(False), None)


def _rates(found: Any) -> Any:
    d = found.coefficients.diffusivity
    return found.source, found.loss, found.side_source, found.side_loss, d


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
        return transport(problem, instant(state, 0.0), state)[0]

    operator = jax.eval_shape(laplacian, arrays)
    return stepper.name if operator is None else f"{stepper.name}, {choose(operator, solver)}"
