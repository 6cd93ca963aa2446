"""From the waist to arrays: tendencies F(u), rates and conductances of all species at one instant.

    F = ∇·(D∇u) − ∇·((v + w) u) + s − λu        (transported)
    F = s − λu                              (local, compartment)

Open sides of the box act as a source and a loss rate of the edge cells and are kept apart for the budgets.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State, Whole
from tmepde.elliptic import EllipticOperator, SeparableOperator, axis_line
from tmepde.elliptic.separable import AxisLine, shared_kinds, side_factors
from tmepde.elliptic.solve import Operator
from tmepde.operators import (
    advective_tendency,
    boundary_terms,
    conductances,
    courant_rate,
    field_flow,
    held_terms,
    is_tensor,
    metric_volumes,
    stack_flows,
)
from tmepde.operators.apart import written


class Rates(eqx.Module):
    """Source s and loss rate λ per species, what open sides add to them, and the coefficients they came from."""

    source: State
    loss: State
    side_source: State
    side_loss: State
    coefficients: Any

    def gain(self, name: str) -> Any:
        """Source including the sides, unit/h."""
        return self.source[name] + self.side_source.get(name, 0.0)

    def rate(self, name: str) -> Any:
        """Loss rate including the sides, 1/h."""
        return self.loss[name] + self.side_loss.get(name, 0.0)


class Evaluation(eqx.Module):
    """Tendencies and rates at one stage; ``drift`` is −∇·((v + w) u), ``laplacian`` the stacked diffusion operator
    (c = 0), ``courant`` the limit 1/h that an explicit drift sets, ``active`` that of the drift by v alone."""

    tendency: State
    drift: State
    rates: Rates
    laplacian: Operator | None
    courant: Any
    active: Any


class SemiDiscrete(Whole):
    """A :class:`~tmepde.model.System` seen as ordinary differential equations on arrays.

    With ``all_dynamic`` the quasi-steady fields are treated as transported ones (for steady states, where both are the
    same equation). ``solver`` names the linear solver (:data:`tmepde.elliptic.METHODS`); ``lines`` are the eigenbases
    that :meth:`prepared` computes once for many steps.
    """

    system: Any
    all_dynamic: bool = eqx.field(static=True, default=False)
    solver: str = eqx.field(static=True, default="auto")
    lines: dict[str, tuple[AxisLine, ...]] = eqx.field(default_factory=dict)
    apart: bool = eqx.field(static=True, default=False)

    @property
    def grid(self) -> Any:
        return self.system.grid

    @property
    def transported(self) -> tuple[str, ...]:
        moving = self.system.of_kind("transported")
        return tuple(sorted(moving + self.system.of_kind("quasi_steady"))) if self.all_dynamic else moving

    @property
    def quasi_steady(self) -> tuple[str, ...]:
        return () if self.all_dynamic else self.system.of_kind("quasi_steady")

    @property
    def pointwise(self) -> tuple[str, ...]:
        """Species without transport: local fields and compartments."""
        return self.system.of_kind("local") + self.system.of_kind("compartment")

    @property
    def dynamic(self) -> tuple[str, ...]:
        return self.transported + self.pointwise

    def volumes(self, dtype: Any) -> Any:
        """Metric cell volumes, zero outside the mask; shape ``grid.shape``."""
        return self.inside(metric_volumes(self.grid).astype(dtype))

    def inside(self, values: Any) -> Any:
        """Zero outside the mask (fields only)."""
        if self.grid.mask is None or jnp.ndim(values) == 0:
            return values
        return jnp.where(jnp.asarray(self.grid.mask), values, 0.0)

    def total(self, values: Any) -> Any:
        """Σ V·values over the tissue (metric volumes); a compartment's value itself."""
        return values if jnp.ndim(values) == 0 else jnp.sum(self.volumes(values.dtype) * values)

    def positive(self, state: State) -> State:
        """The state without undershoots: what rate laws are given. (The derivative of max(u, 0) at 0 would be ½.)"""
        species = self.system.species
        return {n: u if species[n].signed else jnp.where(u < 0, 0.0, u) for n, u in state.items()}

    def reaction(self, names: tuple[str, ...], clock: Any, state: State) -> Rates:
        """Rates of ``names`` at ``clock`` and ``state``."""
        state = self._written(state)
        coefficients = self._written(self.system.coefficients(clock, state))
        boundary, species = self.system.boundary(), self.system.species
        source: State = {}
        loss: State = {}
        side_source: State = {}
        side_loss: State = {}
        for name in names:
            source[name] = self._field(coefficients.source.get(name, 0.0), state[name])
            loss[name] = self._field(coefficients.loss.get(name, 0.0), state[name])
            if species[name].kind in ("transported", "quasi_steady"):
                d = self._diffusivity(coefficients, name, state[name])
                varying = species[name].mean == "arithmetic"
                reached = functools.partial(self._reached, name, clock, state) if varying else None
                terms = boundary_terms(self.grid, boundary[name], d, clock, state, reached)
                if terms is not None:
                    side_source[name], side_loss[name] = terms
                if species[name].held is not None:
                    source[name], loss[name] = self._free(name, source[name]), self._free(name, loss[name])
                    terms = self._free(name, (0.0, 0.0) if terms is None else terms)
                    more = held_terms(self.grid, d, species[name].held, species[name].initial, species[name].mean)
                    side_source[name], side_loss[name] = (self.inside(a + b) for a, b in zip(terms, more, strict=True))
        return Rates(source, loss, side_source, side_loss, coefficients)

    def _diffusivity(self, coefficients: Any, name: str, like: Any) -> Any:
        """D as a field, a tuple of fields per axis, or rows of fields."""
        return jax.tree.map(lambda d: self._field(d, like), coefficients.diffusivity[name])

    def _reached(self, name: str, clock: Any, state: State, value: Any) -> Any:
        """D of ``name`` where it has this ``value`` and all else is as it is."""
        like = state[name]
        there = self.system.coefficients(clock, {**state, name: self._field(value, like)})
        return self._diffusivity(there, name, like)

    def _free(self, name: str, values: Any) -> Any:
        """Zero in the cells where ``name`` is held at a value."""
        held = self.system.species[name].held
        return values if held is None else jax.tree.map(lambda v: jnp.where(jnp.asarray(held), 0.0, v), values)

    def hold(self, name: str, values: Any) -> Any:
        """``values`` with those of held cells put back."""
        species = self.system.species[name]
        if species.held is None:
            return values
        fixed = jnp.broadcast_to(jnp.asarray(species.initial), values.shape).astype(values.dtype)
        return jnp.where(jnp.asarray(species.held), self.inside(fixed), values)

    def _field(self, value: Any, like: Any) -> Any:
        return self.inside(jnp.broadcast_to(jnp.asarray(value), like.shape).astype(like.dtype))

    def parted(self) -> SemiDiscrete:
        """The same with what rates depend on and what they are written to memory, and so their derivatives: for a step
        that is pulled back. XLA else makes a dozen loops of it, each of 1500 operations on 250 arrays, that no compiler
        vectorises (together two thirds of the time of such a step)."""
        return dataclasses.replace(self, apart=True)

    def _written(self, tree: Any) -> Any:
        return written(tree) if self.apart else tree

    def prepared(self, clock: Any, state: State, solved: bool = True) -> SemiDiscrete:
        """The same with the axes of the grid where diffusivities are numbers, and if ``solved`` with the eigenbases on
        them that fast diagonalisation needs."""
        lines = {}
        for names in (self.transported, self.quasi_steady):
            if not names:
                continue
            coefficients = self.system.coefficients(clock, state)
            found = self._lines(names, coefficients, clock, state, solved)
            if found is not None:
                lines[",".join(names)] = found
        return eqx.tree_at(lambda p: p.lines, self, lines, is_leaf=lambda x: isinstance(x, dict)) if lines else self

    def _lines(self, names: tuple[str, ...], coefficients: Any, clock: Any, state: State, solved: bool) -> Any:
        """One line per axis if every one of ``names`` has a diffusivity that is the same everywhere."""
        grid = self.grid
        d = [coefficients.diffusivity[n] for n in names]
        uniform = not any(is_tensor(value) or any(map(jnp.ndim, jax.tree.leaves(value))) for value in d)
        held = any(self.system.species[n].held is not None for n in names)
        if grid.mask is not None or grid.fractions is not None or held or not uniform:
            return None
        boundary = self.system.boundary()
        corners = [side_factors(grid, boundary[n], v, clock, state) for n, v in zip(names, d, strict=True)]
        shared = shared_kinds([boundary[n] for n in names])
        corners = corners[:1] if shared else corners
        per_axis = [jnp.stack([c[k] for c in corners]) for k in range(grid.ndim)]
        return tuple(axis_line(grid, k, per_axis[k], state[names[0]].dtype, solved) for k in range(grid.ndim))

    def laplacian(self, names: tuple[str, ...], coefficients: Any, state: State) -> Operator:
        """−V ∇·(D∇·) of ``names`` stacked, diagonal 0."""
        lines = self.lines.get(",".join(names))
        if lines is not None:
            dtype = state[names[0]].dtype
            values = [coefficients.diffusivity[n] for n in names]
            per_axis = [jnp.stack(jnp.broadcast_arrays(*v)) if isinstance(v, tuple) else v for v in values]
            d = jnp.stack([jnp.broadcast_to(jnp.asarray(v, dtype), (self.grid.ndim,)) for v in per_axis])
            return SeparableOperator(jnp.zeros((len(names), *self.grid.shape), dtype), d, lines, self.grid.aspect)
        species = [self.system.species[n] for n in names]
        forms = [self._diffusivity(coefficients, n, state[n]) for n in names]
        plain = not any(isinstance(d, tuple) for d in forms)
        if plain and all(s.held is None and s.mean == "harmonic" for s in species):
            d = jnp.stack(forms)
            faces = conductances(self.grid, d)
            return EllipticOperator(jnp.zeros_like(d), faces, self.grid.periodic, aspect=self.grid.aspect)
        sides = self.system.boundary()
        each = zip(names, forms, species, strict=True)
        flows = [field_flow(self.grid, d, s.mean, s.held, sides[n]) for n, d, s in each]
        faces, links, offsets = stack_flows(flows)
        zero = jnp.zeros((len(names), *self.grid.shape), faces[0].dtype)
        return EllipticOperator(zero, faces, self.grid.periodic, links, offsets, self.grid.aspect)

    def evaluate(
        self, clock: Any, state: State, laplacian: Operator | None = None, diffusing: bool = True
    ) -> Evaluation:
        """Tendencies of all dynamic species at ``clock`` (quasi-steady fields already relaxed).

        Rate laws see the state without undershoots; transport and loss act on the state itself, so that nothing is
        created where a value has fallen slightly below zero. ``laplacian``: take this one, whatever D is here.
        ``diffusing``: whether the tendencies hold ∇·(D∇u).
        """
        rates = self.reaction(self.dynamic, clock, self.positive(state))
        tendency = {n: rates.gain(n) - rates.rate(n) * state[n] for n in self.dynamic}
        drift: State = {}
        courant = jnp.asarray(0.0, jnp.result_type(*state.values()))
        active = courant
        if self.transported:
            if laplacian is None:
                laplacian = self.laplacian(self.transported, rates.coefficients, state)
            for name, spread in self._spread(laplacian, state).items() if diffusing else ():
                tendency[name] = tendency[name] + spread
            drift, courant, active = self._drift(rates.coefficients, clock, state, courant)
            tendency = {n: f + drift[n] if n in drift else f for n, f in tendency.items()}
        tendency = {n: self.inside(f) for n, f in tendency.items()}
        return Evaluation(tendency, drift, rates, laplacian, courant, active)

    def _spread(self, laplacian: Operator, state: State) -> State:
        """∇·(D∇u) of the transported fields; with one D per field each by itself, so that it stays in the cache."""
        if isinstance(laplacian, SeparableOperator):
            fields = enumerate(self.transported)
            return {n: -laplacian.of_field(i).flux_divergence(state[n][None])[0] for i, n in fields}
        stacked = jnp.stack([state[n] for n in self.transported])
        spread = -flux_divergence(laplacian, self.grid, stacked)
        return {n: spread[i] for i, n in enumerate(self.transported)}

    def _drift(self, coefficients: Any, clock: Any, state: State, courant: Any) -> tuple[State, Any, Any]:
        """−∇·((v + w) u), and the limits to explicit steps by both and by v alone."""
        drift = {}
        for name, velocity in sorted(coefficients.velocity.items()):
            drift[name] = self.carried(name, velocity, coefficients, clock, state)
            courant = self._limit(name, velocity, coefficients, state, courant)
        active = courant
        for name, flow in sorted(coefficients.flow.items()):
            swept = self.carried(name, flow, coefficients, clock, state)
            drift[name] = drift[name] + swept if name in drift else swept
            courant = self._limit(name, flow, coefficients, state, courant)
        return drift, courant, active

    def _limit(self, name: str, velocity: Any, coefficients: Any, state: State, courant: Any) -> Any:
        fixed, d = jax.lax.stop_gradient((velocity, self._diffusivity(coefficients, name, state[name])))
        return jnp.maximum(courant, courant_rate(self.grid, fixed, d).astype(courant.dtype))

    def carried(self, name: str, velocity: Any, coefficients: Any, clock: Any, state: State) -> Any:
        """−∇·(v u) of one species by its own scheme; zero in cells where it is held."""
        u, sides = state[name], self.system.boundary()[name]
        d, scheme = self._diffusivity(coefficients, name, u), self.system.species[name].drift
        moved = advective_tendency(self.grid, u, velocity, sides, clock, state, diffusivity=d, scheme=scheme)
        return self._free(name, moved)

    def shifted(self, laplacian: Operator, rate: Any, weight: Any) -> Operator:
        """V·rate − weight·V∇·(D∇·), with ``rate`` ``(S, *cells)``; inert outside the mask."""
        return laplacian.shifted(self.volumes(rate.dtype) * rate, weight)


def flux_divergence(laplacian: Operator, grid: Any, u: Any) -> Any:
    """−∇·(D∇u) per volume, from an operator without loss."""
    if isinstance(laplacian, SeparableOperator):
        return laplacian.flux_divergence(u)
    return laplacian(u) / metric_volumes(grid).astype(u.dtype)
