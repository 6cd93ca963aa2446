"""(I − γΔt A) k = r for all fields of a stage, with one A for all stages of a step.

A is block-triangular: compartments (dense among themselves), then local fields (loss rates, or the exact Jacobian of
their reactions in every cell, see :meth:`StageSolver.couple`), then transported fields (diffusion and loss rate, one
stacked elliptic solve; with the drift of a flow, where one carries them, and then apart), each row knowing the pull of
the rows above it (:mod:`tmepde.steppers.pull`). Among the transported fields the fast know the pull C of the slow
(cells make cytokines), with the slow ones' slope taken before diffusion, r/(1 + γΔt λ), so that one stacked solve
suffices:

    (I − γΔt (D_f − λ_f)) k_f = r_f + γΔt C r_s/(1 + γΔt λ_s)

which is again one matrix for all stages. Without it a cytokine in balance with growing cells lags by 0.7 of its change.
Once the transported fields have their slopes, those of the pointwise species are solved for again with the pull of
these. How fast quasi-steady fields change is found once a step and counts as a slope of time.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from tmepde._types import State, freeze
from tmepde.elliptic import LinearControl, prepare
from tmepde.elliptic.operator import rows
from tmepde.elliptic.solve import differentiable_solve
from tmepde.operators.apart import apart_if_large
from tmepde.schedule import Clock
from tmepde.steppers.blocks import together
from tmepde.steppers.cellwise import cellwise_inverse, cellwise_product, growth, pointwise_jacobian
from tmepde.steppers.control import StepControl
from tmepde.steppers.flow import FlowSolver, carried_names
from tmepde.steppers.pull import Pull
from tmepde.steppers.semidiscrete import Evaluation, SemiDiscrete

#: weight of an error where none is acceptable
_NONE = 1e15
#: γΔt × rate of growth up to which a step sees a blow-up ahead: the time to it is then several steps
_GROWTH = 0.2


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

    def couple(
        self, clock: Clock, state: State, pull: Pull | None, kinetics: bool = False, cautious: bool = False
    ) -> None:
        """Add to A the Jacobian of the compartments, and the ``pull`` on transported fields.

        ``kinetics``: also the Jacobian of the local fields among each other in every cell; ``cautious``: only in cells
        where nothing grows that a step could step over.
        """
        problem, names = self.problem, self.compartments
        self.pull = pull
        if names:

            def compartments(values: Any) -> Any:
                rates = problem.reaction(names, clock, {**state, **dict(zip(names, values, strict=True))})
                return jnp.stack([rates.gain(n) - rates.rate(n) * v for n, v in zip(names, values, strict=True)])

            self.block = jax.jacfwd(compartments)(jnp.stack([state[n] for n in names]))
            self.freed = cellwise_inverse(self.block, self.weight)
        if kinetics and problem.system.of_kind("local"):
            self.local = problem.system.of_kind("local")
            self.jacobian = self._safe(pointwise_jacobian(problem, self.local, clock, state), cautious)
            self.inverse = cellwise_inverse(self.jacobian, self.weight)

    def _safe(self, jacobian: Any, cautious: bool) -> Any:
        """The Jacobian of the local fields; their loss rates alone in cells where a law has no derivative (√u at 0)
        and, if ``cautious``, where something grows that a step of this length could step over."""
        own = jnp.stack([self.first.rates.rate(n) for n in self.local])
        unit = jnp.eye(len(self.local), dtype=own.dtype).reshape(len(self.local), -1, *(1,) * (own.ndim - 1))
        fine = jnp.all(jnp.isfinite(jacobian), axis=(0, 1))
        if cautious:
            lost = jnp.maximum(-jnp.sum(unit * jacobian, axis=0), 0.0)
            still = jnp.all(jnp.sum(jacobian, axis=0) <= 0.1 * lost, axis=0)  # nothing makes more than it loses
            slow = jax.lax.cond(
                jnp.all(still), lambda: still, lambda: still | (growth(*freeze((jacobian, self.weight))) <= _GROWTH)
            )
            fine = fine & slow
        return jnp.where(fine, jacobian, -own[:, None] * unit)

    def __call__(
        self, rhs: State, guess: State | None, time: float, known: Any = None
    ) -> tuple[State, State, Any, Any]:
        """The slopes k, the coupling terms γΔt·(A − diag)k that entered them, convergence and iterations.

        ``time``: the slope of time itself at this stage. ``known``: the slopes of the transported fields, ``(S,
        *cells)``, where this system has been solved before.
        """
        given = rhs
        out, extra = self._pointwise(rhs)
        steady, later = self._known(rhs, time)
        moving, converged, count = self._transported(rhs, guess, known, {**out, **steady}, later, extra)
        if self.pull is not None and self.pull.back is not None:
            added = {n: self.weight * f for n, f in self.pull.back({**moving, **steady}, later).items()}
            out, more = self._pointwise({**given, **{n: given[n] + f for n, f in added.items()}})
            extra.update({n: more[n] + f if n in more else f for n, f in added.items()})
        return {**out, **moving}, extra, converged, count

    def _known(self, rhs: State, time: float) -> tuple[State, Any]:
        """The slopes of the quasi-steady fields and of time, which are known before a stage is solved."""
        if self.pull is None or not rhs:
            return {}, None
        later = jnp.asarray(time, jnp.result_type(*rhs.values()))
        return {n: later * change for n, change in self.pull.balance.items()}, later

    def _transported(
        self, rhs: State, guess: State | None, known: Any, outside: State, later: Any, extra: State
    ) -> tuple[State, Any, Any]:
        """Slopes of the transported fields, pulled by those ``outside``; their coupling terms go to ``extra``."""
        problem, names = self.problem, self.problem.transported
        if not names:
            return {}, jnp.asarray(True), jnp.asarray(0)
        if self.pull is not None:
            like = rhs[names[0]]
            if self.pull.outer is not None:
                pulled = self.pull.outer(outside, later)
            else:
                pulled = {n: jnp.zeros_like(like) for n in names}
            if self.pull.inner is not None:
                slow = {n: jnp.asarray(w, like.dtype) for n, w in self.pull.slow.items()}
                across = self.pull.inner({n: slow[n] * rhs[n] / self.rate[n] for n in names})
                pulled = {n: pulled[n] + (1.0 - slow[n]) * across[n] for n in names}
            cells, weight = problem.grid.shape, self.weight  # used twice below: large ones are written, not made twice
            pulled = together(lambda change: apart_if_large(cells, lambda change: weight * change, change), pulled)
            extra.update(pulled)
            rhs = {**rhs, **together(lambda change, r: r + change, pulled, rhs)}
        b = jnp.stack([rhs[n] for n in names]) * problem.volumes(rhs[names[0]].dtype)
        start = None if guess is None else freeze(jnp.stack([guess[n] for n in names]))
        if self.flow is None:
            value, converged, count = self._stack(b, start, known)
        else:
            value, converged, count = self._parts(b, start, known)
        return {n: value[i] for i, n in enumerate(names)}, converged, count

    def _pointwise(self, rhs: State) -> tuple[State, State]:
        """Slopes of local fields and compartments, and their coupling terms."""
        extra: State = {}
        out = {n: rhs[n] / self.rate[n] for n in self.problem.pointwise}
        if self.block is not None:
            self._compartments(rhs, out, extra)
        if self.local:
            self._local(rhs, out, extra)
        return out, extra

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
        k = cellwise_product(self.freed, r)
        rest = r - k + self.weight * cellwise_product(self.block, k)
        k = k + cellwise_product(self.freed, rest)
        change = cellwise_product(self.block, k)
        for i, name in enumerate(names):
            out[name] = k[i]
            extra[name] = self.weight * (change[i] + self.first.rates.rate(name) * k[i])
