"""What the verification tests share: exact solutions with their data, steady solves, observed orders."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import tmepde as tme
from tmepde.model import System
from tmepde.process import process
from tmepde.schedule import Clock
from tmepde.steppers import SemiDiscrete

#: metric exponent m of r^m
METRIC = {"slab": 0, "cylinder": 1, "sphere": 2}


def orders(errors: Any, ratio: float = 2.0) -> np.ndarray:
    """log(e_coarse/e_fine)/log(ratio) of consecutive rungs."""
    errors = np.asarray(errors, float)
    return np.log(errors[:-1] / errors[1:]) / np.log(ratio)


def l2(grid: tme.Grid, error: Any) -> float:
    """Volume-weighted root mean square."""
    volumes = np.where(True if grid.mask is None else grid.mask, np.asarray(grid.volumes()), 0.0)
    return float(np.sqrt(np.sum(volumes * np.asarray(error) ** 2) / np.sum(volumes)))


# -- exact solutions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A function with its first two derivatives."""

    value: Any
    first: Any
    second: Any


GENERAL = Curve(
    lambda x: 2.0 + np.sin(2.1 * x + 0.3) + 0.5 * x * x,
    lambda x: 2.1 * np.cos(2.1 * x + 0.3) + x,
    lambda x: -(2.1**2) * np.sin(2.1 * x + 0.3) + 1.0,
)
#: flat at 0 and at 1
CLOSED = Curve(
    lambda x: 2.0 + np.cos(2 * np.pi * x) + 0.3 * np.cos(np.pi * x),
    lambda x: -2 * np.pi * np.sin(2 * np.pi * x) - 0.3 * np.pi * np.sin(np.pi * x),
    lambda x: -4 * np.pi**2 * np.cos(2 * np.pi * x) - 0.3 * np.pi**2 * np.cos(np.pi * x),
)
#: flat at 0 (smooth at the centre of a radial grid)
EVEN = Curve(
    lambda x: 2.0 + np.cos(2.5 * x) + 0.4 * x * x,
    lambda x: -2.5 * np.sin(2.5 * x) + 0.8 * x,
    lambda x: -6.25 * np.cos(2.5 * x) + 0.8,
)
WAVE = Curve(
    lambda x: 2.0 + np.sin(2 * np.pi * x + 0.7),
    lambda x: 2 * np.pi * np.cos(2 * np.pi * x + 0.7),
    lambda x: -4 * np.pi**2 * np.sin(2 * np.pi * x + 0.7),
)
ONE = Curve(lambda x: 1.0 + 0.0 * x, lambda x: 0.0 * x, None)
SMOOTH = Curve(lambda x: 1.0 + 0.6 * np.sin(2.3 * x + 0.4), lambda x: 1.38 * np.cos(2.3 * x + 0.4), None)
SMOOTH_EVEN = Curve(lambda x: 1.0 + 0.6 * np.sin(2.3 * x * x), lambda x: 2.76 * x * np.cos(2.3 * x * x), None)
SMOOTH_WAVE = Curve(
    lambda x: 1.0 + 0.6 * np.sin(2 * np.pi * x + 0.2), lambda x: 1.2 * np.pi * np.cos(2 * np.pi * x + 0.2), None
)


@dataclass(frozen=True)
class Exact:
    """A steady solution u with diffusivity D and loss rate λ, and the data it needs."""

    u: Curve
    diffusivity: Curve
    loss: float = 3.0

    def flux(self, x: Any) -> Any:
        """D u′ (towards larger x)."""
        return self.diffusivity.value(x) * self.u.first(x)

    def divergence(self, x: Any, metric: int = 0) -> Any:
        """r^−m (r^m D u′)′."""
        spread = self.diffusivity.value(x) * self.u.second(x) + self.diffusivity.first(x) * self.u.first(x)
        return spread + (metric / x * self.flux(x) if metric else 0.0)

    def source(self, x: Any, metric: int = 0) -> Any:
        """s = λu − ∇·(D∇u)."""
        return self.loss * self.u.value(x) - self.divergence(x, metric)

    def condition(self, kind: str, at: float, low: bool, transfer: float = 1.7) -> Any:
        """The boundary condition of ``kind`` that this solution meets on the side at ``at``."""
        return meet(kind, float(self.u.value(at)), float(self.flux(at)) * (-1.0 if low else 1.0), transfer)


def meet(kind: str, value: Any, inward: Any, transfer: float = 1.7) -> Any:
    """The condition of ``kind`` met by a solution with this ``value`` and ``inward`` flux D ∂u/∂n on the side."""
    if kind == "dirichlet":
        return tme.Dirichlet(value)
    if kind == "robin":
        return tme.Robin(transfer, value + inward / transfer)
    if kind == "flux":
        return tme.PrescribedFlux(inward)
    assert kind == "no_flux" and np.max(np.abs(inward)) < 1e-12
    return tme.NoFlux()


# -- discrete balances ------------------------------------------------------------------------------------------------


def constant(clock: Any, state: Any, tissue: Any, **numbers: Any) -> dict[str, Any]:
    return {k.replace("__", "."): v for k, v in numbers.items()}


def fixed(**numbers: Any) -> Any:
    """A process that adds fixed coefficients; keys ``species__channel``."""
    return process(constant, **numbers)


def matrix(op: Any, index: int = 0) -> Any:
    """Field ``index`` of an elliptic operator as a scipy sparse matrix, assembled face by face and link by link.

    Cells outside a mask, which nothing couples, get a unit diagonal.
    """
    diagonal = np.asarray(op.diagonal[index])
    shape, number = diagonal.shape, np.arange(diagonal.size).reshape(diagonal.shape)
    inert = np.asarray(op.diagonal[index] + op.couplings()[index]) == 0
    total = scipy.sparse.diags(np.where(inert, 1.0, diagonal).ravel()).tocsr()
    for k, faces in enumerate(op.faces):
        phi = np.moveaxis(np.asarray(faces[index]), k, 0)
        cells = np.moveaxis(number, k, 0)
        pairs = [(cells[:-1], cells[1:], phi[1:-1])]
        if op.periodic[k]:
            pairs.append((cells[-1:], cells[:1], phi[:1]))
        for one, other, weight in pairs:
            i, j, w = one.ravel(), other.ravel(), weight.ravel()
            rows, columns = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
            values = np.concatenate([w, w, -w, -w])
            total = total + scipy.sparse.csr_matrix((values, (rows, columns)), shape=total.shape)
    for link, offset in zip(op.links, op.offsets, strict=True):
        w = np.asarray(link[index]).ravel()
        i, j = number.ravel(), np.roll(number, [-o for o in offset], range(len(offset))).ravel()
        rows, columns = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
        total = total + scipy.sparse.csr_matrix((np.concatenate([w, w, -w, -w]), (rows, columns)), shape=total.shape)
    assert total.shape == (np.prod(shape),) * 2
    return total.tocsc()


@functools.partial(jax.jit, static_argnums=1)
def _system(model: Any, names: tuple[str, ...]) -> Any:
    problem = SemiDiscrete(System(model, {}))
    state = problem.system.initial_state(jnp.float64)
    zero = jnp.zeros(())
    rates = problem.reaction(names, Clock(zero, zero, zero, zero + 1.0), state)
    laplacian = problem.laplacian(names, rates.coefficients, state)
    volumes = problem.volumes(jnp.float64)
    op = problem.shifted(laplacian, jnp.stack([rates.rate(n) + jnp.zeros(model.grid.shape) for n in names]), 1.0)
    return op, jnp.stack([volumes * rates.gain(n) for n in names])


def balance(model: tme.Model) -> dict[str, np.ndarray]:
    """The discrete steady balance of linear fields: the engine's operator, solved by a direct sparse solver."""
    names = tuple(sorted(model.species))
    op, b = _system(model, names)
    out = {}
    for i, name in enumerate(names):
        out[name] = scipy.sparse.linalg.spsolve(matrix(op, i), np.asarray(b[i]).ravel()).reshape(model.grid.shape)
    return out
