"""A process *adds* to tissue quantities and to coefficients; addition commutes, so their order never matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx


class Process(eqx.Module):
    """One mechanism: its docstring opens with the equation, its fields are declared with ``param``.

    Both methods return terms to be *added*, by target. Targets without a dot are tissue quantities
    (``"perfusion"``), targets with a dot are coefficients (``"oxygen.source"``, ``"oxygen.loss"``,
    ``"car_t.diffusivity"``, ``"car_t.velocity"``). A loss by which cells *die* is written ``"tumour.death"`` instead of
    ``"tumour.loss"``: it counts as loss, and :meth:`aftermath` learns of it.

    ``requires`` names the processes without which this one has nothing to read.
    """

    requires: ClassVar[tuple[str, ...]] = ()

    def brings(self, tissue: Any) -> dict[str, Any]:
        """Species that the process adds to a model, by name, given the base tissue. Default: none.

        A species that the model already has stays as it is; two processes may bring the same one.
        """
        return {}

    def tissue(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """Additions to tissue quantities, from the state and the base tissue. Default: none."""
        return {}

    def factors(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """Factors ≥ 0 of tissue quantities, from the state and the base tissue: (base + Σ additions) · Π factors.

        For what takes a share of something, whatever it is (heat that opens vessels, however many are perfused).
        Default: none.
        """
        return {}

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        """Additions to D (µm²/h), v (µm/h on faces), s (unit/h) and λ (1/h). Default: none."""
        return {}

    def aftermath(self, clock: Any, state: Any, tissue: Any, deaths: Any) -> dict[str, Any]:
        """Additions to coefficients that follow from who dies; ``deaths`` holds rates (1/h) by species, and under
        ``"tumour.lysis"`` the part of such a rate that is by CAR-T cells.

        Rates of death are complete, therapies included, and what is returned here changes none of them, so that order
        cannot matter. Default: none.
        """
        return {}


class FunctionProcess(Process):
    """A process made of one function ``f(clock, state, tissue, **numbers) -> {target: value}``."""

    numbers: dict[str, Any]
    function: Callable[..., dict[str, Any]] = eqx.field(static=True)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return self.function(clock, state, tissue, **self.numbers)


def process(function: Callable[..., dict[str, Any]], **numbers: Any) -> FunctionProcess:
    """Make a process of a function; ``numbers`` are traced, so that new values do not recompile."""
    from tmepde._types import as_number, not_a_number

    made = {k: as_number(v) for k, v in numbers.items()}
    for name, value in made.items():
        problem = not_a_number(value)
        if problem:
            raise ValueError(f"`{name}` {problem}.")
    return FunctionProcess(made, function)
