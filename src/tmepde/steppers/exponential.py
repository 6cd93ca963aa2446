"""Exponential Runge–Kutta of second order (Cox & Matthews 2002, J. Comput. Phys. 176:430) for uniform diffusivities.

With L = D∇² − λ̄ of each field (λ̄ the mean loss rate; open sides included) and F = Lu + N(u, t)

    a = u_n + Δt φ₁(ΔtL) F(u_n)
    u_{n+1} = a + Δt φ₂(ΔtL) (F(a) − e^{ΔtL} F(u_n)) ,      error estimate u_{n+1} − a
    φ₁(z) = (e^z − 1)/z ,   φ₂(z) = (φ₁(z) − 1)/z

Linear equations with constant coefficients are solved exactly in time whatever Δt: one step to each save. What L leaves
out, N, is explicit: a loss rate far from its mean, coupling, or drift limits the step, and Rosenbrock2 is then better.

Since L Δt φ₁(ΔtL) = e^{ΔtL} − 1, the last bracket is N(a) − N(u_n). Where all sides are closed and D stays what it is,
N are the rates and the drift alone: it is taken so, without another stencil, and two transforms out of four are left
out where it is next to nothing, as it is in a linear equation.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import State, materialised
from tmepde.boundary import NoFlux, PrescribedFlux
from tmepde.elliptic import FastDiagonal, SeparableOperator
from tmepde.elliptic.fast_diagonal import LARGE
from tmepde.schedule import Clock
from tmepde.steppers.account import (
    Stepper,
    StepResult,
    budget_of,
    expected,
    hazards,
    positive,
    scales,
    weighted_error,
)
from tmepde.steppers.control import StepControl
from tmepde.steppers.dependence import depends
from tmepde.steppers.quasi_steady import relax_quasi_steady
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

#: below this |z| the φ functions are summed as series
_SMALL = 0.1
#: corrections below this share of the step tolerance are not carried out
_VOID = 1e-3


def phi1(z: Any) -> Any:
    """(e^z − 1)/z."""
    small = jnp.abs(z) < _SMALL
    safe = jnp.where(small, 1.0, z)
    series = _series(jnp.where(small, z, 0.0), 1)
    return jnp.where(small, series, jnp.expm1(safe) / safe)


def phi2(z: Any) -> Any:
    """(φ₁(z) − 1)/z."""
    return _phi2_and_exp(z)[0]


def _phi2_and_exp(z: Any) -> tuple[Any, Any]:
    """φ₂(z) and e^z from one exponential."""
    small = jnp.abs(z) < _SMALL
    safe = jnp.where(small, 1.0, z)
    less_one = jnp.expm1(z)
    series = _series(jnp.where(small, z, 0.0), 2)
    return jnp.where(small, series, (less_one / safe - 1.0) / safe), less_one + 1.0


def phi3(z: Any) -> Any:
    """(φ₂(z) − ½)/z."""
    small = jnp.abs(z) < _SMALL
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, _series(jnp.where(small, z, 0.0), 3), (phi2(safe) - 0.5) / safe)


def _series(z: Any, first: int) -> Any:
    """Σ_k z^k/(k + first)! to k = 8, by Horner's rule."""
    factorial = 1.0
    for i in range(2, 9 + first):
        factorial *= i
    total = jnp.full_like(z, 1.0 / factorial)
    for k in range(8 + first, first, -1):
        factorial /= k
        total = total * z + 1.0 / factorial
    return total


def _closed(problem: SemiDiscrete, name: str) -> bool:
    return all(isinstance(s, NoFlux | PrescribedFlux) for pair in problem.system.boundary()[name] for s in pair)


def _plain(problem: SemiDiscrete, clock: Clock, state: State) -> bool:
    """Whether all sides are closed and no diffusivity follows the state or the time."""
    names = problem.transported

    def diffusivities(at: tuple[Any, State]) -> Any:
        now = Clock(clock.base, at[0], clock.start, clock.step)
        found = problem.system.coefficients(now, at[1]).diffusivity
        return [jnp.asarray(d) for n in names for d in jax.tree.leaves(found[n])]

    return all(_closed(problem, n) for n in names) and not depends(diffusivities, (clock.local, state))


class _Group:
    """Transported fields that are taken to the space of modes together, with L of each there."""

    def __init__(self, names: tuple[str, ...], laplacian: SeparableOperator, volumes: Any, rate: Any, dt: Any):
        self.names, self.volumes, self.dt = names, volumes, dt
        self.basis = FastDiagonal(laplacian.shifted(volumes * rate, 1.0))
        self.z = -dt * (self.basis.mean + self.basis.decay)

    def modes(self, tendency: State) -> Any:
        return self.basis.forward(self.volumes * jnp.stack([tendency[n] for n in self.names]))

    def field(self, modes: Any) -> State:
        values = self.basis.backward(modes)
        return {n: values[i] for i, n in enumerate(self.names)}

    def remainder(self, change: State, values: State, rtol: Any) -> State:
        """φ₂(ΔtL) of a ``change`` of the tendency, or 0 where that would change no field by more than 1e-3 of the step
        tolerance (φ₂ is largest where nothing diffuses)."""
        axes = tuple(range(1, self.z.ndim))
        most = phi2(-self.dt * self.basis.mean).reshape(-1)
        stacked, added = (jnp.stack([found[n] for n in self.names]) for found in (values, change))
        sizes = [jnp.sum(self.volumes * x**2, axis=axes) for x in (stacked, added)]
        small = (self.dt * most) ** 2 * sizes[1] <= (_VOID * rtol) ** 2 * sizes[0]
        void = jnp.all(small & jnp.isfinite(sizes[0]))
        zero = {n: jnp.zeros_like(values[n]) for n in self.names}
        return jax.lax.cond(void, lambda _: zero, lambda c: self.field(phi2(self.z) * self.modes(c)), change)

    def left_out(self, evaluation: Evaluation, values: State) -> State:
        """N at ``values``, from an ``evaluation`` there, up to what is the same at every stage."""
        found = {}
        for i, n in enumerate(self.names):
            rates = evaluation.rates
            found[n] = rates.gain(n) + (self.basis.mean[i] - rates.rate(n)) * values[n] + evaluation.drift.get(n, 0.0)
        return found

    def correction(self, modes: Any, values: State, rtol: Any) -> State:
        """The field of ``modes``, or 0 where it would change no field by more than 1e-3 of the step tolerance: in a
        linear equation it is round-off, and a quarter of the work (the norm is known from the modes)."""
        axes = tuple(range(1, modes.ndim))
        stacked = jnp.stack([values[n] for n in self.names])
        size = jnp.sum(self.volumes * stacked**2, axis=axes)
        change = self.dt**2 * jnp.sum(modes**2, axis=axes)
        void = jnp.all((change <= (_VOID * rtol) ** 2 * size) & jnp.isfinite(size))
        zero = {n: jnp.zeros_like(values[n]) for n in self.names}
        return jax.lax.cond(void, lambda _: zero, self.field, modes)

    def weights(self, closed: bool) -> tuple[State, State]:
        """See :meth:`_Propagator.weights`."""
        z = -self.dt * self.basis.mean if closed else self.z
        one, two = _weights(z)
        if closed:
            return tuple({n: w[i] for i, n in enumerate(self.names)} for w in (one, two))  # type: ignore[return-value]
        unit = self.basis.forward(jnp.broadcast_to(self.volumes, z.shape))
        return self.field(one * unit), self.field(two * unit)


def _weights(z: Any) -> tuple[Any, Any]:
    """φ₂ − φ₃eᶻ and φ₃."""
    three = phi3(z)
    return phi2(z) - three * jnp.exp(z), three


class _Propagator:
    """The functions of ΔtL, for transported fields in the space of modes and for the others cell by cell.

    Large fields are taken there one by one: stacked, they would be written a few times more, to memory that is new in
    every call (ten fields of 100³ on two cores: 366 MB of it and 0.22 to 0.25 s a step, against 265 MB and 0.21 s).
    """

    def __init__(self, problem: SemiDiscrete, first: Evaluation, dt: Any):
        self.pointwise = problem.pointwise
        self.z = {n: -dt * first.rates.rate(n) for n in self.pointwise}
        self.groups: list[_Group] = []
        names = problem.transported
        if not names:
            return
        if not isinstance(first.laplacian, SeparableOperator):
            raise ValueError(
                "`Exponential2` needs one diffusivity per field, the same everywhere, and a grid without mask, but a "
                "diffusivity varies in space or cells are masked. Use Rosenbrock2()."
            )
        rates = [first.rates.rate(n) for n in names]
        volumes = problem.volumes(rates[0].dtype)
        together = rates[0].size < LARGE
        for chosen in [tuple(range(len(names)))] if together else [(i,) for i in range(len(names))]:
            rate = jnp.stack([rates[i] for i in chosen])
            part = first.laplacian if together else first.laplacian.subset(chosen)
            self.groups.append(_Group(tuple(names[i] for i in chosen), part, volumes, rate, dt))

    def weights(self, problem: SemiDiscrete) -> tuple[State, State]:
        """What a tendency of stage 1 and of stage 2 in a cell adds, times Δt², to ∫u dt, or to that of the total:
        fields, or numbers where all sides are closed (the constant is then a mode of its own)."""
        first, second = ({n: _weights(z)[i] for n, z in self.z.items()} for i in (0, 1))
        for group in self.groups:
            one, two = group.weights(all(_closed(problem, n) for n in group.names))
            first, second = first | one, second | two
        return first, second

    def mean(self, name: str) -> Any:
        """λ̄ of a transported field."""
        return next(g.basis.mean[g.names.index(name)].reshape(()) for g in self.groups if name in g.names)


class Exponential2(Stepper):
    """Second-order exponential stepper for fields whose diffusivity is the same everywhere (no mask)."""

    @property
    def increments(self) -> bool:
        return True

    @property
    def separate(self) -> bool:
        return True

    def first(self, control: StepControl) -> Any:
        """As far as the next save: where N vanishes that is exact, elsewhere the estimate refuses it."""
        return control.longest

    def step(
        self,
        problem: SemiDiscrete,
        control: StepControl,
        clock: Clock,
        state: State,
        differentiable: bool = False,
    ) -> StepResult:
        """Advance ``state`` by ``clock.step``; quasi-steady fields are relaxed at the second stage.

        Raises:
            ValueError: while tracing, for diffusivities that vary in space, or a mask.
        """
        dt = clock.step
        first = materialised(problem.evaluate(clock, state))
        tools = _Propagator(problem, first, dt)
        begun = [group.modes(first.tendency) for group in tools.groups]
        k1 = {n: phi1(z) * first.tendency[n] for n, z in tools.z.items()}
        for group, modes in zip(tools.groups, begun, strict=True):
            k1 |= group.field(phi1(group.z) * modes)
        middle = {n: state[n] + dt * k1[n] for n in k1}
        later = Clock(clock.base, clock.local + dt, clock.start, clock.step)
        tolerance = control.algebraic * control.rtol
        relaxed, steady, count = relax_quasi_steady(
            problem, later, problem.positive({**state, **middle}), tolerance, differentiable
        )
        plain = _plain(problem, clock, state)
        second = materialised(problem.evaluate(later, {**relaxed, **middle}, diffusing=not plain))
        k2 = {n: phi2(z) * (second.tendency[n] - jnp.exp(z) * first.tendency[n]) for n, z in tools.z.items()}
        for group, modes in zip(tools.groups, begun, strict=True):
            if plain:
                before, after = group.left_out(first, state), group.left_out(second, middle)
                k2 |= group.remainder({n: after[n] - before[n] for n in group.names}, middle, control.rtol)
                continue
            weight, decayed = _phi2_and_exp(group.z)
            correction = weight * (group.modes(second.tendency) - decayed * modes)
            k2 |= group.correction(correction, middle, control.rtol)
        estimate = {n: dt * k2[n] for n in k2}
        new = {n: middle[n] + estimate[n] for n in k2}
        change = {n: dt * k1[n] + estimate[n] for n in k1}
        budget = budget_of(_amounts(problem, dt, tools, (first, second), (state, middle), change))
        coming = jnp.maximum(expected(problem, first), expected(problem, second))
        scale = scales(problem, control, state, new, coming)
        error = weighted_error(problem, new, estimate, scale, jnp.asarray(dt).dtype)
        new, budget = positive(problem, new, budget)
        new, budget = hazards(problem, clock, state, new, budget)
        kept = {n: relaxed[n] for n in problem.quasi_steady}
        return StepResult({**state, **kept, **new}, error, budget, steady, count, second.courant, change=change)


def _amounts(
    problem: SemiDiscrete,
    dt: Any,
    tools: _Propagator,
    stages: tuple[Evaluation, Evaluation],
    values: tuple[State, State],
    change: State,
) -> Any:
    """Produced, lost and let in per species, integrals over the step of what the scheme takes u and N for:

        ∫u dt = Δt u_n + Δt² (φ₂ F(u_n) + φ₃ (F(a) − e^{ΔtL} F(u_n))) ,      ∫N dt = ½ Δt (N(u_n) + N(a))

    Since L∫u dt + ∫N dt = u_{n+1} − u_n, budgets close; what comes through open sides is what is left.
    """
    weights, half = tools.weights(problem), 0.5 * dt
    here, rates = values[0], stages[0].rates
    out = []
    for name in problem.dynamic:
        sources = [problem.total(stage.rates.source[name]) for stage in stages]
        produced, inflow = half * sum(sources), jnp.zeros((), jnp.asarray(dt).dtype)
        slopes = [stage.tendency[name] for stage in stages]
        if name in tools.z:
            rate = rates.rate(name)
            integral = dt * here[name] + dt**2 * sum(w[name] * k for w, k in zip(weights, slopes, strict=True))
            beyond = (stages[1].rates.loss[name] - rate) * values[1][name]
            lost = problem.total(rate * integral + half * beyond)
        else:
            losses = [problem.total(s.rates.loss[name] * u[name]) for s, u in zip(stages, values, strict=True)]
            amounts = [problem.total(u[name]) for u in values]
            drifts = [problem.total(s.drift[name]) if name in s.drift else 0.0 for s in stages]
            closed = _closed(problem, name)
            # in a closed box what diffuses sums to nothing, and λ̄ must be that of the scheme
            mean = (
                tools.mean(name)
                if closed
                else problem.total(rates.loss[name]) / problem.total(jnp.ones_like(change[name]))
            )
            if jnp.size(weights[0][name]) == 1:
                known = [s.rates.side_source for s in stages]
                sides = [problem.total(found[name]) if name in found else 0.0 for found in known]
                terms = [sum(of) for of in zip(sources, sides, drifts, strict=True)]
                gained = [w[name] * (t - lost) for w, t, lost in zip(weights, terms, losses, strict=True)]
            else:
                gained = [problem.total(w[name] * k) for w, k in zip(weights, slopes, strict=True)]
            integral = dt * amounts[0] + dt**2 * sum(gained)
            lost = mean * integral + half * sum(part - mean * u for part, u in zip(losses, amounts, strict=True))
            inside = closed and name not in rates.side_source
            inflow = half * sum(drifts) if inside else problem.total(change[name]) - produced + lost
        out.append(jnp.stack([jnp.reshape(x, ()) for x in (produced, lost, inflow)]))
    return jnp.stack(out)
