"""From the waist to arrays: tendencies F(u), rates and conductances of all species at one instant.

    F = ∇·(D∇u) − ∇·(v u) + s − λu        (transported)
    F = s − λu                              (local, compartment)

Open sides of the box act as a source and a loss rate of the edge cells and are kept apart for the budgets.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tmepde._types import State
from tmepde.elliptic import EllipticOperator
from tmepde.operators import advective_tendency, boundary_terms, conductances, courant_rate, metric_volumes


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
    """Tendencies and rates at one stage; ``drift`` is −∇·(v u), ``laplacian`` the stacked diffusion operator (c = 0),
    ``courant`` the limit 1/h that an explicit drift sets."""

    tendency: State
    drift: State
    rates: Rates
    laplacian: EllipticOperator | None
    courant: Any


class SemiDiscrete(eqx.Module):
    """A :class:`~tmepde.model.System` seen as ordinary differential equations on arrays.

    With ``all_dynamic`` the quasi-steady fields are treated as transported ones (for steady states, where both are the
    same equation).
    """

    system: Any
    all_dynamic: bool = eqx.field(static=True, default=False)

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
        """The state without undershoots: what rate laws are given."""
        species = self.system.species
        return {n: u if species[n].signed else jnp.maximum(u, 0.0) for n, u in state.items()}

    def reaction(self, names: tuple[str, ...], clock: Any, state: State) -> Rates:
        """Rates of ``names`` at ``clock`` and ``state``."""
        coefficients = self.system.coefficients(clock, state)
        boundary, species = self.system.boundary(), self.system.species
        source: State = {}
        loss: State = {}
        side_source: State = {}
        side_loss: State = {}
        for name in names:
            source[name] = self._field(coefficients.source.get(name, 0.0), state[name])
            loss[name] = self._field(coefficients.loss.get(name, 0.0), state[name])
            if species[name].kind in ("transported", "quasi_steady"):
                d = self._field(coefficients.diffusivity[name], state[name])
                terms = boundary_terms(self.grid, boundary[name], d, clock, state)
                if terms is not None:
                    side_source[name], side_loss[name] = terms
        return Rates(source, loss, side_source, side_loss, coefficients)

    def _field(self, value: Any, like: Any) -> Any:
        return self.inside(jnp.broadcast_to(jnp.asarray(value), like.shape).astype(like.dtype))

    def laplacian(self, names: tuple[str, ...], coefficients: Any, state: State) -> EllipticOperator:
        """−V ∇·(D∇·) of ``names`` stacked, diagonal 0."""
        d = jnp.stack([self._field(coefficients.diffusivity[n], state[n]) for n in names])
        return EllipticOperator(jnp.zeros_like(d), conductances(self.grid, d), self.grid.periodic)

    def evaluate(self, clock: Any, state: State) -> Evaluation:
        """Tendencies of all dynamic species at ``clock`` (quasi-steady fields already relaxed).

        Rate laws see the state without undershoots; transport and loss act on the state itself, so that nothing is
        created where a value has fallen slightly below zero.
        """
        rates = self.reaction(self.dynamic, clock, self.positive(state))
        tendency = {n: rates.gain(n) - rates.rate(n) * state[n] for n in self.dynamic}
        drift: State = {}
        laplacian, courant = None, jnp.asarray(0.0, jnp.result_type(*state.values()))
        if self.transported:
            laplacian = self.laplacian(self.transported, rates.coefficients, state)
            stacked = jnp.stack([state[n] for n in self.transported])
            diffusion = -laplacian(stacked) / metric_volumes(self.grid).astype(stacked.dtype)
            for i, name in enumerate(self.transported):
                tendency[name] = tendency[name] + diffusion[i]
            drift, courant = self._drift(rates.coefficients, clock, state, courant)
            tendency = {n: f + drift[n] if n in drift else f for n, f in tendency.items()}
        tendency = {n: self.inside(f) for n, f in tendency.items()}
        return Evaluation(tendency, drift, rates, laplacian, courant)

    def _drift(self, coefficients: Any, clock: Any, state: State, courant: Any) -> tuple[State, Any]:
        boundary = self.system.boundary()
        drift = {}
        for name, velocity in sorted(coefficients.velocity.items()):
            drift[name] = advective_tendency(self.grid, state[name], velocity, boundary[name], clock, state)
            fixed, d = jax.lax.stop_gradient((velocity, self._field(coefficients.diffusivity[name], state[name])))
            courant = jnp.maximum(courant, courant_rate(self.grid, fixed, d).astype(courant.dtype))
        return drift, courant

    def shifted(self, laplacian: EllipticOperator, rate: Any, weight: Any) -> EllipticOperator:
        """V·rate − weight·V∇·(D∇·), with ``rate`` ``(S, *cells)``; inert outside the mask."""
        volumes = self.volumes(rate.dtype)
        return EllipticOperator(volumes * rate, tuple(weight * f for f in laplacian.faces), laplacian.periodic)
