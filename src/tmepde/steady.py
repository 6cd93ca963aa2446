"""The long-time limit, solved for directly: R(u) = ∇·(D∇u) − ∇·(v u) + s − λu = 0 for all fields together.

Pseudo-transient continuation with a full Newton step,

    (1/Δτ − ∂R/∂u) δ = R(u) ,   u ← u + δ ,   Δτ ← Δτ · min(10, ‖R‖_old/‖R‖_new)

∂R/∂u is exact (a Jacobian–vector product of the tendencies, all couplings included); GMRES solves for δ, preconditioned
by each field's own diffusion and loss and by the reactions within a cell (see ``steppers.coupled``). Small Δτ follows
the dynamics from the initial state, so that the attractor of that state is found; large Δτ is Newton's method.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._cache import keep_programs
from tmepde._results import Status
from tmepde._types import Frame, State, binary_unit, cast, concrete, parted
from tmepde.elliptic import LinearControl
from tmepde.integrate import first_progress
from tmepde.model import Model
from tmepde.runner import DTYPES as _DTYPES
from tmepde.scenario import Scenario
from tmepde.schedule import Clock
from tmepde.solution import Solution
from tmepde.steppers import SemiDiscrete, StepControl
from tmepde.steppers.coupled import BlockInverse, weights
from tmepde.steppers.krylov import Packing, gmres

#: relative residual of the equations of a step
_SOLVED = 1e-9
#: pseudo time step, h, at which all is settled that ever will be
_LONG = 1e6


def steady_state(
    scenario: Scenario | Model,
    *,
    precision: str = "f32",
    time: float = 0.0,
    first: float = 0.1,
    tolerance: float | None = None,
    limit: int = 200,
) -> Solution:
    """The steady state that the initial state is attracted to.

    Args:
        scenario: or a model without therapies; rate laws are evaluated at the fixed ``time`` (h).
        first: first pseudo time step in h; small values stay closer to the true path.
        tolerance: relative size of the last Newton correction; ``None``: 1e-10 in f64, 1e-5 in f32. Where something is
            conserved (closed sides, exchange without loss) take f64: in f32 round-off moves it by 1e-3 or, where rates
            are fast, by more.
        limit: most Newton steps.

    Returns:
        a :class:`Solution` with two entries in ``times``: the start (0) and the limit (infinity).

    Raises:
        ValueError: for an unknown precision, f64 without 64-bit mode, or inside a transformation.

    Warns where the limit of steps is reached, naming the field that does not settle.
    """
    scenario = Scenario(scenario) if isinstance(scenario, Model) else scenario
    concrete("The scenario of `steady_state`", scenario)
    keep_programs()
    if precision not in _DTYPES:
        raise ValueError(f"`precision` must be 'f32' or 'f64', but {precision!r} was given.")
    if precision == "f64" and not jax.config.read("jax_enable_x64"):
        raise ValueError("precision 'f64' needs 64-bit mode. Call jax.config.update('jax_enable_x64', True) first.")
    dtype = _DTYPES[precision]
    tolerance = tolerance if tolerance is not None else (1e-10 if precision == "f64" else 1e-5)
    problem = SemiDiscrete(cast(scenario, dtype).system, all_dynamic=True)
    arrays, frame = parted(problem)
    state = {n: problem.inside(u) for n, u in problem.system.initial_state(dtype).items()}
    begin = jax.device_get(state)
    dt, clock_time = jnp.asarray(first, dtype), jnp.asarray(time, dtype)
    status, steps, iterations, size = Status.step_limit, 0, 0, np.inf
    with jax.default_matmul_precision("highest"):
        for _ in range(limit):
            before, larger, long = state, size, dt >= _LONG
            state, size, dt, spent = _newton(arrays, frame, state, dt, clock_time)
            steps, iterations = steps + 1, iterations + int(spent)
            if not np.isfinite(size):
                status = Status.not_finite
                break
            if long and larger <= size <= np.sqrt(tolerance):  # round-off, which moves what is conserved
                status, state = Status.ok, before
                break
            if size <= tolerance and dt >= _LONG:
                status = Status.ok
                break
    if status == Status.step_limit:
        warnings.warn(_unsettled(problem, state, clock_time), stacklevel=2)
    end = jax.device_get(state)
    outputs: list[Any] = [(begin, {}), (end, {})]
    totals = tuple({n: np.asarray(problem.total(jnp.asarray(s[n]))) for n in problem.dynamic} for s in (begin, end))
    carry = first_progress(problem, StepControl(), dtype)
    carry = eqx.tree_at(lambda c: (c.status, c.steps, c.iterations), carry, (int(status), steps, iterations))
    times = np.asarray([0.0, np.inf])
    return Solution.collect(scenario, problem, times, outputs, carry, totals, state, (0.0, 0.0), precision)


def _unsettled(problem: SemiDiscrete, state: State, time: Any) -> str:
    """A sentence that names the field that changes most where no steady state was found."""
    zero = jnp.zeros_like(time)
    rates = problem.evaluate(Clock(time, zero, zero, jnp.asarray(1e-3, time.dtype)), state).tendency
    changes = {
        n: float(_root_mean_square(problem, rate / _typical(_root_mean_square(problem, state[n]))))
        for n, rate in rates.items()
    }
    worst = max(changes, key=lambda n: changes[n])
    return (
        f"No steady state was found: `{worst}` still changes by {changes[worst]:.2g} of itself per hour. A field with "
        "sources needs a loss or an open side: with closed sides and no loss it grows for ever. Else raise `limit`."
    )


@functools.partial(jax.jit, static_argnums=1)
def _newton(arrays: list[Any], frame: Frame, state: State, dt: Any, time: Any) -> tuple[State, Any, Any, Any]:
    """One continuation step: the new state, the relative size of its correction, the next Δτ, elliptic iterations."""
    problem: SemiDiscrete = frame.filled(arrays)
    zero = jnp.zeros_like(time)
    clock = Clock(time, zero, zero, jnp.asarray(1e-3, time.dtype))

    def tendency(u: State) -> State:
        return problem.evaluate(clock, u).tendency

    here = problem.evaluate(clock, state)
    inverse = BlockInverse(problem, here, clock, state, dt, {n: 1.0 for n in problem.dynamic})
    tight = LinearControl(relative=float(100 * jnp.finfo(dt.dtype).eps), limit=100)
    names = problem.dynamic
    guess = inverse({n: dt * here.tendency[n] for n in names}, tight)[0]
    # a field next to nothing is measured by what becomes of it, or it alone would be solved for
    scale = {n: _typical(jnp.maximum(*(_root_mean_square(problem, x[n]) for x in (state, guess)))) for n in names}
    packing = Packing(names, state, weights(problem, {n: jnp.broadcast_to(scale[n], state[n].shape) for n in names}))
    _, linear = jax.linearize(tendency, state)

    def matrix(v: Any) -> tuple[Any, Any]:
        direction = packing.state(v)
        change = linear(direction)
        image, cost = inverse({n: direction[n] - dt * change[n] for n in names}, tight)
        return packing.flat(image), cost

    rhs = packing.flat(guess)
    # what is conserved is conserved as well as this is solved
    relative = max(_SOLVED, float(100 * jnp.finfo(dt.dtype).eps))
    found = gmres(matrix, rhs, relative * jnp.linalg.norm(rhs), 120)
    delta = packing.state(found.value)
    new = {}
    for name, u in state.items():
        stepped = u + delta[name]
        new[name] = stepped if problem.system.species[name].signed else _lifted(problem, stepped, u)
    size = jnp.max(jnp.stack([_root_mean_square(problem, (new[n] - state[n]) / scale[n]) for n in new]))
    old_residual = _residual(problem, here.tendency, scale)
    residual = _residual(problem, tendency(new), scale)
    ratio = jnp.where(residual > 0, old_residual / jnp.where(residual > 0, residual, 1.0), 10.0)
    ratio = jnp.where(size < 1e-2, 10.0, jnp.clip(ratio, 0.3, 10.0))
    return new, size, jnp.minimum(dt * ratio, 1e12).astype(dt.dtype), found.cost


def _root_mean_square(problem: SemiDiscrete, values: Any) -> Any:
    if jnp.ndim(values) == 0:
        return jnp.abs(values)
    volumes, unit = problem.volumes(values.dtype), binary_unit(values)
    return unit * jnp.sqrt(jnp.sum(volumes * (values / unit) ** 2) / jnp.sum(volumes))


def _lifted(problem: SemiDiscrete, stepped: Any, before: Any) -> Any:
    """``stepped`` with a tenth of what was there in place of undershoots, and the same total where that is positive."""
    kept = jnp.where(stepped < 0, 0.1 * before, stepped)
    total, more = problem.total(stepped), problem.total(kept)
    scalable = jnp.any(stepped < 0) & (total > 0) & (more > 0)
    return kept * jnp.where(scalable, total / jnp.where(more > 0, more, 1.0), 1.0)


def _typical(size: Any) -> Any:
    """What a field of root mean square ``size`` is measured by."""
    return jnp.where(size > 1e-30, size, 1.0)


def _residual(problem: SemiDiscrete, tendency: State, scale: State) -> Any:
    return jnp.max(jnp.stack([_root_mean_square(problem, tendency[n] / scale[n]) for n in tendency]))
