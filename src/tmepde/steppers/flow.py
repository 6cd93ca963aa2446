"""Fields that a flow carries, implicitly: the linear system of a stage with the drift in it.

    (E − γΔt J) k = r ,     E = 1 + γΔt λ − γΔt ∇·D∇ ,     J k = d/du[−∇·(w u)] k

J is the derivative of the limited fluxes themselves: with first-order upwind fluxes in their place a step of ROS2 far
beyond the Courant limit multiplies short waves by up to 2.4, since L-stability holds for the exact matrix alone. The
fluxes are conservative and so is J: what it moves sums to what passes open sides. GMRES is preconditioned from the left
by the symmetric part of E − γΔt J with upwind fluxes, that is E with |w|Δ/2 added to D at each face, so that its
residual estimates the error of k and is judged as those of the other fields are. The count of iterations grows with the
Courant number C as √C, not as C.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.elliptic import EllipticOperator, preconditioner
from tmepde.elliptic.solve import Operator, derivative_of
from tmepde.operators import face_areas, open_parts
from tmepde.schedule import Clock
from tmepde.steppers.krylov import gmres
from tmepde.steppers.semidiscrete import SemiDiscrete

#: vectors kept by GMRES, and most products in a solve
_BASIS, _LIMIT = 24, 96
#: least reduction of the preconditioned residual: slopes below the tolerance add up over many steps
_REDUCTION = 1e-2

Linear = Callable[[Any], Any]


def carried_names(problem: SemiDiscrete, coefficients: Any) -> tuple[str, ...]:
    """The transported fields that have a flow."""
    return tuple(n for n in problem.transported if n in coefficients.flow)


def flow_jacobian(problem: SemiDiscrete, coefficients: Any, clock: Clock, state: State) -> Linear:
    """J of the carried fields, ``(S, *cells)`` to the same, per volume; velocity and clock held fast."""
    names = carried_names(problem, coefficients)

    def swept(u: Any) -> Any:
        given = {**state, **dict(zip(names, u, strict=True))}
        fields = [problem.carried(n, coefficients.flow[n], coefficients, clock, given) for n in names]
        return jnp.stack([problem.inside(f) for f in fields])

    return jax.linearize(swept, jnp.stack([state[n] for n in names]))[1]


class FlowSolver:
    """Set up once per step for the carried fields; called once per stage.

    Args:
        coefficients, clock, state: where J is taken.
        operator: V·E of these fields.
        weight: γΔt.
        differentiable: J also carries the derivatives of what it is made of.
    """

    def __init__(
        self,
        problem: SemiDiscrete,
        coefficients: Any,
        clock: Clock,
        state: State,
        operator: Operator,
        weight: Any,
        differentiable: bool,
    ):
        self.names = carried_names(problem, coefficients)
        self.volumes, self.weight, self.operator = problem.volumes(operator.diagonal.dtype), weight, operator
        self.jacobian = flow_jacobian(freeze(problem), freeze(coefficients), clock, freeze(state))
        self.live = flow_jacobian(problem, coefficients, clock, state) if differentiable else self.jacobian
        full = operator if isinstance(operator, EllipticOperator) else operator.expanded()
        flows = [freeze(coefficients.flow[n]) for n in self.names]
        self.precondition = preconditioner(freeze(_upwinded(problem, full, flows)), problem.solver)
        self.axes = tuple(range(1, operator.ndim + 1))

    def apply(self, k: Any) -> Any:
        """V·(E − γΔt J) k."""
        return freeze(self.operator)(k) - freeze(self.weight) * self.volumes * self.jacobian(k)

    def inflow(self, k: Any) -> State:
        """γΔt J k by name: what the linearised flow brings into each cell."""
        moved = self.weight * self.live(k)
        return {n: moved[i] for i, n in enumerate(self.names)}

    def solve(self, b: Any, guess: Any, error_weight: Any, tolerance: Any, relative: Any) -> tuple[Any, Any, Any]:
        """k for the right-hand side ``b`` (times V), whether it converged, and the products that took.

        Args:
            error_weight: 1/scale of an error of k, ``(S, *cells)``.
            tolerance: weighted error that suffices.
            relative: reduction that always suffices, ``(S, 1, …)``.
        """
        start = jnp.zeros_like(b) if guess is None else guess
        found, converged, count = self._krylov(self.apply, b - self.apply(start), error_weight, tolerance, relative)
        value = start + found
        size = jnp.abs(value)  # every cell changes by the same fraction: where there is nothing nothing is added
        lack, content = (jnp.sum(x, axis=self.axes, keepdims=True) for x in (b - self.apply(value), self.apply(size)))
        some = content > 0
        return value + size * jnp.where(some, lack / jnp.where(some, content, 1.0), 0.0), converged, count

    def _krylov(self, apply: Linear, b: Any, weight: Any, tolerance: Any, relative: Any) -> tuple[Any, Any, Any]:
        first = self.precondition(b)
        weight = jnp.broadcast_to(jnp.asarray(weight, b.dtype), b.shape)
        size = jnp.sqrt(jnp.mean((first * weight) ** 2, axis=self.axes, keepdims=True))
        empty = size == 0
        wanted = jnp.clip(tolerance / jnp.where(empty, 1.0, size), relative, _REDUCTION)
        unit = jnp.where(empty, 0.0, weight / (jnp.where(empty, 1.0, size * wanted) * math.prod(b.shape[1:]) ** 0.5))
        back = jnp.where(empty, 0.0, 1.0 / jnp.where(empty, 1.0, unit))

        def product(v: Any) -> tuple[Any, Any]:
            return jnp.ravel(unit * self.precondition(apply(back * v.reshape(b.shape)))), jnp.asarray(0)

        found = gmres(product, jnp.ravel(unit * first), jnp.ones((), b.dtype), _LIMIT, restart=_BASIS)
        return back * found.value.reshape(b.shape), found.residual <= 1.0, found.count

    def with_derivatives(self, b: Any, value: Any, relative: Any) -> Any:
        """``value`` (already the solution) with its derivatives: dk = A⁻¹(db − dA k), one more solve either way."""
        value = freeze(value)
        rest = b - (self.operator(value) - self.weight * self.volumes * self.live(value))
        rest = rest - freeze(rest)
        least = jnp.maximum(30 * jnp.finfo(rest.dtype).eps, freeze(jnp.asarray(relative))).astype(rest.dtype)

        def solve(apply: Linear, rhs: Any) -> Any:
            rhs = jnp.where(self.volumes > 0, rhs, 0.0)  # what is pulled back reaches cells beyond a mask
            return self._krylov(apply, rhs, 1.0, 0.0, jnp.minimum(least, _REDUCTION))[0]

        return value + derivative_of(jax.lax.custom_linear_solve(self.apply, rest, solve, solve))


def _upwinded(problem: SemiDiscrete, op: EllipticOperator, flows: list[Any]) -> EllipticOperator:
    """``op`` with |w|/2 added to the conductances of inner faces."""
    grid, dtype = problem.grid, op.diagonal.dtype
    faces = []
    for k, phi in enumerate(op.faces):
        area = face_areas(grid, k, dtype) * open_parts(grid, k, dtype)
        faces.append(phi + jnp.stack([0.5 * jnp.abs(w[k]).astype(dtype) * area for w in flows]))
    return dataclasses.replace(op, faces=tuple(faces))
