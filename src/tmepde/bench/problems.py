"""The problems themselves, in numpy alone, so that every program solves the same one. Lengths in µm, time in minutes
(w1, w2, w4) or steps (w3); cell-centred finite volumes, no flux.

    box          ∂u/∂t = D∇²u − λu + s, n³ cells of 20 µm, for one minute; u(0) = 1 + exp(−|x − x₁|²/2(0.1L)²) with
                 x₁ = (0.4, 0.45, 0.6)L, s = 1/min in the ball of radius 0.2 L about the centre
    gray_scott   ∂u/∂t = Dᵤ∇²u − uv² + F(1 − u) , ∂v/∂t = Dᵥ∇²v + uv² − (F + k)v, n² unit cells, steps of 1
    oxygen       ∂u/∂t = ∇·(D∇u) + S(38 − u) − Vu/(2.5 + u), n³ cells of 20 µm, for sixty minutes
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

WIDTH = 20.0
#: minutes at which the oxygen runs are compared
TIMES = (1.0, 5.0, 20.0, 60.0)
#: explicit steps: below the stability limit h²/6D of both boxes (w1: 6.67e-4 min)
DT = 6.25e-4
DT_BOX = 5e-4


class Box(NamedTuple):
    """``diffusivity`` and ``decay`` one per field, ``initial`` and ``source`` on the grid, alike for all fields."""

    diffusivity: np.ndarray
    decay: np.ndarray
    initial: np.ndarray
    source: np.ndarray


def centres(n: int) -> tuple[np.ndarray, ...]:
    """Coordinates of the centres of n³ cells."""
    line = (np.arange(n) + 0.5) * WIDTH
    return tuple(np.meshgrid(line, line, line, indexing="ij"))


def _squared(axes: tuple[np.ndarray, ...], centre: list[float]) -> np.ndarray:
    """|x − centre|² of every cell."""
    return np.sum([(x - c) ** 2 for x, c in zip(axes, centre, strict=True)], axis=0)


@functools.lru_cache(maxsize=2)
def box(n: int, fields: int = 1) -> Box:
    """One field: D 1e5 µm²/min, λ 0.1/min. Several: D from 1e3 to 1e5, λ from 0.01 to 1, evenly in the logarithm."""
    length = n * WIDTH
    axes = centres(n)
    away = _squared(axes, [c * length for c in (0.4, 0.45, 0.6)])
    ball = _squared(axes, [0.5 * length] * 3) < (0.2 * length) ** 2
    initial = 1.0 + np.exp(-away / (2.0 * (0.1 * length) ** 2))
    if fields == 1:
        return Box(np.array([1e5]), np.array([0.1]), initial, 1.0 * ball)
    return Box(np.geomspace(1e3, 1e5, fields), np.geomspace(0.01, 1.0, fields), initial, 1.0 * ball)


def box_rates(n: int, diffusivity: float, decay: float) -> np.ndarray:
    """μ = λ + D Σ (2 − 2cos(πk/n))/h²: decay rates of the cosine modes of the discrete operator (DCT-II)."""
    line = diffusivity * (2.0 - 2.0 * np.cos(np.pi * np.arange(n) / n)) / WIDTH**2
    return decay + line[:, None, None] + line[None, :, None] + line[None, None, :]


def box_exact(n: int, fields: int = 1, time: float = 1.0, dtype: Any = np.float64) -> np.ndarray:
    """û(t) = e^(−μt) û(0) + (1 − e^(−μt))/μ ŝ for every field, by scipy's cosine transform; ``(fields, n, n, n)``."""
    from scipy.fft import dctn, idctn

    d, decay, initial, source = box(n, fields)
    u = dctn(initial.astype(dtype), norm="ortho", workers=-1)
    s = dctn(source.astype(dtype), norm="ortho", workers=-1)
    out = np.empty((len(d), n, n, n), dtype)
    for i in range(len(d)):
        mu = box_rates(n, d[i], decay[i])
        keep, gain = np.exp(-mu * time).astype(dtype), (-np.expm1(-mu * time) / mu).astype(dtype)
        out[i] = idctn(keep * u + gain * s, norm="ortho", workers=-1)
    return out


class GrayScott(NamedTuple):
    """Numbers and initial fields of the pattern."""

    du: float
    dv: float
    feed: float
    kill: float
    u: np.ndarray
    v: np.ndarray


@functools.lru_cache(maxsize=2)
def gray_scott(n: int) -> GrayScott:
    """A seeded square in the middle with a ripple on it, so that a pattern grows."""
    x, y = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    seed = (abs(x - n / 2) < n / 8) & (abs(y - n / 2) < n / 8)
    ripple = 0.05 * np.cos(0.31 * x) * np.cos(0.17 * y)
    u = np.where(seed, 0.5 + ripple, 1.0)
    v = np.where(seed, 0.25 - ripple, 0.0)
    return GrayScott(0.16, 0.08, 0.035, 0.065, u, v)


def gray_scott_steps(n: int, steps: int, dtype: Any = np.float64) -> np.ndarray:
    """``steps`` explicit Euler steps of 1 by numpy; ``(2, n, n)``."""
    g = gray_scott(n)
    u, v = (np.pad(a.astype(dtype), 1, mode="edge") for a in (g.u, g.v))

    def spread(a: np.ndarray) -> np.ndarray:
        inner = a[1:-1, 1:-1]
        return a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] - dtype(4) * inner

    du, dv, feed, kill, one = (dtype(x) for x in (g.du, g.dv, g.feed, g.kill, 1.0))
    for _ in range(steps):
        a, b = u[1:-1, 1:-1], v[1:-1, 1:-1]
        reaction = a * b * b
        change_u = du * spread(u) - reaction + feed * (one - a)
        change_v = dv * spread(v) + reaction - (feed + kill) * b
        a += change_u
        b += change_v
        for f in (u, v):
            f[0], f[-1], f[:, 0], f[:, -1] = f[1], f[-2], f[:, 1], f[:, -2]
    return np.stack([u[1:-1, 1:-1], v[1:-1, 1:-1]])


class Oxygen(NamedTuple):
    """Diffusivity, uptake V and supply S per cell, per minute."""

    diffusivity: np.ndarray
    uptake: np.ndarray
    supply: np.ndarray


@functools.lru_cache(maxsize=2)
def oxygen(n: int) -> Oxygen:
    """D = 1e5·10^(−½(1 − Π cos 2πx/L)); in the ball of radius 0.3 L D×0.1, V 20, S 0.02; outside V 3, S 0.5."""
    length = n * WIDTH
    axes = centres(n)
    waves = np.prod([np.cos(2 * np.pi * x / length) for x in axes], axis=0)
    ball = _squared(axes, [0.5 * length] * 3) < (0.3 * length) ** 2
    diffusivity = 1e5 * 10 ** (-0.5 * (1 - waves)) * np.where(ball, 0.1, 1.0)
    return Oxygen(diffusivity, np.where(ball, 20.0, 3.0), np.where(ball, 0.02, 0.5))


def face_rates(d: np.ndarray) -> tuple[np.ndarray, ...]:
    """2 d_i d_j/(d_i + d_j)/h² on the inner faces of each axis: harmonic means, n − 1 along that axis."""
    out = []
    for k in range(d.ndim):
        a, b = np.take(d, range(0, d.shape[k] - 1), k), np.take(d, range(1, d.shape[k]), k)
        out.append(2.0 * a * b / (a + b) / WIDTH**2)
    return tuple(out)


def worst(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest relative L2 difference over the first axis."""
    pairs = zip(np.asarray(found, float), np.asarray(exact, float), strict=True)
    return float(max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs))
