"""Whether small deviations from a steady state grow, by the eigenvalues of what it is linearised to.

    M dz/dt = J z ,   J = ∂R/∂u ,   M 1 for what moves in time, 0 for quasi-steady fields

Up to 400 unknowns J is a dense matrix, and those of the quasi-steady fields are eliminated. Of larger ones Arnoldi's
method (Saad 2011, Numerical Methods for Large Eigenvalue Problems, ch. 6 and 8) finds eigenvalues θ = 1/(1 − τλ) of
(M − τJ)⁻¹M: all decaying modes lie within the circle |θ − ½| < ½, growing ones outside. It begins with the deviation of
the start, which also tells how much of a mode was in it.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tmepde._types import Frame, State
from tmepde.elliptic import LinearControl
from tmepde.steady.continuation import instant
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.coupled import BlockInverse, weights
from tmepde.steppers.krylov import Packing, gmres

#: unknowns up to which the matrix is made
_DENSE = 400
#: growth rate, 1/h, that is not worth a word: a doubling in 80 years
_SLOW = 1e-6
#: damping of an oscillation, relative to its rate, that is none
_UNDAMPED = 1e-9
#: times τ, h, and vectors of Arnoldi's method: growth at 1e-4 to 10 per hour is found
_TIMES, _VECTORS = (3.0, 300.0), 12
#: share of noise in its first vector, so that modes that the start lacks are found too
_NOISE = 1e-3
#: reduction of residuals in its equations, and in the elliptic solves of their preconditioner
_AIM, _INNER = 1e-6, LinearControl(relative=1e-9, limit=60)
#: largest error of a growth rate, relative to it
_CERTAIN = 0.2


class Mode(NamedTuple):
    """A growing mode: ``rate`` λ (1/h, complex), ``shape`` (a flat vector of norm 1 in the units of the fields), and
    ``share``, how much of it was in the deviation of the start."""

    rate: complex
    shape: np.ndarray
    share: complex


def growing(
    arrays: list[Any], frame: Frame, state: State, start: State, scale: State, time: Any
) -> tuple[Mode, State] | None:
    """The fastest growing mode (else an oscillation without damping) and, as fields, its real part; ``None`` where none
    is found.

    Fields that are nothing at the start and at the end are left as they are: no deviation of theirs is looked at.
    """
    problem: SemiDiscrete = frame.filled(arrays)
    awake = {n: scale[n] if np.any(start[n]) or np.any(state[n]) else 0.0 for n in problem.dynamic}
    packing = _packing(problem, state, awake)
    weighted = np.asarray(jnp.concatenate([jnp.ravel(packing.weights[n]) for n in packing.names]))
    timed = np.concatenate(
        [np.full(np.size(state[n]), problem.system.species[n].kind != "quasi_steady") for n in packing.names]
    )
    if not np.any(timed & (weighted > 0)):
        return None
    deviation = np.asarray(packing.flat({n: jnp.asarray(start[n]) - state[n] for n in packing.names}))
    places = np.flatnonzero(weighted > 0)
    if len(places) <= _DENSE:
        jacobian = np.asarray(_jacobian(arrays, frame, state, awake, time, places))
        mode = _dense(jacobian, timed[places], deviation[places])
        if mode is None:
            return None
        shape = np.zeros(len(weighted), complex)
        shape[places] = mode.shape
    else:
        mode = _sparse(arrays, frame, state, awake, time, deviation, timed & (weighted > 0))
        if mode is None:
            return None
        shape = mode.shape
    turned = shape * (mode.share / abs(mode.share) if mode.share else 1.0)
    return mode, packing.state(jnp.asarray(turned.real))


def _packing(problem: SemiDiscrete, state: State, scale: State) -> Packing:
    known = {n: jnp.broadcast_to(jnp.asarray(scale[n]), state[n].shape) for n in problem.dynamic}
    return Packing(problem.dynamic, state, weights(problem, known))


@functools.partial(jax.jit, static_argnums=1)
def _jacobian(arrays: list[Any], frame: Frame, state: State, scale: State, time: Any, places: Any) -> Any:
    """Columns of J at ``places`` as rows, in the units of the packing."""
    problem: SemiDiscrete = frame.filled(arrays)
    packing = _packing(problem, state, scale)
    _, linear = jax.linearize(lambda u: problem.evaluate(instant(time), u).tendency, state)
    size = sum(int(np.prod(np.shape(u))) for u in state.values())

    def column(place: Any) -> Any:
        unit = jnp.zeros(size).at[place].set(1.0)
        return packing.flat(linear(packing.state(unit)))[places]

    return jax.lax.map(column, places)


def _dense(columns: np.ndarray, timed: np.ndarray, deviation: np.ndarray) -> Mode | None:
    j = columns.T
    if not np.all(np.isfinite(j)):
        return None
    own, rest = j[np.ix_(timed, timed)], j[np.ix_(~timed, ~timed)]
    answer = np.linalg.lstsq(rest, -j[np.ix_(~timed, timed)], rcond=None)[0]  # what the quasi-steady ones make of it
    own = own + j[np.ix_(timed, ~timed)] @ answer
    values, modes = np.linalg.eig(own)
    left = np.linalg.pinv(modes)
    error = 1e-14 * np.linalg.norm(own) * np.linalg.norm(left, axis=1)
    found: np.ndarray = np.where(values.real > np.maximum(_SLOW, error / _CERTAIN), values.real, -np.inf)
    if not np.any(np.isfinite(found)):  # but some may oscillate for ever
        endless = (np.abs(values.imag) > _SLOW) & (values.real > -_UNDAMPED * np.abs(values.imag))
        found = np.where(endless & (np.abs(values.imag) > error / _UNDAMPED), np.abs(values.imag), -np.inf)
    if not np.any(np.isfinite(found)):
        return None
    best = int(np.argmax(found))
    whole = np.zeros(len(j), complex)
    whole[timed], whole[~timed] = modes[:, best], answer @ modes[:, best]
    size = float(np.linalg.norm(whole))
    return Mode(complex(values[best]), whole / size, complex(left[best] @ deviation[timed]) * size)


@functools.partial(jax.jit, static_argnums=1)
def _arnoldi(
    arrays: list[Any], frame: Frame, state: State, scale: State, time: Any, tau: Any, first: Any
) -> tuple[Any, Any, Any]:
    """A basis of the Krylov space of (M − τJ)⁻¹M, its Hessenberg matrix, and whether all equations were solved."""
    problem: SemiDiscrete = frame.filled(arrays)
    names, clock = problem.dynamic, instant(time)
    packing = _packing(problem, state, scale)
    mass = {n: 0.0 if problem.system.species[n].kind == "quasi_steady" else 1.0 for n in names}
    inverse = BlockInverse(problem, problem.evaluate(clock, state), clock, state, tau, mass)
    _, linear = jax.linearize(lambda u: problem.evaluate(clock, u).tendency, state)

    def matrix(v: Any) -> tuple[Any, Any]:
        direction = packing.state(v)
        change = linear(direction)
        image, cost = inverse({n: mass[n] * direction[n] - tau * change[n] for n in names}, _INNER)
        return packing.flat(image), cost

    def extended(j: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        basis, table, solved = carry
        direction = packing.state(basis[j])
        rhs = packing.flat(inverse({n: mass[n] * direction[n] for n in names}, _INNER)[0])
        size = jnp.linalg.norm(rhs)
        found = gmres(matrix, rhs, _AIM * size, 90)
        w, h = found.value, jnp.zeros(_VECTORS + 1)
        for _ in range(2):
            share = basis @ w
            w, h = w - share @ basis, h + share
        length = jnp.linalg.norm(w)
        basis = basis.at[j + 1].set(jnp.where(length > 0, w / jnp.where(length > 0, length, 1.0), 0.0))
        return basis, table.at[:, j].set(h.at[j + 1].set(length)), solved & (found.residual <= 100 * _AIM * size)

    basis = jnp.zeros((_VECTORS + 1, first.size)).at[0].set(first / jnp.linalg.norm(first))
    start = (basis, jnp.zeros((_VECTORS + 1, _VECTORS)), jnp.asarray(True))
    return jax.lax.fori_loop(0, _VECTORS, extended, start)


def _sparse(
    arrays: list[Any], frame: Frame, state: State, scale: State, time: Any, deviation: np.ndarray, timed: np.ndarray
) -> Mode | None:
    size = max(float(np.linalg.norm(deviation * timed)), 1e-9)
    noise = np.random.default_rng(0).standard_normal(len(deviation))
    first = timed * (deviation + _NOISE * size * noise / np.linalg.norm(noise * timed))
    best: Mode | None = None
    for tau in _TIMES:
        basis, table, solved = (
            np.asarray(x) for x in _arnoldi(arrays, frame, state, scale, time, jnp.asarray(tau), jnp.asarray(first))
        )
        if not solved or not np.all(np.isfinite(table)):
            continue
        theta, vectors = np.linalg.eig(table[:-1])
        shares = np.linalg.pinv(vectors)[:, 0] * np.linalg.norm(first)
        for one, vector, share in zip(theta, vectors.T, shares, strict=True):
            if abs(one) < 1e-8:
                continue
            rate = (1.0 - 1.0 / one) / tau
            error = abs(table[-1, -1] * vector[-1]) / (tau * abs(one) ** 2)
            if rate.real > max(_SLOW, error / _CERTAIN) and (best is None or rate.real > best.rate.real):
                best = Mode(complex(rate), vector @ basis[:-1], complex(share))
    return best
