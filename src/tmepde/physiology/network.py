"""Oxygen from resolved vessels: convection along a network, release through the wall, consumption around it.

    Q dC/ds = −J ,     C(P) = c_b H P^n/(P^n + P₅₀^n) + α P                     blood, mixed at nodes
    J = (P − P̄_wall)/(K + ln(ρ/r)/(2πDα))                                       per length, from blood to tissue
    0 = ∇·(D ∇O) − M/α · O/(O + P_c) + Σ J/α                                    tissue

Q flow, H hematocrit, P pO₂ of the blood, P̄_wall the mean of the tissue around the wall, K the resistance of blood and
wall (Secomb: 2.45 mmHg µm s/µm³ for 4 µm, 1.27 for 10 µm), ρ the effective radius of the smeared wall. The whole march
downstream is evaluated with every oxygen field, so that Newton's method sees blood and tissue as one.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import as_number
from tmepde.grid import Grid
from tmepde.parameter import param
from tmepde.process import Process
from tmepde.region.network import VesselNetwork, effective_radius

#: bisections of the pO₂ of blood: 200 mmHg · 2⁻⁴⁵ is round-off
_HALVINGS = 45


def _whole(value: Any) -> Any:
    return value if value is None or isinstance(value, jax.Array | jax.ShapeDtypeStruct) else np.asarray(value)


class NetworkOxygen(Process):
    """s_O = Σ G P/(αV), λ_O = Σ G/(αV) + M/(α (O + P_c)): vessels of a network as sources of ``oxygen``.

    Built by :meth:`on`. ``blood(oxygen)`` gives the pO₂ of the blood in each piece.
    """

    demand: Any = param(
        "1/h", doc="oxygen consumption, cm3/cm3 (5e-4/s)", default=1.8, bounds=(0, 100), ref="Secomb", status="seen"
    )
    half: Any = param("mmHg", doc="Michaelis constant", default=1.0, bounds=(1e-6, 50), ref="Secomb", status="seen")
    solubility: Any = param(
        "1/mmHg", doc="oxygen dissolved, cm3/cm3", default=3.1e-5, bounds=(1e-7, 1e-2), ref="Secomb", status="seen"
    )
    capacity: Any = param(
        "1", doc="oxygen bound by red cells, cm3/cm3", default=0.5, bounds=(0, 1), ref="Secomb", status="seen"
    )
    haematocrit: Any = param("1", doc="discharge haematocrit", default=0.4, bounds=(0, 1), ref="Secomb", status="seen")
    p50: Any = param(
        "mmHg", doc="pO2 of half saturation (rat)", default=38.0, bounds=(1, 100), ref="Secomb", status="seen"
    )
    hill: Any = param("1", doc="Hill exponent", default=3.0, bounds=(1, 6), ref="Secomb", status="seen")
    inlet: Any = param(
        "mmHg", doc="pO2 of the blood that enters", default=50.0, bounds=(0, 150), ref="Secomb", status="seen"
    )
    exchange: Any = eqx.field(converter=as_number, default=0.0)
    flow: Any = eqx.field(converter=as_number, default=0.0)
    inflow: Any = eqx.field(converter=as_number, default=0.0)
    weight: Any = eqx.field(converter=as_number, default=0.0)
    start: Any = eqx.field(converter=_whole, default=None)
    end: Any = eqx.field(converter=_whole, default=None)
    enters: Any = eqx.field(converter=_whole, default=None)
    piece: Any = eqx.field(converter=_whole, default=None)
    cell: Any = eqx.field(converter=_whole, default=None)

    @classmethod
    def on(
        cls, grid: Grid, network: VesselNetwork, resistance: Any, krogh: float, step: float = 10.0, **numbers: Any
    ) -> NetworkOxygen:
        """The process on ``grid``.

        Args:
            network: its vessels, in the coordinates of the grid.
            resistance: K of each segment in mmHg µm h/µm³ O₂.
            krogh: Dα of the tissue in µm² µm³ O₂/(µm³ mmHg h).
            step: longest piece of vessel in µm.
        """
        pieces = network.pieces(step)
        outside = np.log(effective_radius(pieces.radius, grid) / pieces.radius) / (2.0 * np.pi * krogh)
        conductance = pieces.length / (np.asarray(resistance, float)[pieces.segment] + outside)
        if np.any(conductance <= 0):
            raise ValueError("The resistance of a vessel wall must be positive. Raise `resistance` or refine the grid.")
        walls = network.walls(grid, pieces).tocoo()
        joints = len(pieces.inflow)
        return cls(
            **numbers,
            exchange=conductance,
            flow=pieces.flow,
            inflow=pieces.inflow,
            weight=walls.data,
            start=pieces.start,
            end=pieces.end,
            enters=np.isin(np.arange(joints), network.inlets),
            piece=walls.row,
            cell=walls.col,
        )

    def content(self, pressure: Any) -> Any:
        """C(P) in cm³ of oxygen per cm³ of blood."""
        ratio = jnp.maximum(pressure, 1e-12) / self.p50
        bound = 1.0 / (1.0 + jnp.exp(-self.hill * jnp.log(ratio)))
        return self.capacity * self.haematocrit * bound + self.solubility * pressure

    def blood(self, oxygen: Any) -> Any:
        """pO₂ (mmHg) at the end of each piece, for a tissue field: one sweep downstream."""
        oxygen, inflow = jnp.asarray(oxygen), jnp.asarray(self.inflow)
        around = jax.ops.segment_sum(self.weight * oxygen.ravel()[self.cell], self.piece, self.flow.shape[0])
        entering = jnp.where(self.enters, self.inflow * self.content(self.inlet), 0.0)

        def pass_one(carried: Any, one: Any) -> tuple[Any, Any]:
            start, end, flow, exchange, near = one
            given = flow * carried[start] / inflow[start] + exchange * near
            pressure = self._pressure(flow, exchange, given)
            return carried.at[end].add(flow * self.content(pressure)), pressure

        pieces = (self.start, self.end, self.flow, self.exchange, around)
        return jax.lax.scan(pass_one, entering, jax.tree.map(jnp.asarray, pieces))[1]

    def _pressure(self, flow: Any, exchange: Any, given: Any) -> Any:
        """P of Q C(P) + G P = given: bisection, then one Newton step, whose derivative is the right one."""

        def excess(p: Any) -> Any:
            return flow * self.content(p) + exchange * p - given

        def halve(_: Any, span: Any) -> Any:
            low, high = span
            middle = 0.5 * (low + high)
            above = fixed(middle) > 0
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        frozen = jax.lax.stop_gradient((self, flow, exchange, given))

        def fixed(p: Any) -> Any:
            one, q, g, total = frozen
            return q * one.content(p) + g * p - total

        low = jnp.zeros_like(given)
        low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (low, low + 200.0))
        root = jax.lax.stop_gradient(0.5 * (low + high))
        slope = jax.lax.stop_gradient(jax.grad(fixed)(root))
        return jnp.maximum(root - excess(root) / slope, 0.0)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        oxygen, grid = state["oxygen"], tissue.grid
        cells = oxygen.size
        volumes = jnp.asarray(grid.volumes(), oxygen.dtype) * self.solubility
        per_entry = self.weight * jnp.asarray(self.exchange)[self.piece]
        loss = jax.ops.segment_sum(per_entry, self.cell, cells).reshape(grid.shape)
        blood = self.blood(oxygen)
        source = jax.ops.segment_sum(per_entry * blood[self.piece], self.cell, cells).reshape(grid.shape)
        eaten = self.demand * tissue["consuming"] / (self.solubility * (self.half + oxygen))
        return {"oxygen.source": source / volumes, "oxygen.loss": loss / volumes + eaten}
