"""Everything that came out of a run."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np

from tmepde._arguments import concrete
from tmepde._results import Status
from tmepde.scenario import Scenario
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.rosenbrock import BUDGET


class Solution(eqx.Module):
    """Fields, observables, budgets and how the run went.

    Attributes:
        times: save times in h, shape ``(n,)``; the first is 0.
        fields: by species, shape ``(n, *grid.shape)`` (compartments ``(n,)``).
        observables: by name, shape ``(n,)``.
        budgets: by species the totals ``initial``, ``final``, ``produced``, ``lost``, ``inflow``, ``killed``,
            ``clipped``, integrated over the tissue as by ``grid.integrate``, and the relative ``error`` of the balance
            (of a steady state NaN but for the first two: there was no run).
        statistics: ``steps``, ``rejected``, ``solver_iterations``.
        status: a :class:`Status`; ``.ok`` is true when it is ``Status.ok``.
        state: the state at the end, to go on from.
        method: the stepper and the linear solver.
    """

    scenario: Scenario
    times: Any
    fields: dict[str, Any]
    observables: dict[str, Any]
    budgets: dict[str, dict[str, Any]]
    statistics: dict[str, Any]
    code: Any
    state: dict[str, Any]
    wall_time: float | None = None
    compile_time: float | None = None
    precision: str = eqx.field(static=True, default="f32")
    method: str = eqx.field(static=True, default="")
    sentence: str = eqx.field(static=True, default="")

    @property
    def status(self) -> Status:
        concrete("The status of a solution", self.code)
        return Status(int(self.code))

    @property
    def ok(self) -> bool:
        return self.status == Status.ok

    @property
    def message(self) -> str:
        """How the run ended, in a sentence; of a failure what, where and when."""
        return self.sentence or self.status.message

    def to_xarray(self) -> Any:
        """An :class:`xarray.Dataset` with coordinates, units and provenance."""
        from tmepde.io.dataset import to_dataset

        concrete("A solution that becomes a dataset", self)
        return to_dataset(self)

    @classmethod
    def collect(
        cls,
        scenario: Any,
        problem: SemiDiscrete,
        times: Any,
        outputs: Any,
        carry: Any,
        totals: Any,
        final: Any,
        timing: Any,
        precision: str,
        method: str = "",
        message: str = "",
    ) -> Solution:
        """From the per-save outputs of a hosted run."""
        fields, observed = jax.tree.map(lambda *leaves: np.stack(leaves), *outputs)
        return cls(
            scenario=scenario,
            times=times,
            fields=fields,
            observables=observed,
            budgets=account_of(problem, carry.budget, *totals),
            statistics=statistics_of(carry),
            code=carry.status,
            state=final,
            wall_time=timing[0],
            compile_time=timing[1],
            precision=precision,
            method=method,
            sentence=message,
        )

    @classmethod
    def of_run(cls, scenario: Any, times: Any, fields: Any, rows: Any, outcome: Any, final: Any) -> Solution:
        """From the fields that a :class:`~tmepde.run.Run` has kept, its rows of observables, and how it ended."""
        observed = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
        return cls(
            scenario=scenario,
            times=times,
            fields=fields,
            observables=observed,
            budgets=outcome.budgets,
            statistics=outcome.statistics,
            code=np.asarray(int(outcome.status)),
            state=final,
            wall_time=outcome.wall_time,
            compile_time=outcome.compile_time,
            precision=outcome.precision,
            method=outcome.method,
            sentence=outcome.message,
        )

    @classmethod
    def traced(
        cls, scenario: Any, times: Any, outputs: Any, carry: Any, budgets: Any, final: Any, method: str = ""
    ) -> Solution:
        """From a run inside a transformation."""
        fields, observed = outputs
        statistics = statistics_of(carry)
        return cls(scenario, times, fields, observed, budgets, statistics, carry.status, final, method=method)

    def __repr__(self) -> str:
        if isinstance(self.code, jax.core.Tracer):
            return "Solution(traced)"
        lines = [f"Solution at {len(self.times)} times to {self.times[-1]:g} h: {self.message}"]
        lines.append("├─ " + ", ".join(f"{k} {int(v)}" for k, v in self.statistics.items()))
        lines.append("└─ fields: " + ", ".join(self.fields))
        return "\n".join(lines)


def statistics_of(carry: Any) -> dict[str, Any]:
    """Counters of a controller by the names results use."""
    return {"steps": carry.steps, "rejected": carry.rejected, "solver_iterations": carry.iterations}


def account_of(problem: SemiDiscrete, budget: Any, initial: Any, final: Any) -> dict[str, dict[str, Any]]:
    """Per species the totals and the relative error of final = initial + produced − lost + inflow − killed.

    ``budget``: a row of :data:`~tmepde.steppers.account.BUDGET` for each dynamic species.
    """
    grid, species = problem.grid, problem.system.species
    out = {}
    for name, values in zip(problem.dynamic, budget, strict=True):
        volume = 1.0 if species[name].kind == "compartment" else grid.solid_angle
        entry = {"initial": volume * initial[name], "final": volume * final[name]}
        entry |= {label: volume * values[i] for i, label in enumerate(BUDGET)}
        balance = entry["initial"] + entry["produced"] - entry["lost"] + entry["inflow"] - entry["killed"]
        size = abs(entry["initial"]) + abs(entry["produced"]) + abs(entry["inflow"]) + abs(entry["final"])
        entry["error"] = abs(entry["final"] - balance) / (size + 1e-30)
        out[name] = entry
    return out
