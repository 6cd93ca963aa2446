"""Which cells there are, by group.

A group names every population that any model may have; optional processes and therapies bring some of them, and
``present`` leaves out what a model does not carry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: tumour cells that divide, lose antigen and catch a virus: antigen-positive first
ANTIGEN_CLASSES = ("tumour", "tumour_negative")
#: all living tumour cells
TUMOUR = (*ANTIGEN_CLASSES, "tumour_infected")
#: CAR-T cells that move: effector and exhausted
ROAMING = ("car_t", "car_t_exhausted")
#: CAR-T cells of the model in tissue, and in blood
CAR_T = (*ROAMING, "car_t_memory")
CAR_T_BLOOD = ("car_t_plasma", "car_t_plasma_memory")
#: T cells of the model in tissue
T_CELLS = (*CAR_T, "endogenous_t", "regulatory_t")
#: CAR-T cells that therapies bring: their own population, and those that wait in a scaffold, film, cavity or needle.
#: No process counts them, so that a model is the same without the therapy; what kills their kind kills them
FAP_CAR_T, FAP_CAR_T_BLOOD = "fap_car_t", "fap_car_t_plasma"
WAITING = ("scaffold_cells", "film_cells", "cavity_cells", "needle_cells")
#: every T cell in tissue, and in blood
ANY_T_CELL = (*T_CELLS, FAP_CAR_T)
ANY_T_CELL_BLOOD = (*CAR_T_BLOOD, FAP_CAR_T_BLOOD, "endogenous_t_plasma", "host_t_plasma")
#: all that lives in tissue
LIVING = (*TUMOUR, *ANY_T_CELL, "mdsc", "macrophage", "macrophage_m1", "fibroblast")


def present(group: Iterable[str], state: Any) -> tuple[str, ...]:
    """The populations of ``group`` that there are."""
    return tuple(name for name in group if name in state)


def total(group: Iterable[str], state: Any) -> Any:
    """Σ N over ``group`` in cells/mm³."""
    return sum(state[name] for name in present(group, state))


def dying(group: Iterable[str], rate: Any, state: Any) -> dict[str, Any]:
    """Death of every population of ``group`` at ``rate`` (1/h)."""
    return {f"{name}.death": rate for name in present(group, state)}


def losing(group: Iterable[str], rate: Any, state: Any) -> dict[str, Any]:
    """Loss of every population of ``group`` at ``rate`` (1/h), where it is no death in tissue."""
    return {f"{name}.loss": rate for name in present(group, state)}


def antigen_share(state: Any) -> Any:
    """p = C₊/(C₊ + C₋): the share of infected cells that is taken to be antigen-positive, 0 where all are infected."""
    return state["tumour"] / (total(ANTIGEN_CLASSES, state) + 1.0)


def antigen_positive(state: Any) -> Any:
    """C₊ + p I: cells that show the antigen of their own, infected ones by :func:`antigen_share`."""
    if "tumour_infected" not in state:
        return state["tumour"]
    return state["tumour"] + antigen_share(state) * state["tumour_infected"]


def bystanders_dying(rate: Any, state: Any) -> dict[str, Any]:
    """Death of cells without the antigen at ``rate`` (1/h), of infected ones in their share 1 − p."""
    found = {"tumour_negative.death": rate}
    if "tumour_infected" in state:
        found["tumour_infected.death"] = (1.0 - antigen_share(state)) * rate
    return found
