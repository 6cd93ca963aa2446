"""Solvers for c u − ∇·(D ∇u) = r, several fields at once."""

from tmepde.elliptic.multigrid import Multigrid
from tmepde.elliptic.operator import EllipticOperator
from tmepde.elliptic.solve import LinearControl, LinearResult, prepare

__all__ = ["EllipticOperator", "LinearControl", "LinearResult", "Multigrid", "prepare"]
