"""Why a run ended: which field, where, when, at which step, and what probably did it.

One evaluation of the equations at the last good state, and one where Euler's rule goes from there in the step that
failed, all quasi-steady fields as rows of their own, tell for every species

    whether s, λ, D, v and log-kill are finite            (a rate law that divides by zero)
    its fastest relative change   |F| Δt/(|u| + mean|u|)   (a blow-up, an unstable step)
    Péclet |v|w/D and Courant |v|Δt/w of its drift         (the mesh, the step)

and in which cell. What follows from it is a guess, and called one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._results import Status
from tmepde._types import Frame, State, parted
from tmepde.operators.advection import courant_rate
from tmepde.operators.anisotropy import along
from tmepde.operators.faces import axis_of, take
from tmepde.parameter import out_of_bounds
from tmepde.runner import Runner
from tmepde.schedule import Clock
from tmepde.steppers import NewtonKrylov, SemiDiscrete
from tmepde.steppers.stiffness import Exchange, Moment, fastest_each
from tmepde.steppers.structure import Structure

#: a field this many times its first largest value has blown up; concentrated this much in one cell by its own drift
_GROWN, _PEAKED = 1e6, 30.0
#: share of a content in one cell, and cells of a grid, from which on a drift that holds it there is told of
_SHARE, _CELLS = 0.4, 64
#: values whose squares are nothing in float32, and whose products of three are beyond it
_FAINT, _HUGE = 1e-18, 1e12
_UNDERFLOW = (
    "squares of such small values are nothing in float32, and laws such as u/(u + K) have them in their slopes. Write "
    "the field in a smaller unit, or take precision='f64'."
)
_OVERFLOW = (
    "products of such large values are beyond float32, and laws such as u v/(u + K) have them in their slopes. Write "
    "the field in a larger unit, the law in u/K, or take precision='f64'."
)
_COLLAPSE = (
    "a blow-up by its own drift (chemotaxis without volume filling). Limit the drift in crowded cells, raise its "
    "diffusivity, or lower the attraction."
)
#: round trips between two fields in a step from which on it is told of: their sum moves wrong by more than 0.5 %
_TRIPS = 1.0
#: what is left of all there ever was of a species that is as good as gone
_GONE = 1e-6
#: above it a central mesh oscillates and an upwind one smears: the mesh is too coarse for the drift
_PECLET = 2.0
_PARTS = {
    "source": "its source",
    "loss": "its loss rate",
    "diffusivity": "its diffusivity",
    "velocity": "its drift velocity",
    "hazard": "its log-kill",
}


class Finding(eqx.Module):
    """Of one species: the cell to look at, and what is there. ``held``: the rate (1/h) whose inverse limits an explicit
    step of its drift; ``lost``: its largest loss rate, that of open sides included; ``odd``: parts that are not finite
    there, by name."""

    index: Any
    value: Any
    mean: Any
    largest: Any
    tendency: Any
    change: Any
    peclet: Any
    courant: Any
    held: Any
    lost: Any
    odd: dict[str, Any]


@functools.partial(jax.jit, static_argnums=1)
def examine(
    arrays: list[Any], frame: Frame, state: State, base: Any, local: Any, dt: Any
) -> tuple[dict[str, Finding], State]:
    """A finding for every species at ``state``, and the state a step of ``dt`` later by Euler's rule."""
    runner: Runner = frame.filled(arrays)
    problem = SemiDiscrete(runner.scenario.system, all_dynamic=True, solver=runner.solver)
    clock = Clock(base, local, local, dt)
    here = problem.evaluate(clock, state)
    log_kill = problem.system.hazards(clock, state)
    found = {n: _finding(problem, n, state[n], here, log_kill, dt) for n in problem.dynamic}
    steady = problem.system.of_kind("quasi_steady")
    ahead = {n: u if n in steady else u + dt * here.tendency[n] for n, u in state.items()}
    return found, problem.positive(ahead)


def _finding(problem: SemiDiscrete, name: str, u: Any, here: Any, log_kill: State, dt: Any) -> Finding:
    coefficients = here.rates.coefficients
    odd = {"source": ~jnp.isfinite(here.rates.source[name]), "loss": ~jnp.isfinite(here.rates.loss[name])}
    peclet = courant = jnp.zeros_like(u)
    held = jnp.asarray(0.0)
    if name in coefficients.diffusivity:
        parts = jax.tree.leaves(coefficients.diffusivity[name])
        odd["diffusivity"] = functools.reduce(jnp.logical_or, [~jnp.isfinite(d) for d in parts])
    if name in coefficients.velocity:
        peclet, courant = _drift(problem, name, coefficients, dt)
        held = courant_rate(problem.grid, coefficients.velocity[name], coefficients.diffusivity.get(name, 0.0))
        odd["velocity"] = ~jnp.isfinite(courant)
    if name in log_kill:
        odd["hazard"] = ~jnp.isfinite(log_kill[name])
    odd = {k: problem.inside(jnp.broadcast_to(v, u.shape)).astype(bool) for k, v in odd.items()}
    tendency = here.tendency[name]
    size = jnp.abs(u)
    mean = problem.total(size) / problem.total(jnp.ones_like(u))
    scale = size + mean
    change = jnp.abs(tendency) * dt / jnp.where(scale > 0, scale, 1.0)
    wrong = functools.reduce(jnp.logical_or, [*odd.values(), ~jnp.isfinite(tendency), ~jnp.isfinite(u)])
    worst = jnp.where(jnp.any(courant > 1.0), jnp.argmax(courant), jnp.argmax(change))
    index = jnp.where(jnp.any(wrong), jnp.argmax(wrong), worst)

    def at(values: Any) -> Any:
        return jnp.ravel(jnp.broadcast_to(values, u.shape))[index]

    return Finding(
        index=index,
        value=at(u),
        mean=mean,
        largest=jnp.max(size),
        tendency=at(tendency),
        change=at(change),
        peclet=at(peclet),
        courant=at(courant),
        held=held,
        lost=jnp.max(problem.inside(here.rates.rate(name))),
        odd={k: at(v) for k, v in odd.items()},
    )


def _drift(problem: SemiDiscrete, name: str, coefficients: Any, dt: Any) -> tuple[Any, Any]:
    """Largest |v|w/D and |v|Δt/w over the axes, per cell."""
    grid, velocity, d = problem.grid, coefficients.velocity[name], coefficients.diffusivity.get(name, 0.0)
    peclet, courant = jnp.zeros(grid.shape), jnp.zeros(grid.shape)
    for k, v in enumerate(velocity):
        axis = axis_of(grid, k)
        speed = jnp.maximum(jnp.abs(take(v, 1, None, axis)), jnp.abs(take(v, 0, -1, axis)))
        width = 2.0 * jnp.broadcast_to(jnp.asarray(grid.half_widths(k)), grid.shape)
        spread = jnp.broadcast_to(along(d, k), grid.shape)
        peclet = jnp.maximum(peclet, jnp.where(speed > 0, speed * width / jnp.maximum(spread, 1e-30), 0.0))
        courant = jnp.maximum(courant, speed * dt / width)
    return peclet, courant


def explain(runner: Runner, status: Status, state: State, clock: tuple[Any, Any, Any], initial: Any) -> str:
    """The sentence of a run that ended with ``status``.

    Args:
        state: the last good one.
        clock: base and local time of it, and the step that failed, h.
        initial: mean at the start, by species.
    """
    if status not in _HEADS:
        return status.message
    arrays, frame = parted(runner)
    base, local, dt = (np.asarray(x, runner.dtype) for x in clock)
    time = float(base) + float(local)
    with jax.default_matmul_precision("highest"):
        found, ahead = jax.device_get(examine(arrays, frame, state, base, local, dt))
        name = _culprit(runner, status, found)
        if not _strange(found[name]) and all(np.all(np.isfinite(u)) for u in ahead.values()):
            later = jax.device_get(examine(arrays, frame, ahead, base, local + dt, dt)[0])
            name = next((n for n in sorted(later) if any(later[n].odd.values())), name)
            found = later if any(later[name].odd.values()) else found
    drifting, cap = _capped(runner, found)
    held_back = status == Status.step_limit and float(dt) > 0.9 * cap
    name = drifting if held_back else name
    one = found[name]
    cause = _cause(runner, status, name, one, float(initial.get(name, 0.0)))
    longest = float(runner.control.longest)
    if held_back:
        cells = "a larger `smallest` of cut cells, " if runner.scenario.model.grid.fractions is not None else ""
        cause = (
            f"Its drift holds steps at {cap:.3g} h (`StepControl(courant=…)`). Take `stepper=tme.NewtonKrylov()`, "
            f"which takes drift implicitly, {cells}coarser cells, or raise `max_steps`."
        )
    elif status == Status.step_limit and runner.control.adaptive and float(dt) > 0.9 * longest:
        cause = f"Steps are as long as `longest` = {longest:g} h allows. Raise it, or `max_steps`, or save more often."
    bounds = [s for g in _groups(runner) for s in g]
    advice = f" {bounds[0]}" if bounds else ""
    drift = ""
    if np.any(one.courant > 0):
        drift = f", cell Péclet number {float(one.peclet):.3g}, Courant number {float(one.courant):.3g}"
    where = _place(runner.scenario.model.grid, runner.scenario.system.species[name], int(one.index))
    return (
        f"{_HEADS[status]} At {time:.6g} h with Δt = {float(dt):.3g} h: `{name}` = {float(one.value):.4g} "
        f"{where}{drift}. {cause}{advice}"
    )


def standing(
    runners: Sequence[Runner],
    parts: Sequence[tuple[list[Any], Frame]],
    found: Structure,
    states: Sequence[State],
    clocks: Sequence[tuple[Any, Any, Any]],
    largest: Sequence[dict[str, float]],
) -> list[tuple[float, str]]:
    """Of each of many runs of one structure the round trips in a step of two fields that exchange too fast for the
    stepper, and a sentence; empty where none do.

    Args:
        parts, found: the problems and their structure.
        clocks: base and local time of the states, and the length of the steps before them.
        largest: means of the species when there was most of each, as far as that is known.
    """
    runner = runners[0]
    if getattr(runner.stepper, "kinetics", False):
        found = found.holding(runner.scenario.system.of_kind("local"))
    told = [(0.0, "")] * len(runners)
    going = [i for i, clock in enumerate(clocks) if clock[2] > 0]
    if not runner.stepper.separate or not found.exchanging or not going:
        return told
    moments = [_moment(states[i], clocks[i], largest[i], runner.dtype) for i in going]
    least = [_TRIPS / float(clocks[i][2]) for i in going]
    members = [parts[i][0] for i in going]
    exchanges = fastest_each(members, parts[0][1], found, least, runner.dtype, moments)
    for i, exchange in zip(going, exchanges, strict=True):
        if exchange.names:
            times = exchange.trips * float(clocks[i][2])
            told[i] = times, _unresolved(runner, exchange, times)
    return told


def _moment(state: State, clock: tuple[Any, Any, Any], largest: dict[str, float], dtype: Any) -> Moment:
    base, local, dt = (np.asarray(x, dtype) for x in clock)
    return Moment(state, Clock(base, local, local, dt), {n: np.asarray(_GONE * m, dtype) for n, m in largest.items()})


def _unresolved(runner: Runner, exchange: Exchange, times: float) -> str:
    """That so many round trips in a step are too many."""
    who = " and ".join(f"`{n}`" for n in exchange.names)
    does = "exchange" if len(exchange.names) > 1 else "is made of itself as it is lost"
    return (
        f" Caution: {who} {does} up to {exchange.trips:.3g} times an hour, {times:.3g} times in a step, which "
        f"{runner.stepper.name} does not resolve: what they have in common moves too slowly, and no error estimate "
        f"shows it. Take `stepper=tme.NewtonKrylov()`, or steps of at most {0.5 / exchange.pace:.2g} h "
        "(`StepControl(longest=…)`), or put them into equilibrium."
    )


def caution(
    runner: Runner,
    drifting: frozenset[str],
    state: State,
    clock: tuple[Any, Any, Any],
    volumes: np.ndarray,
    contents: dict[str, Any],
) -> str:
    """A sentence for a field that its own drift has drawn together into one cell: the equations have no such solution,
    the grid has made one of a blow-up. Empty where there is none. ``drifting``: species that have one; ``contents``:
    Σ V·u of each field."""
    grid = runner.scenario.model.grid
    if not drifting or grid.ndim < 2 or int(np.prod(grid.shape)) < _CELLS:
        return ""
    largest = float(np.max(volumes))
    for name in sorted(drifting & contents.keys()):
        most = largest * float(np.max(np.asarray(state[name])))
        if most < _SHARE * float(contents[name]):  # no cell can hold that much
            continue
        content = volumes * np.asarray(state[name], np.float64)
        share = float(np.max(content)) / max(float(np.sum(content)), 1e-300)
        if share < _SHARE:
            continue
        base, local, dt = (np.asarray(x, runner.dtype) for x in clock)
        arrays, frame = parted(runner)
        with jax.default_matmul_precision("highest"):
            one = jax.device_get(examine(arrays, frame, state, base, local, dt)[0])[name]
        if float(one.peclet) > _PECLET:
            where = _place(grid, runner.scenario.system.species[name], int(np.argmax(content)))
            return (
                f" Caution: {share:.0%} of `{name}` is in one cell, {where}, with a cell Péclet number of "
                f"{float(one.peclet):.3g} about it: {_COLLAPSE}"
            )
    return ""


_HEADS = {
    Status.step_limit: "The number of steps allowed between two saves was used up.",
    Status.step_too_small: "The error could not be brought below the tolerance with the shortest step allowed.",
    Status.not_finite: "A field would have become infinite or NaN; the last finite state is kept.",
    Status.unstable: "The fixed step is too large for the drift.",
    Status.solver: "A linear, nonlinear or quasi-steady solve did not converge with the shortest step allowed.",
}


def _groups(runner: Runner) -> Any:
    scenario = runner.scenario
    for label, group in (("model.processes", scenario.model.processes), ("interventions", scenario.interventions)):
        for name, module in group.items():
            yield out_of_bounds(module, f"{label}.{name}")


def _place(grid: Any, species: Any, index: int) -> str:
    if species.kind == "compartment":
        return "(a compartment)"
    cell = np.unravel_index(index, grid.shape)
    at = [f"{axis} = {float(np.asarray(grid.centers(k))[cell[k]]):.4g} µm" for k, axis in enumerate(grid.axes)]
    return f"in cell ({', '.join(str(int(i)) for i in cell)}), {', '.join(at)}"


def _strange(one: Finding) -> bool:
    return any(one.odd.values()) or not (np.isfinite(one.tendency) and np.isfinite(one.value))


def _culprit(runner: Runner, status: Status, found: dict[str, Finding]) -> str:
    """Whose rates are not finite; else of a solve the worst balance; else the fastest change."""
    for name in sorted(found):
        if any(found[name].odd.values()):
            return name
    names = sorted(found)
    for name in names:
        if _strange(found[name]):
            return name
    if status == Status.unstable:
        return max(names, key=lambda n: float(found[n].courant))
    steady = [n for n in names if runner.scenario.system.species[n].kind == "quasi_steady"]
    if status == Status.solver and steady:
        names = steady
    return max(names, key=lambda n: float(found[n].change))


def _capped(runner: Runner, found: dict[str, Finding]) -> tuple[str, float]:
    """The species whose drift limits the step most, and to how much; infinity where none does."""
    name = max(sorted(found), key=lambda n: float(found[n].held))
    rate = float(found[name].held)
    if not rate > 0 or not runner.control.adaptive or runner.stepper.implicit_drift:
        return name, float("inf")
    return name, float(runner.control.courant) / rate


def _stiff(runner: Runner) -> str:
    """What helps where more is stiff than diffusion and constant losses, unless it is what was taken."""
    if isinstance(runner.stepper, NewtonKrylov):
        return ""
    return (
        " If it exchanges fast with another field, or its loss rate grows with itself, take "
        "`stepper=tme.NewtonKrylov()`."
    )


def _cause(runner: Runner, status: Status, name: str, one: Finding, initial: float) -> str:
    """The likely cause and the remedy."""
    species = runner.scenario.system.species[name]
    peaked = float(one.largest) > _PEAKED * float(one.mean) > 0
    grown = float(one.largest) > _GROWN * max(initial, 1e-30) and initial > 0
    moving = bool(np.any(one.courant > 0))
    odd = [text for key, text in _PARTS.items() if one.odd.get(key, False)]
    if odd and not grown:
        return (
            f"Likely cause: {' and '.join(odd)} is not finite there, as of a rate law that divides by zero or takes a "
            "root or logarithm of nothing. Guard that rate law."
        )
    if moving and (peaked or grown) and status != Status.unstable:
        return f"Likely cause: {_COLLAPSE}"
    if status == Status.unstable:
        return "Choose `dt` for a Courant number below 0.5, leave it out for adaptive steps, or take NewtonKrylov()."
    if not runner.control.adaptive and status != Status.step_limit:
        return "Likely cause: the fixed `dt` is too large. Choose a smaller one, or adaptive steps."
    if grown:
        return "Likely cause: it grows without bound, faster than it is lost. Look for production without loss."
    if status == Status.solver and species.kind == "quasi_steady" and not float(one.lost) > 0:
        return "Likely cause: it has no balance. Check that it has a loss or an open side."
    if status in (Status.solver, Status.not_finite) and species.kind == "quasi_steady":
        return (
            "Likely cause: more of it is made than can be lost, so that it has no balance, or its equations are too "
            "uneven for the solver. Compare its source with its largest loss; try solver='multigrid', or "
            "kind='transported'."
        )
    if status == Status.solver:
        return "Likely cause: a coupling too stiff for this stepper. Try another stepper, solver or a finer grid."
    if not species.signed and float(one.value) <= _GONE * float(one.mean) and float(one.tendency) < 0:
        return (
            "Likely cause: it is taken away where nothing of it is left, by a negative source or an outward "
            "PrescribedFlux. Write what is taken as a loss rate, or as a Robin side, which fall with what is there."
        )
    if status == Status.step_limit:
        return f"It changes fastest. Raise `max_steps`, save more often, or loosen `rtol`.{_stiff(runner)}"
    if status == Status.not_finite and runner.dtype == np.float32 and 0 < float(one.largest) < _FAINT:
        return f"Likely cause: {_UNDERFLOW}"
    if status == Status.not_finite and runner.dtype == np.float32 and float(one.largest) > _HUGE:
        return f"Likely cause: {_OVERFLOW}"
    if moving and float(one.peclet) > _PECLET:
        return "Likely cause: the grid is too coarse for its drift (Péclet number above 2). Refine it there."
    return "It changes fastest. Look for a blow-up or a discontinuous rate law; loosen `rtol` or refine the grid."
