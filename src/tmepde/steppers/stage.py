"""(I − γΔt A) k = r for all fields of a stage, with one A for all stages of a step.

A is block-triangular: compartments (dense among themselves), then local fields (loss rates, or the exact Jacobian of
their reactions in every cell, see :meth:`StageSolver.couple`), then transported fields (diffusion and loss rate, one
stacked elliptic solve; with the drift of a flow, where one carries them, and then apart), each row knowing the pull of
the rows above it. Among the transported fields the fast know the pull C of the slow (cells make cytokines), with the
slow ones' slope taken before diffusion, r/(1 + γΔt λ), so that one stacked solve suffices:

    (I − γΔt (D_f − λ_f)) k_f = r_f + γΔt C r_s/(1 + γΔt λ_s)

which is again one matrix for all stages. Without it a cytokine in balance with growing cells lags by 0.7 of its change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from tmepde._types import State, freeze
from tmepde.elliptic import LinearControl, prepare
from tmepde.elliptic.operator import rows
from tmepde.elliptic.solve import differentiable_solve
from tmepde.operators.apart import apart_if_large
from tmepde.schedule import Clock
from tmepde.steppers.control import StepControl
from tmepde.steppers.flow import FlowSolver, carried_names
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

#: a field is slow beside one that diffuses this many times faster: what the estimate above makes of its short waves is
#: then gone from the fast field
_FASTER = 100.0
#: weight of an error where none is acceptable
_NONE = 1e15


class Pull(NamedTuple):
    """Derivatives of the transported tendencies: ``outer`` along (pointwise fields, time), and of their reactions along
    the slow among them, ``inner``, with ``slow`` 1 or 0 for each; ``None`` where there is nothing to depend on."""

    outer: Callable[[State, Any], State] | None
    inner: Callable[[State], State] | None
    slow: State


def linearised(problem: SemiDiscrete, clock: Clock, state: State) -> tuple[Evaluation, Pull | None]:
    """The evaluation at ``state``, and how transported tendencies are pulled by what is solved for before them.

    How D follows pointwise fields (the matrix, say) is left out of the pull, which the order of W-methods allows:
    with 69 species on 64³ cells the linearisation then takes two thirds as long.
    """
    names = problem.transported
    here = problem.evaluate(clock, state)
    if not names:
        return here, None

    def transported(pointwise: State, local: Any) -> State:
        now = Clock(clock.base, local, clock.start, clock.step)
        there = problem.evaluate(now, {**state, **pointwise}, here.laplacian)
        return {n: there.tendency[n] for n in names}

    outer: Callable[[State, Any], State] | None = None
    if problem.pointwise or depends(lambda local: transported({}, local), clock.local):
        _, outer = jax.linearize(transported, {n: state[n] for n in problem.pointwise}, clock.local)
    if len(names) == 1:
        return here, None if outer is None else Pull(outer, None, {})

    def reacting(moving: State) -> State:
        rates = problem.reaction(names, clock, problem.positive({**state, **moving}))
        return {n: rates.gain(n) - rates.rate(n) * state[n] for n in names}

    _, inner = jax.linearize(reacting, {n: state[n] for n in names})
    return here, Pull(outer, inner, _slow(names, here, problem.grid.shape))


def depends(function: Callable[[Any], Any], value: Any) -> bool:
    """Whether the program of ``function`` uses its argument for what it returns (an operation with several results
    counts as a whole)."""
    program = jax.make_jaxpr(function)(value).jaxpr
    reached = set(program.invars)
    for equation in program.eqns:
        if any(x in reached for x in equation.invars if not isinstance(x, Literal)):
            reached.update(equation.outvars)
    return any(x in reached for x in program.outvars if not isinstance(x, Literal))


def _slow(names: tuple[str, ...], here: Evaluation, cells: tuple[int, ...]) -> State:
    """1 for each field beside one that diffuses :data:`_FASTER` times faster, else 0. The limit stands apart from what
    uses it: fused, every cell took the maximum of all fields again, which was a seventh of a step of 28 of them."""
    found = freeze({n: here.rates.coefficients.diffusivity[n] for n in names})
    largest = {n: jnp.max(jnp.stack([jnp.max(jnp.abs(d)) for d in jax.tree.leaves(found[n])])) for n in names}
    limit = apart_if_large(cells, lambda d: jnp.max(d) / _FASTER, jnp.stack(list(largest.values())))
    return {n: jnp.where(d < limit, 1.0, 0.0) for n, d in largest.items()}


def pointwise_jacobian(problem: SemiDiscrete, names: tuple[str, ...], clock: Clock, state: State) -> Any:
    """∂(s_i − λ_i u_i)/∂u_j of ``names``, cell by cell, shape ``(i, j, *cells)``; exact where rates are pointwise."""

    def reaction(values: Any) -> Any:
        placed = {**state, **{n: values[i] for i, n in enumerate(names)}}
        rates = problem.reaction(names, clock, problem.positive(placed))
        return jnp.stack([rates.gain(n) - rates.rate(n) * values[i] for i, n in enumerate(names)])

    here = jnp.stack([state[n] for n in names])

    def column(unit: Any) -> Any:
        direction = jnp.broadcast_to(unit.reshape(-1, *(1,) * (here.ndim - 1)), here.shape)
        return jax.jvp(reaction, (here,), (direction,))[1]

    columns = jax.lax.map(column, jnp.eye(len(names), dtype=here.dtype))  # one after the other: less memory
    return jnp.moveaxis(columns, 0, 1)


def cellwise_inverse(jacobian: Any, weight: Any) -> Any:
    """(I − weight·J)⁻¹ in every cell, shape ``(i, j, *cells)`` like J."""
    matrix = jnp.moveaxis(jacobian, (0, 1), (-2, -1))
    inverse = jnp.linalg.inv(jnp.eye(matrix.shape[-1], dtype=matrix.dtype) - weight * matrix)
    return jnp.moveaxis(inverse, (-2, -1), (0, 1))


def cellwise_product(matrix: Any, values: Any) -> Any:
    """Σ_j M_ij u_j in every cell."""
    return jnp.einsum("ij...,j...->i...", matrix, values, precision=jax.lax.Precision.HIGHEST)


class StageSolver:
    """Set up once per step; called once per stage.

    Args:
        weight: γΔt.
        scale: acceptable local error per field, which ties the linear tolerance to the step tolerance.
        differentiable: also carry derivatives of the elliptic solves.
        begun: clock and state of ``first``, to take into A the flow that carries fields; without it that is explicit.
    """

    def __init__(
        self,
        problem: SemiDiscrete,
        first: Evaluation,
        weight: Any,
        dt: Any,
        scale: State,
        control: StepControl,
        differentiable: bool,
        begun: tuple[Clock, State] | None = None,
    ):
        self.problem, self.control, self.differentiable = problem, control, differentiable
        self.weight, self.first = weight, first
        self.rate = {n: 1.0 + weight * first.rates.rate(n) for n in problem.dynamic}
        self.compartments = problem.system.of_kind("compartment")
        self.block: Any = None
        self.local: tuple[str, ...] = ()
        self.pull: Pull | None = None
        self.flow: FlowSolver | None = None
        if problem.transported:
            names = problem.transported
            assert first.laplacian is not None
            stacked = jnp.stack([self.rate[n] for n in names])
            self.operator = problem.shifted(first.laplacian, stacked, weight)
            scales = jnp.stack([jnp.broadcast_to(scale[n], problem.grid.shape) for n in names])
            positive = scales > 0
            self.error_weight = freeze(jnp.where(positive, dt / jnp.where(positive, scales, 1.0), _NONE))
            silent = jnp.min(self.error_weight, axis=tuple(range(1, scales.ndim)), keepdims=True) >= _NONE
            floor = 10 * jnp.finfo(scales.dtype).eps
            self.relative = freeze(jnp.where(silent, jnp.maximum(floor, control.linear * control.rtol), floor))
            carried = () if begun is None else carried_names(problem, first.rates.coefficients)
            self.moved = tuple(i for i, n in enumerate(names) if n in carried)
            self.still = tuple(i for i, n in enumerate(names) if n not in carried)
            if self.still:
                self.rest = self.operator.subset(self.still) if self.moved else self.operator
                self.solve = prepare(self.rest, problem.solver, definite=True)  # c = V (1 + γΔt λ)
            if self.moved and begun is not None:
                coefficients, own = first.rates.coefficients, self.operator.subset(self.moved)
                self.flow = FlowSolver(problem, coefficients, *begun, own, weight, differentiable)

    def couple(self, clock: Clock, state: State, pull: Pull | None, kinetics: bool = False) -> None:
        """Add to A the Jacobian of the compartments, and the ``pull`` on transported fields.

        ``kinetics``: also the Jacobian of the local fields among each other in every cell.
        """
        problem, names = self.problem, self.compartments
        self.pull = pull
        if names:

            def compartments(values: Any) -> Any:
                rates = problem.reaction(names, clock, {**state, **dict(zip(names, values, strict=True))})
                return jnp.stack([rates.gain(n) - rates.rate(n) * v for n, v in zip(names, values, strict=True)])

            self.block = jax.jacfwd(compartments)(jnp.stack([state[n] for n in names]))
        if kinetics and problem.system.of_kind("local"):
            self.local = problem.system.of_kind("local")
            self.jacobian = pointwise_jacobian(problem, self.local, clock, state)
            self.inverse = cellwise_inverse(self.jacobian, self.weight)

    def __call__(
        self, rhs: State, guess: State | None, time: float, known: Any = None
    ) -> tuple[State, State, Any, Any]:
        """The slopes k, the coupling terms γΔt·(A − diag)k that entered them, convergence and iterations.

        ``time``: the slope of time itself at this stage. ``known``: the slopes of the transported fields, ``(S,
        *cells)``, where this system has been solved before.
        """
        problem = self.problem
        extra: State = {}
        out = {n: rhs[n] / self.rate[n] for n in problem.pointwise}
        if self.block is not None:
            self._compartments(rhs, out, extra)
        if self.local:
            self._local(rhs, out, extra)
        names = problem.transported
        if not names:
            return out, extra, jnp.asarray(True), jnp.asarray(0)
        if self.pull is not None:
            like = rhs[names[0]]
            if self.pull.outer is not None:
                pulled = self.pull.outer(out, jnp.asarray(time, like.dtype))
            else:
                pulled = {n: jnp.zeros_like(like) for n in names}
            if self.pull.inner is not None:
                slow = {n: jnp.asarray(w, like.dtype) for n, w in self.pull.slow.items()}
                across = self.pull.inner({n: slow[n] * rhs[n] / self.rate[n] for n in names})
                pulled = {n: pulled[n] + (1.0 - slow[n]) * across[n] for n in names}
            cells, weight = problem.grid.shape, self.weight  # used twice below: large ones are written, not made twice
            extra.update({n: apart_if_large(cells, lambda change: weight * change, pulled[n]) for n in names})
            rhs = {**rhs, **{n: rhs[n] + extra[n] for n in names}}
        b = jnp.stack([rhs[n] for n in names]) * problem.volumes(rhs[names[0]].dtype)
        start = None if guess is None else freeze(jnp.stack([guess[n] for n in names]))
        if self.flow is None:
            value, converged, count = self._stack(b, start, known)
        else:
            value, converged, count = self._parts(b, start, known)
        out.update({n: value[i] for i, n in enumerate(names)})
        return out, extra, converged, count

    def _stack(self, b: Any, start: Any, known: Any, fields: Any = None) -> tuple[Any, Any, Any]:
        """One elliptic solve, of all fields or of those that nothing carries."""
        weight, relative = self.error_weight, self.relative
        if fields is not None:
            weight, relative = rows(weight, fields), rows(relative, fields)
        floor = LinearControl(relative=relative)
        if known is not None:
            value, converged, count = known, jnp.asarray(True), jnp.asarray(0)
        else:
            solved = self.solve(freeze(b), start, weight, self.control.linear, floor)
            value, converged, count = solved.value, jnp.all(solved.converged), solved.iterations
        if self.differentiable:
            value = differentiable_solve(self.rest, self.solve, b, value, self.control.adjoint * self.control.rtol)
        return value, converged, count

    def _parts(self, b: Any, start: Any, known: Any) -> tuple[Any, Any, Any]:
        """The carried fields by themselves, and the others."""
        assert self.flow is not None

        def part(values: Any, fields: tuple[int, ...]) -> Any:
            return None if values is None else rows(values, fields)

        moved, still, control = self.moved, self.still, self.control
        if known is None:
            weight, relative = part(self.error_weight, moved), part(self.relative, moved)
            guess = part(start, moved)
            found, converged, count = self.flow.solve(freeze(part(b, moved)), guess, weight, control.linear, relative)
        else:
            found, converged, count = part(known, moved), jnp.asarray(True), jnp.asarray(0)
        if self.differentiable:
            found = self.flow.with_derivatives(part(b, moved), found, control.adjoint * control.rtol)
        solved = dict(zip(moved, found, strict=True))
        if still:
            other, fine, more = self._stack(part(b, still), part(start, still), part(known, still), still)
            solved |= dict(zip(still, other, strict=True))
            converged, count = converged & fine, count + more
        return jnp.stack([solved[i] for i in range(len(solved))]), converged, count

    def swept(self, slope: State) -> State:
        """γΔt J k of the carried fields: what the linearised flow adds to their inflow; empty without."""
        return {} if self.flow is None else self.flow.inflow(jnp.stack([slope[n] for n in self.flow.names]))

    def _local(self, rhs: State, out: State, extra: State) -> None:
        k = cellwise_product(self.inverse, jnp.stack([rhs[n] for n in self.local]))
        change = cellwise_product(self.jacobian, k)
        for i, name in enumerate(self.local):
            out[name] = k[i]
            extra[name] = self.weight * (change[i] + self.first.rates.rate(name) * k[i])

    def _compartments(self, rhs: State, out: State, extra: State) -> None:
        names = self.compartments
        r = jnp.stack([rhs[n] for n in names])
        matrix = jnp.eye(len(names), dtype=r.dtype) - self.weight * self.block
        k = jnp.linalg.solve(matrix, r)
        change = self.block @ k
        for i, name in enumerate(names):
            out[name] = k[i]
            extra[name] = self.weight * (change[i] + self.first.rates.rate(name) * k[i])
