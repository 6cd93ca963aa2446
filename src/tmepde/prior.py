"""How uncertain the numbers of a scenario are, and draws from that: virtual patients, sensitivity, calibration.

    log x ~ U(log x₀/f, log x₀ f) ∩ bounds          f = 1.5 seen · 2 derived or from memory · 3 assumed

x₀ is the value that the scenario holds and f how far its ``status`` lets it be trusted (an assumption of this module,
as any prior is; give ranges of your own where you have them). Draws are a Latin hypercube (McKay 1979): every number
visits each n-th of its range once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tmepde._types import is_traced
from tmepde.coefficients import unknown
from tmepde.parameter import Parameter, parameters
from tmepde.scenario import Scenario

#: factor either way in which a number may lie, by how far its value can be trusted
TRUST = {"seen": 1.5, "derived": 2.0, "from memory": 2.0, "assumed": 3.0}


@dataclasses.dataclass(frozen=True)
class Prior:
    """A range ``[low, high]`` in the unit of ``parameter``: uniform in log x where ``low`` > 0, else in x."""

    low: float
    high: float
    parameter: Parameter

    def quantile(self, share: Any) -> np.ndarray:
        """The value below which ``share`` (0…1) of the range lies."""
        share = np.asarray(share, float)
        if self.low > 0.0:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share


def priors(scenario: Scenario, ranges: Mapping[str, tuple[float, float]] | None = None) -> dict[str, Prior]:
    """A :class:`Prior` for every number of processes and therapies by its path (``"model.processes.killing.rate"``).

    Numbers that are 0 (what is switched off) and strengths are left out unless ``ranges`` names them.

    Args:
        ranges: (low, high) by path, instead of the range that status and bounds give.

    Raises:
        ValueError: for a path that is no number of the scenario, or a range that is empty or outside the bounds.
    """
    found = dict(_numbers(scenario.model.processes, "model.processes"))
    found |= dict(_numbers(scenario.interventions, "interventions"))
    given = dict(ranges or {})
    for path, (low, high) in given.items():
        if path not in found:
            raise ValueError(unknown("number", path, found) + " (in `ranges`)")
        problem = found[path][0].problem([low, high])
        if problem or not low < high:
            why = problem or f"must increase, but ({low:g}, {high:g}) was given"
            raise ValueError(f"The range of `{path}` {why}. Write (low, high) in {found[path][0].unit}.")
    out = {}
    for path, (parameter, value) in found.items():
        if path in given:
            out[path] = Prior(float(given[path][0]), float(given[path][1]), parameter)
        elif value is not None and value > 0.0 and not path.endswith(".strength"):
            factor = TRUST[parameter.status]
            low, high = (b if b is not None else s for b, s in zip(parameter.bounds, (-np.inf, np.inf), strict=True))
            span = max(value / factor, low), min(value * factor, high)
            if span[0] < span[1]:
                out[path] = Prior(float(span[0]), float(span[1]), parameter)
    return out


def _numbers(modules: Mapping[str, Any], prefix: str) -> Any:
    """(path, (parameter, value or None)) of every scalar parameter below named modules."""
    for name, module in modules.items():
        path = f"{prefix}.{name}"
        for key, parameter in parameters(type(module)).items():
            value = getattr(module, key)
            if not is_traced(value) and np.ndim(value) == 0:
                yield f"{path}.{key}", (parameter, None if value is None else float(value))
        parts = {f.name: getattr(module, f.name) for f in dataclasses.fields(module)}
        parts = {n: p for n, p in parts.items() if dataclasses.is_dataclass(p) and parameters(type(p))}
        yield from _numbers(parts, path)


def sample(chosen: Mapping[str, Prior], count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """``count`` draws of every number in ``chosen``: a Latin hypercube, the same for the same ``seed``.

    Raises:
        ValueError: for no priors, or ``count`` below 1.
    """
    if not chosen or not count >= 1:
        raise ValueError(f"`sample` needs priors and at least 1 draw, but {len(chosen)} and {count} were given.")
    from scipy.stats import qmc

    shares = qmc.LatinHypercube(d=len(chosen), rng=np.random.default_rng(seed)).random(count)
    return {path: one.quantile(shares[:, i]) for i, (path, one) in enumerate(chosen.items())}


def drawn(scenario: Scenario, draws: Mapping[str, np.ndarray], index: int) -> Scenario:
    """The scenario with draw ``index``: of the same structure, so that all draws share one compilation."""
    for path, values in draws.items():
        scenario = scenario.replace(path, float(values[index]))
    return scenario
