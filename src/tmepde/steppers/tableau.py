"""The numbers of a Rosenbrock-W scheme.

A scheme of s stages for u′ = F(u) with any matrix A in place of the Jacobian (Hairer & Wanner, Solving Ordinary
Differential Equations II, IV.7)

    (I − γΔt A) k_i = F(u_n + Δt Σ_{j<i} α_ij k_j) + Δt A Σ_{j<i} γ_ij k_j
    u_{n+1} = u_n + Δt Σ b_i k_i ,      û = u_n + Δt Σ b̂_i k_i  (one order lower)

is carried out without products by A, in the unknowns l = (Γ/γ) k with Γ = (γ_ij), γ_ii = γ:

    (I − γΔt A) l_i = F(u_n + Δt Σ_{j<i} a_ij l_j) − Σ_{j<i} m_ij l_j
    a = α (Γ/γ)⁻¹ ,   m = (Γ/γ)⁻¹ ,   u_{n+1} = u_n + Δt Σ w_i l_i ,   w = b (Γ/γ)⁻¹ ,   e = (b − b̂)(Γ/γ)⁻¹
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Row = tuple[float, ...]


@dataclass(frozen=True)
class Tableau:
    """α and γ_ij by rows below the diagonal, b, b̂, γ, and the ``order`` of the solution.

    ``power``: the error estimate is O(Δt^power), one more than the order of û. ``relaxed``: the orders above the second
    need quasi-steady fields in balance at every stage and at the result, not at the last stage alone.
    """

    gamma: float
    alpha: tuple[Row, ...]
    coupling: tuple[Row, ...]
    weights: Row
    embedded: Row
    order: int
    power: int
    arguments: tuple[Row, ...] = field(init=False)
    subtract: tuple[Row, ...] = field(init=False)
    final: Row = field(init=False)
    errors: Row = field(init=False)
    times: Row = field(init=False)
    slopes: Row = field(init=False)

    def __post_init__(self) -> None:
        s = self.stages
        alpha, gamma = self.full(self.alpha), self.full(self.coupling) + self.gamma * np.eye(s)
        inverse = np.linalg.inv(gamma / self.gamma)
        b, b_hat = np.asarray(self.weights), np.asarray(self.embedded)
        derived = {
            "arguments": tuple(tuple(row[:i]) for i, row in enumerate((alpha @ inverse).tolist())),
            "subtract": tuple(tuple(row[:i]) for i, row in enumerate(inverse.tolist())),
            "final": tuple((b @ inverse).tolist()),
            "errors": tuple(((b - b_hat) @ inverse).tolist()),
            "times": tuple(alpha.sum(axis=1).tolist()),
            "slopes": tuple((gamma.sum(axis=1) / self.gamma).tolist()),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def stages(self) -> int:
        return len(self.weights)

    def full(self, rows: tuple[Row, ...]) -> Any:
        """A strictly lower triangular table as a square array."""
        s = self.stages
        square = np.zeros((s, s))
        for i, row in enumerate(rows):
            square[i, : len(row)] = row
        return square

    def defects(self, order: int, embedded: bool = False) -> dict[str, float]:
        """What is missing in each condition for ``order`` ≤ 3 *with any matrix A* (Hairer & Wanner II, IV.7).

        For every tree each inner vertex stands for a derivative of F (α) or for A (γ, with its diagonal), so that with
        β ∈ {α, Γ}, 1 the vector of ones and the right-hand side 0 wherever a Γ occurs:

            Σ b = 1 ;   b·β1 = ½ ;   b·(α1)² = ⅓ ,   b·β(β′1) = ⅙
        """
        b = np.asarray(self.embedded if embedded else self.weights)
        alpha, gamma = self.full(self.alpha), self.full(self.coupling) + self.gamma * np.eye(self.stages)
        one, tables = np.ones(self.stages), {"α": alpha, "Γ": gamma}
        found = {"b": b.sum() - 1.0}
        if order >= 2:
            found |= {f"b{n}": b @ t @ one - (0.5 if n == "α" else 0.0) for n, t in tables.items()}
        if order >= 3:
            found["b(α)²"] = b @ (alpha @ one) ** 2 - 1.0 / 3.0
            for (n, t), (m, u) in itertools.product(tables.items(), repeat=2):
                found[f"b{n}{m}"] = b @ t @ u @ one - (1.0 / 6.0 if n + m == "αα" else 0.0)
        return {name: float(value) for name, value in found.items()}

    def stability(self, z: Any) -> Any:
        """R(z) = 1 + z bᵀ(I − zβ)⁻¹1, β = α + Γ: what one step makes of u′ = λu, z = λΔt, for the exact A."""
        beta = self.full(self.alpha) + self.full(self.coupling) + self.gamma * np.eye(self.stages)
        one = np.ones(self.stages)
        return 1.0 + z * (np.asarray(self.weights) @ np.linalg.solve(np.eye(self.stages) - z * beta, one))


def ros2(gamma: float) -> Tableau:
    """ROS2-W (Verwer, Spee, Blom & Hundsdorfer 1999, SIAM J. Sci. Comput. 20:1456): order 2 for every γ and A."""
    return Tableau(
        gamma,
        alpha=((), (1.0,)),
        coupling=((), (-2.0 * gamma,)),
        weights=(0.5, 0.5),
        embedded=(1.0, 0.0),
        order=2,
        power=2,
    )


#: the one-stage W-method with γ = 1; the second stage is there for the error estimate ½Δt l₂
EULER = Tableau(
    1.0, alpha=((), (1.0,)), coupling=((), (-1.0,)), weights=(1.0, 0.0), embedded=(1.5, -0.5), order=1, power=2
)

#: ROS34PW2 (Rang & Angermann 2005, BIT Numer. Math. 45:761): order 3 for every A, stiffly accurate, L-stable; b̂ order 2
ROS34PW2 = Tableau(
    gamma=0.4358665215084590,
    alpha=(
        (),
        (0.8717330430169180,),
        (0.8445706001536942, -0.1129906423648419),
        (0.0, 0.0, 1.0),
    ),
    coupling=(
        (),
        (-0.8717330430169180,),
        (-0.9033805701304408, 0.0541806723880953),
        (0.2421238070609535, -1.2232505839045147, 0.5452602553351021),
    ),
    weights=(0.2421238070609535, -1.2232505839045147, 1.5452602553351021, 0.4358665215084590),
    embedded=(0.3781090314581937, -0.0960422922124232, 0.5, 0.2179332607542295),
    order=3,
    power=3,
)
