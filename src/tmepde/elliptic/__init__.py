"""Solvers for c u − ∇·(D ∇u) = r, several fields at once."""

from tmepde.elliptic.fast_diagonal import FastDiagonal
from tmepde.elliptic.multigrid import Multigrid
from tmepde.elliptic.operator import EllipticOperator
from tmepde.elliptic.separable import SeparableOperator, axis_line
from tmepde.elliptic.solve import METHODS, LinearControl, LinearResult, choose, preconditioner, prepare

__all__ = [
    "METHODS",
    "EllipticOperator",
    "FastDiagonal",
    "LinearControl",
    "LinearResult",
    "Multigrid",
    "SeparableOperator",
    "axis_line",
    "choose",
    "preconditioner",
    "prepare",
]
