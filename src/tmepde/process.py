"""A process *adds* to tissue quantities and to coefficients; addition commutes, so their order never matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx


class Process(eqx.Module):
    """One mechanism: its docstring opens with the equation, its fields are declared with ``param``.

    Both methods return terms to be *added*, by target. Targets without a dot are tissue quantities
    (``"perfusion"``), targets with a dot are coefficients (``"oxygen.source"``, ``"oxygen.loss"``,
    ``"car_t.diffusivity"``, ``"car_t.velocity"``).
    """

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """Additions to tissue quantities, from the state and the base tissue. Default: none."""
        return {}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """Additions to D (µm²/h), v (µm/h on faces), s (unit/h) and λ (1/h). Default: none."""
        return {}


class FunctionProcess(Process):
    """A process made of one function ``f(clock, state, tissue, **numbers) -> {target: value}``."""

    numbers: dict[str, Any]
    function: Callable[..., dict[str, Any]] = eqx.field(static=True)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return self.function(clock, state, tissue, **self.numbers)


def process(function: Callable[..., dict[str, Any]], **numbers: Any) -> FunctionProcess:
    """Make a process of a function; ``numbers`` are traced, so that new values do not recompile."""
    from tmepde._types import as_number

    return FunctionProcess({k: as_number(v) for k, v in numbers.items()}, function)
