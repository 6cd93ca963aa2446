"""The long-time limit, solved for directly: R(u) = ∇·(D∇u) − ∇·(v u) + s − λu = 0 for all fields together.

Pseudo-transient continuation with a full Newton step, in double precision whatever is asked for,

    (1/Δτ − ∂R/∂u) δ = R(u) ,   u ← u + δ ,   Δτ ← Δτ · min(4, 0.6/√error), at most 0.5/μ

∂R/∂u is exact (a Jacobian–vector product of the tendencies, all couplings included); GMRES solves for δ, preconditioned
by each field's own diffusion and loss and by the reactions within a cell (see ``steppers.coupled``). Small Δτ follows
the dynamics from the initial state, so that the attractor of that state is found; large Δτ is Newton's method. Where R
grew by a factor g in a step there is a mode that grows at the rate μ = (1 − 1/g)/Δτ, which a long step would turn back:
it doubles in a step at most. Steps that go astray, are not solved or not finite are taken back.
"""

from __future__ import annotations

from tmepde.steady.solve import steady_state

__all__ = ["steady_state"]
