"""``simulate``: run a scenario and keep what was asked for."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._cache import keep_programs
from tmepde._results import Status
from tmepde._types import State, cast, is_traced
from tmepde.adjoint import advance_reversible, segment_size
from tmepde.coefficients import unknown
from tmepde.integrate import Progress, advance, first_progress
from tmepde.scenario import Scenario, check_fields, check_save
from tmepde.schedule import Clock
from tmepde.solution import Solution
from tmepde.steppers import Rosenbrock2, SemiDiscrete, StepControl, Stepper, relax_quasi_steady
from tmepde.steppers.choice import choose_stepper, method_name

_DTYPES = {"f32": jnp.float32, "f64": jnp.float64}


def simulate(
    scenario: Scenario,
    save: Mapping[str, Any] | Sequence[float] | None = None,
    *,
    fields: Sequence[str] | None = None,
    precision: str = "f32",
    control: StepControl | None = None,
    stepper: Stepper | None = None,
    solver: str = "auto",
    progress: bool | Callable[[float, float], None] = False,
    gradient: str = "reverse",
    record: int | None = None,
) -> Solution:
    """Run ``scenario`` and return a :class:`~tmepde.solution.Solution`.

    Works inside ``jax.grad``, ``jax.jvp`` and ``jax.vmap`` (the result then holds traced arrays and no timings).

    Args:
        save: ``every(6 * hour)``, a list of times in h, or ``None`` for the end alone. The start is always saved.
        fields: names of the species to keep at each save; ``None`` keeps all.
        precision: ``"f32"`` or ``"f64"`` (the latter needs ``jax.config.update("jax_enable_x64", True)``).
        control: tolerances and limits; ``StepControl(dt=…)`` takes fixed steps.
        stepper: ``None`` takes :func:`Rosenbrock2`, or :class:`Exponential2` where the equations are linear with
            constant coefficients (inside a transformation always the former). Also :func:`Rosenbrock3`,
            :func:`NewtonKrylov`, :func:`BackwardEuler`, :class:`ExplicitEuler`, :class:`RungeKuttaChebyshev`.
        solver: linear solver, one of ``"auto"``, ``"direct"``, ``"fast_diagonal"``, ``"multigrid"``, ``"jacobi"``.
        progress: show a bar, or a function called with (time, until) after each save interval.
        gradient: inside a transformation, ``"reverse"`` (``jax.grad``) or ``"forward"`` (``jax.jvp``, ``jax.jacfwd``).
        record: steps whose states are kept at once when differentiating in reverse. A save interval may take its square
            in attempted steps; beyond `record` steps are recomputed once more. ``None``: kept on the way, 64 to 256 of
            every interval, if they fit into a gigabyte; else half a gigabyte's worth, 16 to 256, of one interval.

    Raises:
        ValueError: for settings that cannot work, with all problems in one message.
    """
    keep_programs()
    control = StepControl() if control is None else control
    times = save_times(scenario, save)
    _check(scenario, fields, precision, control, gradient, record)
    dtype = _DTYPES[precision]
    runner = _Runner(
        scenario=cast(scenario, dtype),
        control=cast(control, dtype),
        stepper=_stepper(scenario, stepper, solver, dtype),
        solver=solver,
        fields=tuple(sorted(fields if fields is not None else scenario.system.species)),
        dtype=dtype,
    )
    with jax.default_matmul_precision("highest"):
        if is_traced(scenario) or is_traced(control):
            return _traced(runner, scenario, times, gradient, record)
        return _hosted(runner, scenario, times, progress)


def save_times(scenario: Scenario, save: Mapping[str, Any] | Sequence[float] | None) -> np.ndarray:
    """Save times in h, from 0 to the end, strictly increasing."""
    check_save(scenario, save)
    until = float(scenario.until) if not is_traced(scenario.until) else None
    if save is None and until is None:
        raise ValueError("`save` must list the times in h where `until` is being differentiated.")
    if save is None:
        save = [float(scenario.until)]
    if isinstance(save, Mapping):
        step = float(save["every"])
        if not step > 0 or until is None:
            raise ValueError(f"`save` must be an interval of positive hours, but {step:g} was given.")
        count = int(np.floor(until / step + 1e-9))
        save = [step * i for i in range(1, count + 1)]
        save = save if save and abs(save[-1] - until) < 1e-9 * until else [*save, until]
    times = np.asarray([t for t in save if t != 0.0], dtype=float)
    if times.size == 0 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0) or times[0] < 0:
        raise ValueError(f"`save` must hold finite, increasing, positive times in h, but {list(save)} was given.")
    if until is not None and times[-1] > until * (1 + 1e-9):
        raise ValueError(f"`save` must not reach beyond `until` = {until:g} h, but {times[-1]:g} h was given.")
    if until is not None and times[-1] < until * (1 - 1e-9):
        times = np.append(times, until)
    return np.concatenate([[0.0], times])


def _check(
    scenario: Scenario,
    fields: Sequence[str] | None,
    precision: str,
    control: StepControl,
    gradient: str,
    record: int | None,
) -> None:
    check_fields(fields)
    problems = []
    if precision not in _DTYPES:
        raise ValueError(f"`precision` must be 'f32' or 'f64', but {precision!r} was given.")
    if precision == "f64" and not jax.config.read("jax_enable_x64"):
        problems.append(
            "precision 'f64' needs 64-bit mode, but it is off. Call jax.config.update('jax_enable_x64', True) first."
        )
    if not is_traced(control):
        problems += control.problems(precision)
    if gradient not in ("reverse", "forward"):
        problems.append(f"`gradient` must be 'reverse' or 'forward', but {gradient!r} was given.")
    if record is not None and not record >= 1:
        problems.append(f"`record` must be at least 1 step, but {record} was given. Leave it out to have it chosen.")
    known = scenario.system.species
    problems += [unknown("species", f, known) + " (in `fields`)" for f in fields or () if f not in known]
    if problems:
        raise ValueError("\n".join(problems))


def _stepper(scenario: Scenario, stepper: Stepper | None, solver: str, dtype: Any) -> Stepper:
    """The given one, or the one that suits (which needs numbers, hence not inside a transformation)."""
    if stepper is not None:
        if not isinstance(stepper, Stepper):
            raise ValueError(f"`stepper` must be a stepper, but {stepper!r} was given. Write tme.Rosenbrock2(), say.")
        return stepper
    if is_traced(scenario):
        return Rosenbrock2()
    problem = SemiDiscrete(cast(scenario, dtype).system, solver=solver)
    return choose_stepper(problem, problem.system.initial_state(dtype), float(scenario.until))


class _Runner(eqx.Module):
    """A scenario in its working precision, with the static choices of the run."""

    scenario: Scenario
    control: StepControl
    stepper: Stepper
    fields: tuple[str, ...] = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    solver: str = eqx.field(static=True, default="auto")

    @property
    def method(self) -> str:
        """What results call the way they were computed."""
        arrays, rest = eqx.partition(self, _is_array)
        leaves, treedef = jax.tree.flatten(arrays)
        return _method(_Static(rest), treedef, tuple((np.shape(x), x.dtype) for x in leaves))

    @property
    def problem(self) -> SemiDiscrete:
        return SemiDiscrete(self.scenario.system, solver=self.solver)

    def start(self, differentiable: bool = False) -> tuple[State, Progress]:
        """Initial state with its quasi-steady fields in balance, and the controller."""
        problem = self.problem
        state = problem.system.initial_state(self.dtype)
        state = {n: problem.inside(u) for n, u in state.items()}
        tolerance = self.control.algebraic * self.control.rtol
        zero = jnp.zeros((), self.dtype)
        clock = Clock(zero, zero, zero, self.control.first)
        relaxed, converged, _ = relax_quasi_steady(problem, clock, state, tolerance, differentiable)
        state = {n: jnp.where(converged, relaxed[n], u) for n, u in state.items()}  # the first step names a failure
        return state, first_progress(problem, self.control, self.dtype, self.stepper.first(self.control))

    def output(self, state: State, time: Any) -> tuple[State, State]:
        """Fields to keep and observables at ``time``."""
        zero = jnp.zeros((), self.dtype)
        clock = Clock(time, zero, zero, self.control.first)
        observed = {}
        if self.scenario.observables:
            tissue, _ = self.problem.system.tissue(clock, state)
            observed = {n: f(clock, state, tissue) for n, f in self.scenario.observables.items()}
        return {n: state[n] for n in self.fields}, observed

    def totals(self, state: State) -> State:
        return {n: self.problem.total(state[n]) for n in self.problem.dynamic}

    def interval(self, state: State, progress: Progress, base: Any, length: Any) -> tuple[Any, ...]:
        state, progress, _ = advance(self.problem, self.stepper, self.control, state, progress, base, length)
        return state, progress, self.output(state, base + length)


@functools.partial(jax.jit, static_argnums=1)
def _start(arrays: Any, static: Any) -> tuple[Any, ...]:
    runner = eqx.combine(arrays, static.value)
    state, progress = runner.start()
    return state, progress, runner.output(state, jnp.zeros((), runner.dtype)), runner.totals(state)


@functools.partial(jax.jit, static_argnums=1, donate_argnums=(2, 3))
def _interval(arrays: Any, static: Any, state: State, progress: Progress, base: Any, length: Any) -> tuple[Any, ...]:
    runner = eqx.combine(arrays, static.value)
    state, progress, output = runner.interval(state, progress, base, length)
    return state, progress, output, runner.totals(state)


class _Static:
    """The static half of a pytree as a hashable argument, so that equal structures share one compilation."""

    def __init__(self, value: Any):
        self.value = value
        leaves, self.treedef = jax.tree.flatten(value)
        self.leaves = tuple(leaves)

    def __hash__(self) -> int:
        return hash((self.treedef, self.leaves))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and (self.treedef, self.leaves) == (other.treedef, other.leaves)


@functools.lru_cache(maxsize=256)
def _method(static: _Static, treedef: Any, leaves: tuple[Any, ...]) -> str:
    """In words what a structure is computed by; traced once for each."""
    arrays = jax.tree.unflatten(treedef, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
    runner = static.value

    def build(arrays: Any) -> SemiDiscrete:
        return eqx.combine(arrays, runner).problem

    return method_name(runner.stepper, runner.solver, build, arrays, runner.dtype)


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def _hosted(
    runner: _Runner,
    scenario: Scenario,
    times: np.ndarray,
    progress: bool | Callable[[float, float], None],
    quiet: bool = False,
) -> Solution:
    """One jitted call per save interval; the host keeps the results, so that a failure loses nothing.

    The state and the controller's are given up to each call, so that no second copy of them is kept. ``quiet``: the
    caller tells of failures.
    """
    arrays, rest = eqx.partition(runner, _is_array)
    static, dtype, until = _Static(rest), runner.dtype, times[-1]
    began = time.perf_counter()
    arrays = jax.tree.map(jnp.asarray, arrays)  # once, not for every save interval
    state, carry, output, totals = _start(arrays, static)
    bases = [jnp.asarray(t, dtype) for t in times[:-1]]
    lengths = [jnp.asarray(t, dtype) for t in np.diff(times)]
    compiled = _interval.lower(arrays, static, state, carry, bases[0], lengths[0]).compile()
    compile_time = time.perf_counter() - began
    outputs, initial = [jax.device_get(output)], jax.device_get(totals)
    began = time.perf_counter()
    reached = 1
    with _reporter(progress) as report:
        for base, length in zip(bases, lengths, strict=True):
            state, carry, output, totals = compiled(arrays, state, carry, base, length)
            if int(carry.status) != Status.ok:
                if not quiet:
                    span, reason = times[reached - 1 : reached + 1], Status(int(carry.status)).message
                    warnings.warn(f"The run ended between {span[0]:g} and {span[1]:g} h: {reason}", stacklevel=3)
                break
            outputs.append(jax.device_get(output))
            reached += 1
            report(times[reached - 1], until)
    return Solution.collect(
        scenario=scenario,
        times=times[:reached],
        outputs=outputs,
        carry=jax.device_get(carry),
        totals=(initial, jax.device_get(totals)),
        final=state,
        timing=(time.perf_counter() - began, compile_time),
        precision={jnp.float32: "f32", jnp.float64: "f64"}[dtype],
        method=runner.method,
    )


class _reporter:  # noqa: N801 - a context manager used like a function
    """Calls a user's function, drives a rich bar, or does nothing."""

    def __init__(self, progress: bool | Callable[[float, float], None]):
        self.progress = progress
        self.bar: Any = None

    def __enter__(self) -> Callable[[float, float], None]:
        if callable(self.progress):
            return self.progress
        if not self.progress:
            return lambda _time, _until: None
        from rich.progress import Progress as Bar

        self.bar = Bar()
        self.bar.start()
        task = self.bar.add_task("simulating", total=1.0)
        return lambda now, until: self.bar.update(task, completed=now / until)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()


def _traced(runner: _Runner, scenario: Scenario, times: np.ndarray, gradient: str, record: int | None) -> Solution:
    """The same inside a transformation: a scan over the save intervals."""
    dtype = runner.dtype
    problem, reverse = runner.problem, gradient == "reverse"
    state, carry = runner.start(differentiable=True)
    initial = runner.totals(state)
    first = runner.output(state, jnp.zeros((), dtype))
    size, keep = segment_size(problem, state, len(times) - 1) if record is None else (record, False)
    spans = (jnp.asarray(times[:-1], dtype), jnp.asarray(np.diff(times), dtype))

    def one(carry: Any, span: Any) -> Any:
        state, progress = carry
        base, length = span
        if reverse:
            state, progress = advance_reversible(
                problem, runner.stepper, runner.control, state, progress, base, length, size, keep
            )
        else:
            state, progress, _ = advance(
                problem, runner.stepper, runner.control, state, progress, base, length, differentiable=True
            )
        return (state, progress), runner.output(state, base + length)

    (state, carry), later = jax.lax.scan(one, (state, carry), spans)
    outputs = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, later)
    return Solution.traced(scenario, times, outputs, carry, (initial, runner.totals(state)), state, runner.method)


def run_arms(scenario: Scenario, arms: Mapping[str, Sequence[str]], **options: Any) -> dict[str, Solution]:
    """Run ``scenario`` once per arm with only the named interventions on (strength as given; the others 0).

    All arms share one compilation: an arm is a set of numbers, not a structure.
    """
    solutions = {}
    for name, active in arms.items():
        for one in active:
            if one not in scenario.interventions:
                raise KeyError(unknown("intervention", one, scenario.interventions) + f" (arm {name!r})")
        variant = scenario
        for one in scenario.interventions:
            if one not in active:
                variant = variant.replace(f"interventions.{one}.strength", 0.0)
        solutions[name] = simulate(variant, **options)
    return solutions
