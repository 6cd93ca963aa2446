"""``steady_state``: the continuation from the initial state to the limit, and what is said of it."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import concrete, given, number, whole
from tmepde._cache import keep_programs
from tmepde._results import Status
from tmepde._types import State, cast, parted
from tmepde.integrate import first_progress
from tmepde.model import Model
from tmepde.runner import DTYPES as _DTYPES
from tmepde.scenario import Scenario
from tmepde.solution import Solution
from tmepde.steady.continuation import LONG, Step, instant, root_mean_square, step
from tmepde.steady.sentences import failed, unstable
from tmepde.steady.stability import growing
from tmepde.steady.totals import conserved, sums
from tmepde.steppers import SemiDiscrete, StepControl

#: the shortest pseudo time step, h
_SHORT = 1e-14
#: most growth of Δτ in a step: where something moves in time, and where all fields are quasi-steady
_LENGTHEN, _AT_ONCE = 4.0, 10.0
#: what may be left of the rates, relative to all that comes and goes, in tolerances (those are of corrections)
_BALANCED = 1e3
#: correction below which a residual that grows is round-off
_STILL = 1e-6
#: how often a state is left because it is unstable, the size of the push relative to the fields, and the least share
#: of the mode in the start that tells into which direction
_PUSHES, _PUSH, _SHARE = 3, 1e-3, 1e-9


def steady_state(
    scenario: Scenario | Model,
    *,
    precision: str = "f32",
    time: float = 0.0,
    first: float = 0.1,
    tolerance: float | None = None,
    limit: int = 500,
) -> Solution:
    """The steady state that the initial state is attracted to.

    All is computed in double precision, and totals that the equations conserve are kept to round-off.

    Args:
        scenario: or a model without therapies; rate laws are evaluated at the fixed ``time`` (h).
        precision: of what is returned; ``"f64"`` needs ``jax.config.update("jax_enable_x64", True)``.
        first: first pseudo time step in h; small values stay closer to the true path. From 1e6 on it is Newton's
            method alone, which goes to a state nearby whether that is stable or not.
        tolerance: relative size of the last Newton correction; ``None``: 1e-10. What is left of the rates is at most
            a thousand times that, relative to all that comes and goes.
        limit: most Newton steps, those taken back included.

    Returns:
        a :class:`Solution` with two entries in ``times``: the start (0) and the limit (infinity). Its budgets have an
        ``initial`` and a ``final`` total; what was produced, lost or let in on the way is unknown (NaN), and so is the
        ``error`` of that balance.

    Raises:
        ValueError: for an unknown precision, f64 without 64-bit mode, or inside a transformation.

    Warns where none is found, naming the field that does not settle, and where the one found is unstable; the sentence
    is in ``Solution.message``. A growing mode that the start had a part of is followed to where it leads. Up to 400
    unknowns all modes are looked at; of larger models those that grow at 1e-4 to 10 per hour (others may be missed).
    """
    scenario = Scenario(scenario) if isinstance(scenario, Model) else scenario
    if not isinstance(scenario, Scenario):
        raise ValueError(f"`scenario` must be a tmepde.Scenario or Model, but {given(scenario)} was given.")
    concrete("The scenario of `steady_state`", scenario)
    keep_programs()
    if not isinstance(precision, str) or precision not in _DTYPES:
        raise ValueError(f"`precision` must be 'f32' or 'f64', but {given(precision)} was given.")
    time, first = number("time", time, "h", single=True), number("first", first, "h", above=0.0, single=True)
    if tolerance is not None:
        tolerance = float(number("tolerance", tolerance, above=0.0, single=True))
    whole("limit", limit)
    if precision == "f64" and not jax.config.read("jax_enable_x64"):
        raise ValueError("precision 'f64' needs 64-bit mode. Call jax.config.update('jax_enable_x64', True) first.")
    dtype = np.dtype(_DTYPES[precision])
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        path = _Path(scenario, time, dtype, 1e-10 if tolerance is None else tolerance)
        found = path.followed(first, limit)
        sentence = path.sentence(found)
        totals = tuple({n: np.asarray(path.problem.total(s[n])) for n in path.names} for s in (path.start, found.state))
        carry = first_progress(path.problem, StepControl(), jnp.float64)
        counts = [np.asarray(x) for x in (int(found.status), found.steps, found.rejected, found.iterations)]
        unknown = np.full(carry.budget.shape, np.nan)
        places = lambda c: (c.status, c.steps, c.rejected, c.iterations, c.budget)  # noqa: E731
        carry = eqx.tree_at(places, carry, (*counts, unknown))
        begin, end = ({n: np.asarray(u).astype(dtype) for n, u in s.items()} for s in (path.start, found.state))
    if sentence:
        warnings.warn(sentence, stacklevel=2)
    final = {n: jnp.asarray(u) for n, u in end.items()}
    outputs: list[Any] = [(begin, {}), (end, {})]
    times = np.asarray([0.0, np.inf])
    return Solution.collect(
        scenario, path.problem, times, outputs, carry, totals, final, (0.0, 0.0), precision, message=sentence
    )


class _Found(NamedTuple):
    """The end of the path, and the rate of a mode that grows there (0: none is known)."""

    state: State
    status: Status
    steps: int
    rejected: int
    iterations: int
    rate: complex


class _Path:
    """The equations in double precision, and the way from the start to the limit."""

    def __init__(self, scenario: Scenario, time: float, dtype: Any, tolerance: float):
        self.problem = SemiDiscrete(cast(scenario, jnp.float64).system, all_dynamic=True)
        self.names = self.problem.dynamic
        self.arrays, self.frame = parted(self.problem)
        initial = self.problem.system.initial_state(jnp.float64)
        self.start = {n: self.problem.inside(u) for n, u in initial.items()}
        self.time, self.tolerance = jnp.asarray(time, jnp.float64), tolerance
        self.overflow = 0.01 * float(np.finfo(dtype).max)
        self.largest = {n: root_mean_square(self.problem, self.start[n]) for n in self.names}
        timed = any(self.problem.system.species[n].kind != "quasi_steady" for n in self.names)
        self.timed, self.lengthen = timed, _LENGTHEN if timed else _AT_ONCE
        w = jnp.asarray(conserved(self.arrays, self.frame, self.start, instant(self.time)))
        self.totals = (w, sums(self.problem, self.start, w))

    def followed(self, first: float, limit: int) -> _Found:
        """To where nothing changes any more, or as far as it goes."""
        state, dt, newton = self.start, float(first), first >= LONG
        steps = rejected = iterations = pushes = 0
        last = np.inf

        def ended(status: Status, rate: complex = 0j) -> _Found:
            return _Found(state, status, steps, rejected, iterations, rate)

        while steps + rejected < limit:
            one = self._step(state, dt)
            iterations += int(one.iterations)
            error = float(one.error) if one.finite else np.inf
            if not (one.finite and one.solved) or (error > 1.0 and not newton):
                rejected += 1
                if dt < _SHORT:
                    return ended(_stuck(one))
                dt, last = dt * float(np.clip(0.6 / np.sqrt(error), 0.1, 0.5)), np.inf
                continue
            if max(map(float, one.sizes.values())) > self.overflow:
                return ended(Status.not_finite)
            steps += 1
            size = float(one.size)
            settled = dt >= LONG and float(one.imbalance) <= _BALANCED * self.tolerance
            noise = last <= size <= np.sqrt(self.tolerance)  # no step makes it better
            if settled and (size <= self.tolerance or noise):
                state = state if noise else one.state
                pushed, rate, pace = self._left(state, newton or pushes == _PUSHES)
                if pushed is None:
                    return ended(Status.ok, rate)
                state, dt, last, pushes = pushed, pace, np.inf, pushes + 1
                continue
            self._accept(one)
            state, last = one.state, size if dt >= LONG else np.inf
            growth = float(one.growth)
            longest = 0.5 * dt / (1.0 - 1.0 / growth) if growth > 1.0 and size > _STILL and not newton else np.inf
            factor = float(np.clip(0.6 / np.sqrt(max(error, 1e-30)), 0.2, self.lengthen))
            dt = min(factor * dt, longest, max(LONG, first))
        return ended(Status.step_limit)

    def _step(self, state: State, dt: float) -> Step:
        return step(self.arrays, self.frame, state, self.largest, self.totals, jnp.asarray(dt), self.time)

    def _accept(self, one: Step) -> None:
        self.largest = {n: jnp.maximum(self.largest[n], one.sizes[n]) for n in self.names}
        w, values = self.totals  # a law that does nothing at the states that were drawn may do something here
        self.totals = (jnp.where(one.unbroken[:, None], w, 0.0), jnp.where(one.unbroken, values, 0.0))

    def _left(self, state: State, stay: bool) -> tuple[State | None, complex, float]:
        """``state`` pushed along a growing mode of it, its rate and the step to go on with; ``None``: it is to stay."""
        if not self.timed:
            return None, 0j, 0.0
        found = growing(self.arrays, self.frame, state, self.start, self.largest, self.time)
        if found is None:
            return None, 0j, 0.0
        mode, shape = found
        oscillating = abs(mode.rate.imag) > 1e-3 * mode.rate.real
        if stay or oscillating or abs(mode.share) < _SHARE:
            return None, mode.rate, 0.0
        amount = min(_PUSH, abs(mode.share))
        pushed = {n: u + amount * shape[n] for n, u in state.items()}
        species = self.problem.system.species
        pushed = {n: u if species[n].signed else jnp.where(u < 0, 0.1 * state[n], u) for n, u in pushed.items()}
        return pushed, mode.rate, 0.5 / mode.rate.real

    def sentence(self, found: _Found) -> str:
        """What is to be said of the end; empty where all is well."""
        if found.status != Status.ok:
            return failed(self.problem, found.status, found.state, self.time, found.steps + found.rejected)
        return unstable(found.rate) if found.rate else ""


def _stuck(one: Step) -> Status:
    """Why no step is short enough."""
    if not one.finite:
        return Status.not_finite
    return Status.step_too_small if one.solved else Status.solver
