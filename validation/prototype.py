"""An independent program of the core model in a round nodule: numpy and scipy alone, nothing of tmepde.

Written from the equations of the handbook (2.1 to 2.4, 2.9) with fixed vessels and matrix, without TGF-β, PD-1, egress
and interferon, for a comparison with the whole engine as dr → 0 and dt → 0:

    ∂C±/∂t = ∇·(D_C ∇C±) + r h_O q C± − δ K⁴/(K⁴ + O⁴) C± − [C₊ only] k E C₊/(h + E + C₊)
    ∂E/∂t  = −∇·J + [r_E h_O A b (1 − (E + X)/E_max)₊ − δ_E − ε] E + k_x ν f_p a (1 + c/(c + K)) T(t)
    ∂X/∂t  = ∇·(D g ∇X) + ε E − δ_X X
    ∂c/∂t  = ∇·(D_c ∇c) + (q_C (C₊ + C₋) + q_E A E)/φ_i − k_c c
    ∂O/∂t  = ∇·(D_O ∇O) − M N O/(K_O + O) + k_ov f_p (O_v − O)

with A = C₊/(C₊ + K_C), J = −D g (1 − 0.7 A) ∇E + v E, |v| = CI S g (1 − 0.7 A) tanh(l)(1 − (E + X)/E_max)₊ and T(t) the
curve of Stein 2019. Finite volumes in r, limited upwind fluxes, BDF with a sparse Jacobian.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import diags_array, kron

_HOUR, _DAY = 3600.0, 24.0
#: unknowns of a cell: C₊, C₋, E, X, c, O
_FIELDS = 6


@dataclasses.dataclass(frozen=True)
class Arm:
    """What differs between arms. ``blood``: peak in cells/µL; ``drive``: b; ``degraded``: the matrix is gone."""

    blood: float = 36.0
    drive: float = 0.25
    index: float = 0.15
    degraded: bool = False
    normalised: bool = False


RADIUS, NEST, CAPSULE = 1500.0, 600.0, 60.0


def blood(time: float, peak: float) -> float:
    """Cells/µL at ``time`` (h): 3900-fold up to day 9.3, then 0.16/day, and a share of 0.0079 with 0.0032/day."""
    days = time / _DAY
    if days < 9.3:
        return float(peak * np.exp(np.log(3900.0) * (days / 9.3 - 1.0)))
    return float(peak * ((1 - 0.0079) * np.exp(-0.16 * (days - 9.3)) + 0.0079 * np.exp(-0.0032 * (days - 9.3))))


def vessels(r: np.ndarray, arm: Arm) -> tuple[np.ndarray, np.ndarray]:
    """Perfused fraction (0.3 in the core, 0.6 in the rim, 0.9 outside) and adhesion (0.1 in the nest, 1 outside)."""
    core, rim, adhesion = (0.5, 0.8, 0.6) if arm.normalised else (0.3, 0.6, 0.1)
    return np.where(r < 400.0, core, np.where(r < NEST, rim, 0.9)), np.where(r < NEST, adhesion, 1.0)


def matrix(r: np.ndarray, arm: Arm) -> np.ndarray:
    """Collagen: 0.15 in the nest, 0.5 in the capsule, 0.03 outside; 0.03 everywhere where it is degraded."""
    if arm.degraded:
        return np.full_like(r, 0.03)
    base = np.where(r < NEST, 0.15, 0.03)
    return base + (0.5 - base) * ring(r)


def ring(r: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * ((r - NEST) / CAPSULE) ** 2)


class Program:
    """The equations on ``cells`` shells."""

    def __init__(self, arm: Arm, cells: int) -> None:
        self.arm, self.cells, self.step = arm, cells, RADIUS / cells
        faces = np.linspace(0.0, RADIUS, cells + 1)
        self.r, self.area = 0.5 * (faces[1:] + faces[:-1]), faces[1:-1] ** 2
        self.volume = (faces[1:] ** 3 - faces[:-1] ** 3) / 3.0
        collagen = matrix(self.r, arm)
        pore = 3.5 * np.sqrt(0.12 / collagen)
        aligned = 0.0 if arm.degraded else 0.55 * ring(self.r) * collagen / 0.5
        self.free = pore**4 / (pore**4 + 2.3**4) * (1.0 - aligned)
        self.perfused, self.adhesion = vessels(self.r, arm)

    def divergence(self, flux: np.ndarray) -> np.ndarray:
        """−∇· of a flux on the faces between shells; nothing passes the ends."""
        through = self.area * flux
        return (np.append(0.0, through) - np.append(through, 0.0)) / self.volume

    def spread(self, u: np.ndarray, d: Any) -> np.ndarray:
        return self.divergence(-d * np.diff(u) / self.step)

    def drift(self, cells: np.ndarray, other: np.ndarray, c: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Bounded chemotaxis into shells with room, upwind with minmod slopes."""
        slope, level = np.diff(c) / self.step, _faces(c)
        v = self.arm.index * 216.0 * _faces(free) * np.tanh(10.0 * np.abs(slope) / ((1.0 + level) ** 2 * 0.02))
        room = np.maximum(1.0 - (cells + other) / 5e4, 0.0)
        v = v * np.sign(slope) * np.where(slope > 0, room[1:], room[:-1])
        jump, lean = np.diff(cells), np.zeros_like(cells)
        small = np.sign(jump[1:]) * np.minimum(np.abs(jump[1:]), np.abs(jump[:-1]))
        lean[1:-1] = np.where(jump[1:] * jump[:-1] > 0, small, 0.0)
        return self.divergence(v * np.where(v > 0, (cells + 0.5 * lean)[:-1], (cells - 0.5 * lean)[1:]))

    def rates(self, time: float, y: np.ndarray) -> np.ndarray:
        positive, negative, effector, exhausted, c, oxygen = y.reshape(self.cells, _FIELDS).T
        o = np.maximum(oxygen, 0.0)
        tumour, lymphocytes = positive + negative, effector + exhausted
        room = np.maximum(1.0 - 1e-9 * (2572.0 * tumour + 175.0 * lymphocytes) / 0.8, 0.0)
        net = 0.012 * o / (o + 4.0) * room - 0.02 / (1.0 + o**4)
        contact = positive / (positive + 1e4)
        killed = 5.0 / _DAY * effector * positive / (4e4 + effector + positive)
        tiring = (0.05 + 0.1 * contact) / _DAY
        full = np.maximum(1.0 - lymphocytes / 5e4, 0.0)
        division = 0.04 * o / (o + 8.0) * contact * self.arm.drive * full
        entry = 6.0 * 0.02 * self.perfused * self.adhesion * (1.0 + c / (c + 1.0)) * blood(time, self.arm.blood)
        free = self.free * (1.0 - 0.7 * contact)
        d_effector = self.spread(effector, 516.0 * _faces(free)) + self.drift(effector, exhausted, c, free)
        uptake = 57e-3 * _HOUR / 1380.0 * (tumour + 0.1 * lymphocytes)
        return np.array(
            [
                self.spread(positive, 0.4) + net * positive - killed,
                self.spread(negative, 0.4) + net * negative,
                d_effector + (division - 0.1 / _DAY - tiring) * effector + entry,
                self.spread(exhausted, 516.0 * _faces(self.free)) + tiring * effector - 0.15 / _DAY * exhausted,
                self.spread(c, 13.5 * _HOUR)
                + _HOUR / 6.02214076e8 * (0.3 * tumour + 3.0 * contact * effector) / 0.2
                - 1.8 * c,
                self.spread(oxygen, 1750.0 * _HOUR)
                - uptake * oxygen / (1.0 + o)
                + 0.58 * _HOUR * self.perfused * (50.0 - oxygen),
            ]
        ).T.ravel()


def _faces(u: np.ndarray) -> np.ndarray:
    return 0.5 * (u[1:] + u[:-1])


def outcome(arm: Arm, cells: int = 150, days: tuple[float, ...] = (14.0, 28.0)) -> dict[str, np.ndarray]:
    """Burdens over all tumour cells at the start, effectors in the ball, and where they are most dense, at ``days``."""
    program = Program(arm, cells)
    start = np.zeros((cells, _FIELDS))
    nest = program.r < NEST
    start[:, 0], start[:, 1], start[:, 5] = 0.95 * 2.3e5 * nest, 0.05 * 2.3e5 * nest, 30.0
    pattern = kron(diags_array(np.ones((5, cells)), offsets=[-2, -1, 0, 1, 2], shape=(cells, cells)), np.ones((6, 6)))
    times = [d * _DAY for d in days]
    found = solve_ivp(
        program.rates, (0.0, times[-1]), start.ravel(), "BDF", times, jac_sparsity=pattern, rtol=1e-5, atol=1e-3
    )
    if not found.success:
        raise RuntimeError(found.message)
    fields = found.y.T.reshape(len(times), cells, _FIELDS)
    total = (2.3e5 * nest * program.volume).sum()
    held = np.einsum("tcf,c->ft", fields, program.volume)
    return {
        "+": held[0] / total,
        "-": held[1] / total,
        "effectors": 4e-9 * np.pi * held[2],
        "peak": program.r[fields[:, :, 2].argmax(axis=1)],
    }
