"""A process *adds* to tissue quantities and to coefficients; addition commutes, so their order never matters."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax


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


@dataclasses.dataclass(frozen=True)
class Bound:
    """``functools.partial`` that equals another one of the same function and values: both are one program.

    Args:
        given: positional values; ``named``: those by name. With their types, since 1 and 1.0 are not the same law.
    """

    function: Callable[..., Any]
    given: tuple[tuple[type, Any], ...]
    named: tuple[tuple[str, type, Any], ...]

    def __call__(self, *more: Any, **numbers: Any) -> Any:
        named = {name: value for name, _, value in self.named}
        return self.function(*(value for _, value in self.given), *more, **(named | numbers))


def comparable(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, if it is a ``functools.partial`` of hashable values as :class:`Bound`."""
    if type(function) is not functools.partial:
        return function
    given = tuple((type(value), value) for value in function.args)
    named = tuple((name, type(value), value) for name, value in sorted(function.keywords.items()))
    made = Bound(comparable(function.func), given, named)
    return made if _hashable(made) else function


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:  # an array, or what holds one
        return False
    return True


class FunctionProcess(Process):
    """A process made of one function ``f(clock, state, tissue, **numbers) -> {target: value}``."""

    numbers: dict[str, Any]
    function: Callable[..., dict[str, Any]] = eqx.field(static=True)

    def coefficients(self, clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return self.function(clock, state, tissue, **self.numbers)


def process(function: Callable[..., dict[str, Any]], **numbers: Any) -> FunctionProcess:
    """Make a process of a function; ``numbers`` are traced, so that new values do not recompile.

    What a ``functools.partial`` holds is a part of the program; two of the same function and values are one program.
    """
    from tmepde._arguments import as_number, given, not_a_number

    if not callable(function) or isinstance(function, type):
        raise ValueError(
            f"`function` must be a function of (clock, state, tissue, …), but {given(function)} was given. Define one."
        )
    made = {k: as_number(v) for k, v in numbers.items()}
    for name, value in made.items():
        # a table or a module of numbers is taken as well
        parts = [value] if isinstance(value, list | tuple) else jax.tree.leaves(value)
        problem = next((told for one in parts if (told := not_a_number(one))), None)
        if problem:
            raise ValueError(f"`{name}` {problem}.")
    return FunctionProcess(made, comparable(function))
