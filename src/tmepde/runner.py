"""A scenario in its working precision, and the three programs a run is made of: start, march, watch."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State, Whole, parted, shapes
from tmepde.integrate import Progress, first_progress, march
from tmepde.layout import Layout, tracing
from tmepde.scenario import Scenario
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete, StepControl, Stepper, relax_quasi_steady
from tmepde.steppers.choice import method_name

DTYPES: dict[str, Any] = {"f32": jnp.float32, "f64": jnp.float64}
#: cells × species × attempted steps of one call: some seconds on a processor, so that a run can be stopped in time
_WORK = 2**26
#: attempted steps of one call at most
_CALL = 512


class Runner(Whole):
    """A scenario in its working precision, with the static choices of the run."""

    scenario: Scenario
    control: StepControl
    stepper: Stepper
    fields: tuple[str, ...] = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    solver: str = eqx.field(static=True, default="auto")
    layout: Layout | None = eqx.field(static=True, default=None)

    @property
    def method(self) -> str:
        """What results call the way they were computed."""
        arrays, frame = parted(self)
        return method_of(frame, shapes(arrays))

    @property
    def precision(self) -> str:
        return {jnp.float32: "f32", jnp.float64: "f64"}[self.dtype]

    @property
    def problem(self) -> SemiDiscrete:
        return SemiDiscrete(self.scenario.system, solver=self.solver)

    def measures(self) -> Any:
        """Cell volumes that totals are made with; where all cells are alike, one number for all of them."""
        grid = self.scenario.model.grid
        if all(grid.equal) and grid.mask is None and grid.fractions is None:
            return jnp.reshape(self.problem.volumes(self.dtype)[(0,) * grid.ndim], (1,) * grid.ndim)
        return self.problem.volumes(self.dtype)

    @property
    def attempts(self) -> int:
        """Attempted steps of one call: it follows from the size of the model alone, never from clocks."""
        cells = int(np.prod(self.scenario.model.grid.shape))
        return int(np.clip(_WORK // (cells * len(self.scenario.system.species)), 1, _CALL))

    def kept(self, tree: Any) -> Any:
        """Inside a program: every array where the layout wants it."""
        return tree if self.layout is None else self.layout.kept(tree)

    def start(self, differentiable: bool = False) -> tuple[State, Progress]:
        """Initial state with its quasi-steady fields in balance, and the controller."""
        problem = self.problem
        state = problem.system.initial_state(self.dtype)
        state = {n: problem.inside(u) for n, u in state.items()}
        tolerance = self.control.algebraic * self.control.rtol
        zero = jnp.zeros((), self.dtype)
        clock = Clock(zero, zero, zero, self.control.first)
        solving = problem.prepared(clock, state) if self.solver == "fast_diagonal" else problem  # it needs eigenbases
        relaxed, converged, _ = relax_quasi_steady(solving, clock, state, tolerance, differentiable)
        state = {n: jnp.where(converged, relaxed[n], u) for n, u in state.items()}  # the first step names a failure
        compensate = state if self.stepper.increments and self.dtype == jnp.float32 and not differentiable else None
        first = self.stepper.first(self.control)
        return state, first_progress(problem, self.control, self.dtype, first, compensate)

    def output(self, state: State, time: Any) -> tuple[State, State]:
        """Fields to keep and observables at ``time``."""
        return {n: state[n] for n in self.fields}, self.watched(state, time)

    def watched(self, state: State, time: Any) -> State:
        """Observables at ``time``."""
        if not self.scenario.observables:
            return {}
        zero = jnp.zeros((), self.dtype)
        clock = Clock(time, zero, zero, self.control.first)
        tissue, _ = self.problem.system.tissue(clock, state)
        return {n: _number(n, f(clock, state, tissue)) for n, f in self.scenario.observables.items()}

    def totals(self, state: State) -> State:
        return {n: self.problem.total(state[n]) for n in self.problem.dynamic}

    def interval(self, state: State, progress: Progress, span: tuple[Any, Any, Any]) -> tuple[Any, ...]:
        """A whole save interval (base, local start, local end): the local time reached, and the output there."""
        base, start, end = span
        whole = (base, start, start, end)
        state, progress, local, _ = march(self.problem, self.stepper, self.control, state, progress, whole)
        return state, progress, local, self.output(state, base + end)


@functools.partial(jax.jit, static_argnums=1)
def start_program(arrays: list[Any], frame: Frame) -> tuple[State, Progress, Any]:
    """State and controller at the start, and the volumes that totals are made with (:meth:`Runner.measures`).

    None of them is weakly typed, as none is that comes from a snapshot: a run that goes on is the same program.
    """
    runner = frame.filled(arrays)
    with tracing(runner.layout):
        found = (*runner.start(), runner.measures())
        return runner.kept(jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), found))


@functools.partial(jax.jit, static_argnums=1, donate_argnums=(2, 3))
def march_program(
    arrays: list[Any], frame: Frame, state: State, progress: Progress, span: Any, attempts: Any
) -> tuple[State, Progress, Any]:
    """Some steps within a save interval. The state is given up to the call, so that no second copy of it is kept."""
    runner = frame.filled(arrays)
    with tracing(runner.layout):
        found = march(runner.problem, runner.stepper, runner.control, state, progress, span, attempts)
        return runner.kept(found[:3])


@functools.partial(jax.jit, static_argnums=1)
def watch_program(arrays: list[Any], frame: Frame, state: State, time: Any) -> State:
    """Observables."""
    runner = frame.filled(arrays)
    with tracing(runner.layout):
        return runner.kept(runner.watched(state, time))


def _number(name: str, value: Any) -> Any:
    """The value of an observable, which is one number.

    Raises:
        ValueError: for anything else.
    """
    if value is None or jnp.shape(value) != ():
        given = "None" if value is None else f"an array of shape {jnp.shape(value)}"
        raise ValueError(f"`observables.{name}` must return one number, but returned {given}. Sum it, say.")
    return value


@jax.jit
def copy_program(arrays: list[Any]) -> list[Any]:
    """Small arrays of the host as arrays of the device, all in one call."""
    return [jnp.copy(x) for x in arrays]


@functools.lru_cache(maxsize=256)
def method_of(frame: Frame, given: tuple[Any, ...]) -> str:
    """In words what a structure is computed by; traced once for each."""
    runner = frame.filled([jax.ShapeDtypeStruct(*leaf) for leaf in given])

    def build(arrays: Any) -> SemiDiscrete:
        return frame.filled(arrays).problem

    return method_name(runner.stepper, runner.solver, build, [jax.ShapeDtypeStruct(*x) for x in given], runner.dtype)


def spans(times: np.ndarray, dtype: Any) -> list[tuple[Any, Any, Any]]:
    """Base, local start and local end of each save interval, in ``dtype``.

    Bases that ``dtype`` cannot hold are rounded and local times start beside 0, so that base + local is right to the
    resolution of the local time however late it is.
    """
    found = []
    for begin, end in zip(times[:-1], times[1:], strict=True):
        base = np.asarray(begin, dtype)
        found.append((base, np.asarray(begin - float(base), dtype), np.asarray(end - float(base), dtype)))
    return found
