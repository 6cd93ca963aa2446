"""Short ways to the solvers of the engine, in float64, that stop where they fail."""

from __future__ import annotations

from typing import Any

import numpy as np

import tmepde as tme


def settled(model: Any, **keys: Any) -> dict[str, Any]:
    """The fields of ``tme.steady_state``."""
    found = tme.steady_state(model, precision="f64", **keys)
    if not found.ok:
        raise RuntimeError(found.message)
    return {name: np.asarray(field[-1]) for name, field in found.fields.items()}


def ran(model: Any, until: float, save: Any = None, rtol: float = 1e-3, **control: Any) -> tme.Solution:
    """``tme.simulate`` of a scenario, or of a model without therapies."""
    scenario = model if isinstance(model, tme.Scenario) else tme.Scenario(model, until=until)
    found = tme.simulate(scenario, save=save, precision="f64", control=tme.StepControl(rtol=rtol, **control))
    if not found.ok:
        raise RuntimeError(found.message)
    return found
