"""Implicit equations of all fields at once, (m − wJ) δ = r: their preconditioner, and Newton's method with GMRES.

    r(z) = w F(u₀ + z) − m z = 0 ,     J = ∂F/∂u exact, all couplings and the drift included

m is 1 for what moves in time and 0 for quasi-steady fields (which are part of the system), w a time. GMRES solves for
each correction, preconditioned from the left by what is cheap to invert,

    P⁻¹ = E⁻¹ ē (e − wC)⁻¹ ,     E = ē − w∇·D∇ ,   e = m + wλ ,   1/ē the diagonal of (e − wC)⁻¹

E⁻¹ an elliptic solve, C the reactions of all fields in a cell with each other, local fields by their whole Jacobian
and compartments among themselves; of the quasi-steady ones those by way of which others act on each other. ē is what is
left of e once a field has had back what the others return to it: P is exact for one field that spreads among others
that do not. Without C the residual of two fields that exchange fast says nothing about their sum: a run was wrong by
5 % with exchange 2e5 times faster than diffusion, and by 32 % where it went through a quasi-steady field at 1e5/h.
(e − wC)⁻¹ must come first: behind E⁻¹ it put the short waves back that E had taken out, at ten times the iterations
with chemotaxis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tmepde._types import State, binary_unit, freeze
from tmepde.elliptic import LinearControl, prepare
from tmepde.elliptic.solve import derivative_of
from tmepde.schedule import Clock
from tmepde.steppers.cellwise import cellwise_inverse, cellwise_product, pointwise_jacobian
from tmepde.steppers.krylov import Packing, gmres
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

#: reduction of the preconditioned residual in one GMRES solve (inexact Newton), and of a field in the preconditioner
_FORCING = 0.03
#: reduction where the whole correction is below what is allowed
_SHORT = 3e-3
_INNER = LinearControl(relative=1e-2, limit=20)
_NEWTON_LIMIT = 20
#: least of the loss of a quasi-steady field that others leave it, in the preconditioner
_LEAST = 1e-6
_BASIS = 40

Residual = Callable[[State], State]


class BlockInverse:
    """v ↦ (m − wA)⁻¹ v, set up at ``state``; linear and transposable, to the tolerance of ``control``.

    ``problem`` must be ``all_dynamic``. A quasi-steady field is linearised by its own slope −∂(s − λq)/∂q where that is
    positive.
    """

    def __init__(
        self,
        problem: SemiDiscrete,
        here: Evaluation,
        clock: Clock,
        state: State,
        weight: Any,
        mass: dict[str, float],
        between: tuple[str, ...] = (),
    ):
        self.problem, self.names = problem, problem.transported
        self.local, self.compartments = problem.system.of_kind("local"), problem.system.of_kind("compartment")
        rate = {n: here.rates.rate(n) for n in problem.dynamic}
        steady = tuple(n for n in problem.dynamic if mass[n] == 0.0)
        if steady:
            slopes = pointwise_jacobian(problem, steady, clock, state)
            for i, name in enumerate(steady):
                rate[name] = jnp.where(slopes[i, i] < 0, -slopes[i, i], rate[name])
        self.inverses, self.jacobians = {}, {}
        for names in (self.local, self.compartments):
            if names:
                self.jacobians[names] = freeze(pointwise_jacobian(problem, names, clock, state))
                self.inverses[names] = cellwise_inverse(self.jacobians[names], weight)
        own = {n: freeze(mass[n] + weight * rate[n]) for n in self.names}
        self.mixed = tuple(n for n in self.names if n not in steady or n in between)
        if self.mixed:
            own |= self._mix(clock, state, weight, own, tuple(n for n in self.mixed if n in steady))
        if self.names:
            assert here.laplacian is not None
            self.operator = freeze(problem.shifted(here.laplacian, jnp.stack([own[n] for n in self.names]), weight))
            self.solve = prepare(self.operator, problem.solver)

    def _mix(self, clock: Clock, state: State, weight: Any, own: State, steady: tuple[str, ...]) -> State:
        """(e − wC)⁻¹ of ``mixed`` and local fields in every cell, and what the former do to the latter; returns ē."""
        names, count = self.mixed + self.local, len(self.mixed)
        change = weight * pointwise_jacobian(self.problem, names, clock, state)
        self.onto_local = freeze(change[count:, :count])
        for i, name in enumerate(self.mixed):
            there = own[name] > 0
            diagonal = jnp.where(there, own[name], 1.0)
            if name in steady:  # a row without a time derivative; where nothing is lost it has no say
                change = change.at[i, :].multiply(there).at[:, i].multiply(there)
            else:
                exact = 1.0 - change[i, i]  # less than `own` where a field is made of itself as fast as it is lost
                diagonal = jnp.where(exact > 0.5, jnp.minimum(exact, diagonal), diagonal)
            change = change.at[i, i].set(1.0 - diagonal)
        self.mixing = freeze(cellwise_inverse(change, 1.0))
        self.own = {}
        for i, name in enumerate(self.mixed):
            alone = 1.0 / jnp.where(self.mixing[i, i] > 0, self.mixing[i, i], 1.0)
            least = _LEAST * own[name] if name in steady else jnp.minimum(1.0, own[name])
            left = jnp.clip(alone, least, own[name])
            self.own[name] = freeze(jnp.where((self.mixing[i, i] > 0) & (own[name] > 0), left, own[name]))
        return self.own

    def pointwise(self, v: State) -> tuple[State, State]:
        """δ = (1 − wJ)⁻¹ v of local fields and compartments, and Jδ."""
        out, change = {}, {}
        for names, inverse in self.inverses.items():
            solved = cellwise_product(inverse, jnp.stack([v[n] for n in names]))
            moved = cellwise_product(self.jacobians[names], solved)
            out.update({n: solved[i] for i, n in enumerate(names)})
            change.update({n: moved[i] for i, n in enumerate(names)})
        return out, change

    def __call__(self, v: State, control: LinearControl = _INNER) -> tuple[State, Any]:
        """The solution, and the iterations of the elliptic solve."""
        iterations = jnp.asarray(0)
        moved: State = {}
        if self.names:
            mixed = dict(v)
            if self.mixed:
                solved = cellwise_product(self.mixing, jnp.stack([v[n] for n in self.mixed + self.local]))
                mixed.update({n: self.own[n] * solved[i] for i, n in enumerate(self.mixed)})
            b = jnp.stack([mixed[n] for n in self.names]) * self.problem.volumes(v[self.names[0]].dtype)

            def solve(_: Any, rhs: Any) -> tuple[Any, Any]:
                found = self.solve(rhs, control=control)
                return found.value, found.iterations

            value, iterations = jax.lax.custom_linear_solve(self.operator, b, solve, symmetric=True, has_aux=True)
            moved = {n: value[i] for i, n in enumerate(self.names)}
        if self.mixed and self.local:
            driven = cellwise_product(self.onto_local, jnp.stack([moved[n] for n in self.mixed]))
            v = {**v, **{n: v[n] + driven[i] for i, n in enumerate(self.local)}}
        still, _ = self.pointwise(v)
        return {**moved, **still}, iterations


class Solved(NamedTuple):
    """``value`` z with r(z) = 0, whether Newton ``converged``, and the elliptic ``iterations`` of it all."""

    value: State
    converged: Any
    iterations: Any


def newton(
    problem: SemiDiscrete,
    residual: Residual,
    precondition: BlockInverse,
    scale: State,
    start: State,
    allowed: Any,
    limited: Callable[[State, State], State],
) -> Solved:
    """Solve r(z) = 0 from ``start``; corrections that do not shrink are halved (limiters have kinks).

    Args:
        scale: acceptable error per field; the error of z is estimated in its units.
        allowed: weighted error of z at which to stop, from the contraction θ of the corrections: ‖δ‖ θ/(1 − θ).
        limited: (z, δ) ↦ z + δ, kept admissible.
    """
    names = tuple(sorted(start))

    def improve(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        z, before, _, _, count, iterations, damping = carry
        r, linear = jax.linearize(residual, z)
        p, spent = precondition(r)
        packing = Packing(names, z, weights(problem, {n: _awake(problem, scale[n], z[n] + p[n], allowed) for n in z}))
        b = packing.flat(p)

        def matvec(v: Any) -> tuple[Any, Any]:
            image, cost = precondition(linear(packing.state(v)))
            return -packing.flat(image), cost

        size = jnp.linalg.norm(b)
        # a correction that is small as a whole is still solved for, or many short steps would stand still
        tiny = (count == 0) & (size <= allowed)
        target = jnp.where(tiny, _SHORT * size, jnp.maximum(_FORCING * size, 0.1 * allowed))
        found = gmres(matvec, b, target, _BASIS, restart=_BASIS)
        size = jnp.linalg.norm(found.value)
        theta = jnp.where(count > 0, size / jnp.where(before > 0, before, 1.0), 1.0)
        left = jnp.where(theta < 1.0, size * theta / jnp.where(theta < 1.0, 1.0 - theta, 1.0), jnp.inf)
        damping = jnp.where((count > 0) & (theta > 0.9), 0.5 * damping, jnp.minimum(1.0, 2.0 * damping))
        done = ((size <= allowed) | (left <= allowed)) & (damping == 1.0)
        lost = ~jnp.isfinite(size) | (damping < 0.05)
        moved = limited(z, packing.state(damping * found.value))
        return moved, size, done, lost, count + 1, iterations + spent + found.cost, damping

    def unfinished(carry: tuple[Any, ...]) -> Any:
        _, _, done, lost, count, _, _ = carry
        return ~done & ~lost & (count < _NEWTON_LIMIT)

    no = jnp.asarray(False)
    dtype = jnp.result_type(*start.values())
    first = (start, jnp.zeros((), dtype), no, no, jnp.asarray(0), jnp.asarray(0), jnp.ones((), dtype))
    z, _, done, _, _, iterations, _ = jax.lax.while_loop(unfinished, improve, first)
    return Solved(z, done, iterations)


def implicit_derivative(
    problem: SemiDiscrete, live: Residual, residual: Residual, precondition: BlockInverse, scale: State, z: State
) -> State:
    """``z`` with the derivatives that r(z) = 0 gives it: dz = (m − wJ)⁻¹ dr, forwards or backwards.

    Args:
        live: the residual with derivatives; ``residual``: the same with everything frozen.
    """
    names = tuple(sorted(z))
    packing = Packing(names, z, weights(problem, {n: _awake(problem, scale[n], z[n], 1.0) for n in z}))
    eps = float(jnp.finfo(jnp.result_type(*z.values())).eps)
    tight = LinearControl(relative=30 * eps, limit=200)
    _, linear = jax.linearize(residual, z)

    def forward(v: Any) -> Any:
        return -packing.flat(linear(packing.state(v)))

    def inverse(v: Any) -> Any:
        return packing.flat(precondition(packing.state(v), tight)[0])

    def solve(matvec: Any, b: Any) -> Any:
        start = inverse(b)
        return _tight(lambda v: inverse(matvec(v)), start, eps)

    def transposed(vecmat: Any, b: Any) -> Any:
        back = jax.linear_transpose(inverse, b)
        return _tight(lambda v: back(vecmat(v))[0], back(b)[0], eps)

    r = live(z)
    rest = packing.flat({n: r[n] - freeze(r[n]) for n in names})
    change = packing.state(derivative_of(jax.lax.custom_linear_solve(forward, rest, solve, transposed)))
    return {n: z[n] + change[n] for n in names}


def _tight(matvec: Callable[[Any], Any], b: Any, eps: float) -> Any:
    size = 100 * eps * jnp.linalg.norm(b)
    return gmres(lambda v: (matvec(v), jnp.asarray(0)), b, size, 6 * _BASIS, restart=_BASIS).value


def weights(problem: SemiDiscrete, scale: State) -> State:
    """√(share of the volume)/scale: the plain norm of what is packed with it is √Σ_k mean((u_k/scale_k)²)."""
    out = {}
    for name, s in scale.items():
        share = jnp.ones((), s.dtype)
        if problem.system.species[name].kind != "compartment":
            volumes = problem.volumes(s.dtype)
            share = jnp.sqrt(volumes / jnp.sum(volumes))
        out[name] = freeze(jnp.where(s > 0, share / jnp.where(s > 0, s, 1.0), 0.0))
    return out


def _awake(problem: SemiDiscrete, scale: Any, values: Any, allowed: Any) -> Any:
    """The scale; of a field that was expected to stay zero and does not, a thousandth of its root mean square."""
    unit = binary_unit(values)
    size = unit * jnp.sqrt(problem.total((values / unit) ** 2) / problem.total(jnp.ones_like(values)))
    return jnp.where(jnp.any(scale > 0), scale, jnp.broadcast_to(1e-3 * size, jnp.shape(scale)))
