"""``simulate``: run a scenario and keep what was asked for."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from tmepde._arguments import entries, given, whole, word
from tmepde._cache import keep_programs
from tmepde._each import each
from tmepde._types import cast, is_traced
from tmepde.coefficients import unknown
from tmepde.elliptic.solve import METHODS
from tmepde.layout import Layout
from tmepde.outcome import Start
from tmepde.run import Run
from tmepde.runner import DTYPES as _DTYPES
from tmepde.runner import Runner as _Runner
from tmepde.scenario import Scenario, check_fields, check_save, reservations
from tmepde.snapshot import Snapshot
from tmepde.solution import Solution
from tmepde.steppers import SemiDiscrete, StepControl, Stepper
from tmepde.steppers.choice import Choice, choose_steppers, general_stepper
from tmepde.steppers.control import ending, shortened
from tmepde.transformed import transformed

Devices = int | str | Sequence[Any] | None


def simulate(
    scenario: Scenario,
    save: Mapping[str, Any] | Sequence[float] | None = None,
    *,
    fields: Sequence[str] | None = None,
    precision: str = "f32",
    control: StepControl | None = None,
    stepper: Stepper | None = None,
    solver: str = "auto",
    devices: Devices = None,
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
        stepper: ``None`` takes :func:`Rosenbrock2`; :class:`Exponential2` where the equations are linear with constant
            coefficients; :class:`NewtonKrylov` where fields exchange fast, or in large models the first in steps that
            resolve it (inside a transformation always the first). Also :func:`Rosenbrock3`, :func:`BackwardEuler`,
            :class:`ExplicitEuler`, :class:`RungeKuttaChebyshev`. ``Solution.method`` says which it was.
        solver: linear solver, one of ``"auto"``, ``"direct"``, ``"fast_diagonal"``, ``"multigrid"``, ``"jacobi"``.
        devices: cut the grid into as many equal parts, one a device (a number, ``"all"``, or the devices): results as
            on one to round-off. Not inside a transformation. See :mod:`tmepde.layout`.
        progress: show a bar, or a function called with (time, until) after each save interval.
        gradient: inside a transformation, ``"reverse"`` (``jax.grad``) or ``"forward"`` (``jax.jvp``, ``jax.jacfwd``).
        record: steps whose states are kept at once when differentiating in reverse; the run is repeated for them.
            Inside ``jax.jit`` a save interval may take its square in attempted steps. ``None``: steps are kept on the
            way, for 384 MiB; intervals for which that is not enough are repeated, 16 to 128 of their steps at once.

    Raises:
        ValueError: for settings that cannot work, with all problems in one message.
    """
    keep_programs()
    control = StepControl() if control is None else control
    times = save_times(scenario, save)
    _check(scenario, fields, precision, control, gradient, record)
    for told in reservations(scenario):
        warnings.warn(told, stacklevel=2)
    runner = _runner(scenario, control, stepper, solver, fields, precision, devices)
    with jax.default_matmul_precision("highest"):
        if is_traced(scenario) or is_traced(control):
            if devices is not None:
                raise ValueError("`devices` must be left out inside a transformation; only whole runs are cut up.")
            return transformed(runner, scenario, times, gradient, record, stepper is None)
        return _hosted(runner, scenario, times, progress)


def follow(
    scenario: Scenario,
    save: Mapping[str, Any] | Sequence[float] | None = None,
    *,
    fields: Sequence[str] | None = None,
    precision: str = "f32",
    control: StepControl | None = None,
    stepper: Stepper | None = None,
    solver: str = "auto",
    devices: Devices = None,
    snapshot: Snapshot | None = None,
    stop: Callable[[], bool] | None = None,
    snapshots: bool = True,
    branch: bool = False,
    start: Start | None = None,
) -> Run:
    """The same run row by row, in memory for one row: what :func:`simulate` collects. See :mod:`tmepde.run`.

    Args:
        save, fields, precision, control, stepper, solver, devices: see :func:`simulate`. `fields` may be empty.
        snapshot: go on from here, bit by bit as if the run had not stopped. Save times after it may be other ones, and
            `max_steps` too.
        stop: asked every few seconds (or steps); once it is true the run ends where it is.
        snapshots: give one with every row; without, rows cost less memory traffic and only a failure leaves one.
        branch: let numbers differ from those the snapshot was made with (another dose, a therapy switched on): the same
            structure from the same state. Budgets and counters go on from its.
        start: begin at a later time with a given state, of which other species may take their initial values: save
            times before it are left out. With `snapshot`, only its time counts.

    Raises:
        ValueError: for settings that cannot work, or a `snapshot` of another run, naming what differs.
    """
    keep_programs()
    control = StepControl() if control is None else control
    times = save_times(scenario, save)
    _check(scenario, fields, precision, control, "reverse", None)
    if is_traced(scenario) or is_traced(control):
        raise ValueError(
            "`follow` must be called outside transformations, but traced numbers were given. Use simulate."
        )
    if start is not None:
        times = times_from(times, start.time)
    with jax.default_matmul_precision("highest"):
        runner = _runner(scenario, control, stepper, solver, fields, precision, devices)
    return Run(runner, scenario, times, snapshot, stop, snapshots, branch, start, control=cast(control, runner.dtype))


def times_from(times: np.ndarray, begin: float) -> np.ndarray:
    """Save times of a run that starts at ``begin`` (h).

    Raises:
        ValueError: if nothing is left.
    """
    later = times[times > begin * (1 + 1e-12) + 1e-9]
    if not begin >= 0 or not len(later):
        raise ValueError(
            f"`start` must lie before the end, {times[-1]:g} h, but {begin:g} h was given. Enlarge `until`."
        )
    return np.concatenate([[begin], later])


def _runner(
    scenario: Scenario,
    control: StepControl,
    stepper: Stepper | None,
    solver: str,
    fields: Sequence[str] | None,
    precision: str,
    devices: Devices = None,
) -> _Runner:
    dtype = _DTYPES[precision]
    scenario = cast(scenario, dtype)
    choice = suited(scenario, control, stepper, word("solver", solver, METHODS, "Leave it out."), dtype)
    return _Runner(
        scenario=scenario,
        control=shortened(ending(cast(control, dtype), scenario.until, dtype), choice.longest, dtype),
        stepper=choice.stepper,
        solver=solver,
        fields=tuple(sorted(fields if fields is not None else scenario.system.species)),
        dtype=dtype,
        layout=None if devices is None else Layout.of(scenario.model.grid.shape, devices),
    )


def save_times(scenario: Scenario, save: Mapping[str, Any] | Sequence[float] | None) -> np.ndarray:
    """Save times in h, from 0 to the end, strictly increasing."""
    if save is not None and not isinstance(save, Mapping | str | bytes) and hasattr(save, "__next__"):
        save = list(save)  # can be gone through once only
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
    if not isinstance(precision, str) or precision not in _DTYPES:
        raise ValueError(f"`precision` must be 'f32' or 'f64', but {given(precision)} was given.")
    if precision == "f64" and not jax.config.read("jax_enable_x64"):
        problems.append(
            "precision 'f64' needs 64-bit mode, but it is off. Call jax.config.update('jax_enable_x64', True) first."
        )
    if not is_traced(control):
        if not isinstance(control, StepControl):
            raise ValueError(
                f"`control` must be a tmepde.StepControl, but {control!r} was given. Write StepControl(…)."
            )
        problems += control.problems(precision)
    if not isinstance(gradient, str) or gradient not in ("reverse", "forward"):
        problems.append(f"`gradient` must be 'reverse' or 'forward', but {given(gradient)} was given.")
    if record is not None:
        whole("record", record, remedy="Leave it out to have it chosen.")
    known = scenario.system.species
    wanted = () if fields is None else fields
    problems += [unknown("species", f, known) + " (in `fields`)" for f in wanted if f not in known]
    problems += initial_problems(scenario) + _closed_over(scenario)
    if problems:
        raise ValueError("\n".join(problems))


def _closed_over(scenario: Scenario) -> list[str]:
    """Sentences for functions that hold a traced number: a function is part of a program, its numbers must be given."""
    functions = {f"model.processes.{n}": getattr(p, "function", None) for n, p in scenario.model.processes.items()}
    for name, one in scenario.system.species.items():
        leaves = jax.tree_util.tree_leaves_with_path(one.boundary)
        functions |= {f"{name}.boundary{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves if callable(leaf)}
    found = []
    for path, function in functions.items():
        names = [name for name, value in _holds(function) if is_traced(value)]
        if names:
            found.append(
                f"The function of `{path}` must not hold a number that is being differentiated or mapped, but it holds "
                f"`{names[0]}`. Give a process its numbers, process(function, {names[0]}=…); of a side write a class "
                "(equinox.Module) with the number as a field and `__call__(self, clock, state)`."
            )
    return found


def _holds(function: Any) -> list[tuple[str, Any]]:
    """What a closure or a ``functools.partial`` holds, by name."""
    if isinstance(function, functools.partial):
        given = [(f"argument {i}", value) for i, value in enumerate(function.args)]
        return [*given, *function.keywords.items(), *_holds(function.func)]
    labels = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    return [(name, _content(cell)) for name, cell in zip(labels, cells, strict=False)]


def _content(cell: Any) -> Any:
    """What a closure holds; ``None`` where it holds nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def initial_problems(scenario: Scenario) -> list[str]:
    """Sentences for initial values that are not finite, with their cell: neither a JAX array nor a new value behind a
    path is looked at before."""
    found = []
    known = {n: np.asarray(s.initial) for n, s in scenario.system.species.items() if not is_traced(s.initial)}
    fine = each(_finite, list(known.values()), sum(values.nbytes for values in known.values()))
    for name, values in (one for one, good in zip(known.items(), fine, strict=True) if not good):
        cell = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        where = f" in cell {cell}" if cell else ""
        found.append(f"`{name}.initial` must be finite, but it is {values[cell]}{where}.")
    return found


def _finite(values: np.ndarray) -> bool:
    """Whether all of ``values`` are: of finite numbers the sum is finite, or too large to tell by it. (Not a product:
    threads of a linear algebra library go on waiting for more, in the way of those that compute the run.)"""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(np.sum(values)) or np.all(np.isfinite(values)))


def suitable(scenario: Scenario, control: StepControl, precision: str = "f32") -> Choice:
    """The scheme that :func:`simulate` chooses for a scenario, and the longest step."""
    dtype = _DTYPES[precision]
    return suited(cast(scenario, dtype), control, None, "auto", dtype)


def suited(scenario: Scenario, control: StepControl, stepper: Stepper | None, solver: str, dtype: Any) -> Choice:
    """The given stepper, or the one that suits a scenario in its working precision, and the longest step with it.

    Inside a transformation nothing but structure is known: it is the general one there, and steps are of few round
    trips of any two fields that exchange, which the program finds out at the start.
    """
    return suited_each([scenario], control, stepper, solver, dtype)[0]


def suited_each(
    scenarios: Sequence[Scenario], control: StepControl, stepper: Stepper | None, solver: str, dtype: Any
) -> list[Choice]:
    """:func:`suited` for every one of many scenarios."""
    if stepper is not None:
        if not isinstance(stepper, Stepper):
            raise ValueError(f"`stepper` must be a stepper, but {stepper!r} was given. Write tme.Rosenbrock2(), say.")
        if SemiDiscrete(scenarios[0].system).dynamic:  # where all is in balance no scheme differs from another
            return [Choice(stepper)] * len(scenarios)
    problems = [SemiDiscrete(one.system, solver=solver) for one in scenarios]
    if not is_traced(scenarios) and not is_traced(control):
        return choose_steppers(problems, dtype, [float(one.until) for one in scenarios], control)
    return [Choice(general_stepper(problem.system), None) for problem in problems]


def _hosted(
    runner: _Runner,
    scenario: Scenario,
    times: np.ndarray,
    progress: bool | Callable[[float, float], None],
    quiet: bool = False,
) -> Solution:
    """Collect the rows of a :class:`~tmepde.run.Run`. ``quiet``: the caller tells of failures."""
    system = runner.scenario.system
    shapes = {n: () if system.species[n].kind == "compartment" else system.grid.shape for n in runner.fields}
    kept = {n: np.empty((len(times), *shapes[n]), runner.dtype) for n in runner.fields}
    run = Run(runner, scenario, times, snapshots=False, into=kept)
    observed = []
    with _reporter(progress) as report:
        for row in run:
            observed.append(row.observables)
            if row.index > 0:
                report(row.time, times[-1])
    outcome = run.outcome
    assert outcome is not None
    if not outcome.ok and not quiet:
        span = times[outcome.rows - 1 : outcome.rows + 1]
        warnings.warn(f"The run ended between {span[0]:g} and {span[1]:g} h: {outcome.message}", stacklevel=3)
    elif outcome.message != outcome.status.message and not quiet:
        warnings.warn(outcome.message, stacklevel=3)
    fields = {n: values[: outcome.rows] for n, values in kept.items()}
    return Solution.of_run(scenario, times[: outcome.rows], fields, observed, outcome, run.state)


class _reporter:  # noqa: N801 - a context manager used like a function
    """Calls a user's function, drives a rich bar, or does nothing."""

    def __init__(self, progress: bool | Callable[[float, float], None]):
        if not isinstance(progress, bool | np.bool_) and not (callable(progress) and not isinstance(progress, type)):
            raise ValueError(
                f"`progress` must be True, False or a function of (time, until), but {given(progress)} was given."
            )
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


def run_arms(scenario: Scenario, arms: Mapping[str, Sequence[str]], **options: Any) -> dict[str, Solution]:
    """Run ``scenario`` once per arm with only the named interventions on (strength as given; the others 0).

    All arms share one compilation: an arm is a set of numbers, not a structure.
    """
    if not isinstance(scenario, Scenario):
        raise ValueError(f"`scenario` must be a tmepde.Scenario, but {given(scenario)} was given.")
    if not isinstance(arms, Mapping):
        raise ValueError(f"`arms` must be a mapping of names, but {arms!r} was given. Write {{name: [therapy, …]}}.")
    variants = {name: arm_of(scenario, active, name) for name, active in arms.items()}
    return {name: simulate(variant, **options) for name, variant in variants.items()}


def arm_of(scenario: Scenario, active: Sequence[str], name: str = "") -> Scenario:
    """``scenario`` with only the interventions in ``active`` on.

    Raises:
        KeyError: for a name that is no intervention.
    """
    active = entries(f"arms[{name!r}]", active, "names of interventions")
    try:
        return scenario.only(active)
    except KeyError as error:
        raise KeyError(f"{error.args[0]} (arm {name!r})") from None
