"""How uncertain the numbers of a scenario are, and draws from that: virtual patients, sensitivity, calibration.

    log x ~ U(log x₀/f, log x₀ f) ∩ bounds          f = 1.5 seen · 2 derived or from memory · 3 assumed

x₀ is the value that the scenario holds and f how far its ``status`` lets it be trusted (an assumption of this module,
as any prior is; give ranges of your own where you have them). Draws are a Latin hypercube (McKay 1979): every number
visits each n-th of its range once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
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
        ValueError: for what is no scenario, a path that is no number of it, or a range that is empty or outside the
            bounds.
    """
    _check_scenario(scenario)
    found = dict(_numbers(scenario.model.processes, "model.processes"))
    found |= dict(_numbers(scenario.interventions, "interventions"))
    given = _ranges(ranges)
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


def _is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__") and np.ndim(value) == 0


def _check_scenario(scenario: Any) -> None:
    if not isinstance(scenario, Scenario):
        given = type(scenario).__name__
        raise ValueError(
            f"`scenario` must be a tmepde.Scenario, but {given} was given. Write Scenario(model, until=…)."
        )


def _ranges(given: Any) -> dict[str, Any]:
    """``ranges`` as a mapping of pairs."""
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"`ranges` must hold (low, high) by path, but {type(given).__name__} was given. Write a dict.")
    for path, pair in (given or {}).items():
        if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str) or len(pair) != 2:
            raise ValueError(f"The range of `{path}` must be two numbers, but {pair!r} was given. Write (low, high).")
    return dict(given or {})


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
        ValueError: for no priors, what is none, or a ``count`` that is no whole number of at least 1.
    """
    for path, one in chosen.items() if isinstance(chosen, Mapping) else [("chosen", chosen)]:
        if not isinstance(one, Prior):
            given = type(one).__name__
            raise ValueError(f"`{path}` must be a Prior, but {given} was given. Take them from priors(scenario).")
    if not _is_whole(count):
        raise ValueError(f"`count` must be a whole number, but {count!r} was given. Write how many draws.")
    if not chosen or not count >= 1:
        raise ValueError(f"`sample` needs priors and at least 1 draw, but {len(chosen)} and {count} were given.")
    from scipy.stats import qmc

    shares = qmc.LatinHypercube(d=len(chosen), rng=np.random.default_rng(seed)).random(count)
    return {path: one.quantile(shares[:, i]) for i, (path, one) in enumerate(chosen.items())}


def drawn(scenario: Scenario, draws: Mapping[str, np.ndarray], index: int) -> Scenario:
    """The scenario with draw ``index``: of the same structure, so that all draws share one compilation.

    Raises:
        ValueError: for what is no scenario, draws that :func:`sample` did not make, or an ``index`` beyond them.
    """
    _check_scenario(scenario)
    if not isinstance(draws, Mapping):
        given = type(draws).__name__
        raise ValueError(
            f"`draws` must be values by path, but {given} was given. Take them from sample(priors, count)."
        )
    for path, values in draws.items():
        count = np.shape(values)[0] if np.ndim(values) == 1 else 0
        if not count:
            raise ValueError(f"`draws` of `{path}` must be a list of numbers, but {values!r} was given. Use sample.")
        if not _is_whole(index) or not -count <= index < count:
            raise ValueError(
                f"`index` must be a whole number below the {count} draws, but {index!r} was given. Count from 0."
            )
        scenario = scenario.replace(path, float(values[index]))
    return scenario
