"""What the verification tests share: exact solutions with their data, steady solves, observed orders."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tmepde as tme
from tmepde.model import System
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete, relax_quasi_steady

#: metric exponent m of r^m
METRIC = {"slab": 0, "cylinder": 1, "sphere": 2}


def orders(errors: Any, ratio: float = 2.0) -> np.ndarray:
    """log(e_coarse/e_fine)/log(ratio) of consecutive rungs."""
    errors = np.asarray(errors, float)
    return np.log(errors[:-1] / errors[1:]) / np.log(ratio)


def l2(grid: tme.Grid, error: Any) -> float:
    """Volume-weighted root mean square."""
    return float(jnp.sqrt(grid.mean(jnp.asarray(error) ** 2)))


@functools.partial(jax.jit, static_argnums=1)
def _relax(model: Any, dtype: Any, tolerance: Any) -> Any:
    system = System(model, {})
    zero = jnp.zeros((), dtype)
    clock = Clock(zero, zero, zero, zero + 1.0)
    return relax_quasi_steady(SemiDiscrete(system), clock, system.initial_state(dtype), tolerance)


def balance(model: tme.Model, tolerance: float = 1e-12) -> dict[str, np.ndarray]:
    """The quasi-steady fields of ``model`` in float64."""
    arrays = jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, model)
    state, converged, _ = _relax(arrays, jnp.float64, tolerance)
    assert bool(converged), "quasi-steady solve did not converge"
    return {n: np.asarray(u) for n, u in state.items()}


@dataclass(frozen=True)
class Exact:
    """u and D as functions of one coordinate (JAX, scalar → scalar), and what follows from them at loss rate λ."""

    u: Any
    diffusivity: Any
    loss: float = 3.0

    def flux(self, x: Any) -> Any:
        """D u′ (towards larger x)."""
        return jax.vmap(lambda y: self.diffusivity(y) * jax.grad(self.u)(y))(jnp.atleast_1d(x))

    def source(self, x: Any, metric: int = 0) -> np.ndarray:
        """s = λu − r^−m (r^m D u′)′."""

        def one(y: Any) -> Any:
            inner = lambda z: self.diffusivity(z) * jax.grad(self.u)(z)  # noqa: E731
            return self.loss * self.u(y) - jax.grad(inner)(y) - (metric / y * inner(y) if metric else 0.0)

        return np.asarray(jax.vmap(one)(jnp.asarray(x)))

    def at(self, x: Any) -> np.ndarray:
        return np.asarray(jax.vmap(self.u)(jnp.atleast_1d(x)))

    def spread(self, x: Any) -> np.ndarray:
        return np.asarray(jax.vmap(self.diffusivity)(jnp.atleast_1d(x)))

    def condition(self, kind: str, at: float, low: bool, transfer: float = 1.7) -> tme.NoFlux:
        """The boundary condition of ``kind`` that this solution meets on the side at ``at``."""
        value = float(self.at(at)[0])
        inward = float(self.flux(at)[0]) * (-1.0 if low else 1.0)
        if kind == "dirichlet":
            return tme.Dirichlet(value)
        if kind == "robin":
            return tme.Robin(transfer, value + inward / transfer)
        if kind == "flux":
            return tme.PrescribedFlux(inward)
        assert kind == "no_flux" and abs(inward) < 1e-12
        return tme.NoFlux()


def sources(**arrays: Any) -> Any:
    """A process that adds fixed coefficients; keys ``species__channel``."""

    def constant(clock: Any, state: Any, tissue: Any, **numbers: Any) -> dict[str, Any]:
        return {k.replace("__", "."): v for k, v in numbers.items()}

    return process(_named(constant), **arrays)


_CACHE: dict[Any, Any] = {}


def _named(function: Any) -> Any:
    """One function object for all calls, so that equal structures share a compilation."""
    return _CACHE.setdefault("constant", function)
