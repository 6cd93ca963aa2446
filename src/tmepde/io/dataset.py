"""Solutions as one :class:`xarray.Dataset`.

Dimensions ``(scenario, time, z, y, x)``, absent ones dropped; radial grids have ``r``, axisymmetric ones ``(z, r)``.
Space in µm, time in h as plain floats, both with cell bounds or units, so that the dataset can be read with xarray
alone. Fields are NaN outside the tissue. Observables are time series with no spatial dimension. ``budget_*`` and
``mass_balance_error`` say per species what was there, came, went and was not accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from tmepde.io.names import check_fields, reserved
from tmepde.io.provenance import documented_parameters, merged_parameters, provenance
from tmepde.region.region import ARRAYS

CONVENTIONS = "CF-1.11"
BUDGETS = {
    "initial": "Amount at the start",
    "final": "Amount at the end",
    "produced": "Amount produced by sources",
    "lost": "Amount removed by loss rates",
    "inflow": "Net amount that entered through the boundary",
    "killed": "Amount removed by hazards at once",
    "clipped": "Amount added by clipping negative values",
}
_METHODS = {"slab": "area", "cylinder": "area", "sphere": "volume", "axisymmetric": "volume"}


def to_dataset(
    solution: Any, region: Any = None, config_text: str | None = None, name: str | None = None
) -> xr.Dataset:
    """One solution as a dataset with dimensions ``(time, z, y, x)``.

    Args:
        solution: what :func:`tmepde.simulate` returned.
        region: the :class:`~tmepde.region.Region` it ran on, to be stored beside the fields; default what the model
            keeps of it.
        config_text: the resolved configuration, stored with its hash.
        name: a title.

    Raises:
        ValueError: for a species that is called like a variable every dataset has.
    """
    grid = solution.scenario.model.grid
    check_fields(solution.fields, grid.axes)
    dataset = xr.Dataset(coords=_space(grid)).assign_coords(_time(solution.times))
    dataset = dataset.assign(_static(grid, region, solution.scenario.model.tissue))
    dataset = dataset.assign(_fields(solution, grid))
    dataset = dataset.assign(_observables(solution, set(dataset.variables), grid.axes))
    dataset = dataset.assign(_outcome(solution))
    dataset = dataset.assign(_budgets(solution))
    dataset.attrs = {
        "Conventions": CONVENTIONS,
        "title": name or "tmepde simulation",
        "symmetry": grid.symmetry,
        "method": getattr(solution, "method", ""),
        **provenance(dataset, config_text),
        **documented_parameters(solution.scenario, config_text),
    }
    return dataset


def combine_arms(
    solutions: Mapping[str, Any], region: Any = None, config_text: str | None = None, name: str | None = None
) -> xr.Dataset:
    """Several solutions on one grid as a dataset with the leading dimension ``scenario``.

    Arms may have been saved at different times (one that stopped early, say): times are joined and what is missing is
    NaN. What does not differ between arms (grid, region) has no scenario dimension.

    Args:
        solutions: by arm name, in the order they should be shown.
        region, config_text, name: see :func:`to_dataset`.
    """
    if not solutions:
        raise ValueError("`solutions` must contain at least one arm, but it is empty.")
    shapes = {arm: s.scenario.model.grid.shape for arm, s in solutions.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"`solutions` must share one grid, but their shapes are {shapes}. Store them separately.")
    parts = [to_dataset(s, region, config_text, name) for s in solutions.values()]
    static = [v for v in parts[0].data_vars if "time" not in parts[0][v].dims and _is_static(str(v))]
    dataset = xr.concat(
        [part.drop_vars(static) for part in parts],
        dim=xr.Variable("scenario", np.array([str(arm) for arm in solutions])),
        join="outer",
        data_vars="all",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )
    dataset = dataset.assign({v: parts[0][v] for v in static})
    dataset["scenario"].attrs = {"long_name": "Treatment arm", "units": "1"}
    dataset.attrs = dict(parts[0].attrs)
    texts = {str(arm): part.attrs["parameters"] for arm, part in zip(solutions, parts, strict=True)}
    dataset.attrs["parameters"] = merged_parameters(texts)
    return dataset


def _is_static(name: str) -> bool:
    return name.startswith("region_") or name in ("mask", "cell_volume", "species_unit") or name.endswith("_bounds")


def _space(grid: Any) -> dict[str, Any]:
    """Cell centres with their bounds; y of a picture runs down its rows."""
    coordinates: dict[str, Any] = {}
    for k, axis in enumerate(grid.axes):
        faces = np.asarray(grid.faces(k), np.float64)
        attributes = {"units": "um", "long_name": f"Position along {axis}", "bounds": f"{axis}_bounds"}
        centre = "axis" if grid.symmetry == "axisymmetric" else "centre"
        attributes |= {"long_name": f"Distance from the {centre}"} if axis == "r" else {"axis": axis.upper()}
        coordinates[axis] = (axis, np.asarray(grid.centers(k), np.float64), attributes)
        bounds = np.stack([faces[:-1], faces[1:]], axis=-1)
        attributes = {"units": "um", "long_name": f"Cell edges along {axis}"}
        coordinates[f"{axis}_bounds"] = ((axis, "bound"), bounds, attributes)
    return coordinates


def _time(times: Any) -> dict[str, Any]:
    attributes = {"units": "h", "long_name": "Time since the start of the scenario", "axis": "T"}
    return {"time": ("time", np.asarray(times, np.float64), attributes)}


def _static(grid: Any, region: Any, tissue: Mapping[str, Any]) -> dict[str, Any]:
    """Mask, cell volumes and tissue classes, from the region or from the model's own ``region_*`` quantities."""
    axes = grid.axes
    mask = np.ones(grid.shape, bool) if grid.mask is None else np.asarray(grid.mask)
    unit = f"um{grid.resolved}"
    unresolved = {"um": " per um2 of cross-section", "um1": " per um2 of cross-section", "um2": " per um of thickness"}
    out: dict[str, Any] = {
        "mask": (
            axes,
            mask.astype(np.int8),
            {
                "units": "1",
                "long_name": "Tissue mask",
                "flag_values": np.array([0, 1], np.int8),
                "flag_meanings": "outside tissue",
            },
        ),
        "cell_volume": (
            axes,
            np.asarray(grid.volumes(), np.float64),
            {"units": unit.removesuffix("1"), "long_name": "Cell volume" + unresolved.get(unit, "")},
        ),
    }
    for name, (units, long_name) in ARRAYS.items():
        values = getattr(region, name) if region is not None else tissue.get(f"region_{name}")
        if values is not None:
            values = np.where(mask, np.broadcast_to(np.asarray(values, np.float64), grid.shape), np.nan)
            out[f"region_{name}"] = (axes, values.astype(np.float32), {"units": units, "long_name": long_name})
    return out


def _species(scenario: Any) -> dict[str, Any]:
    """All declared species, those of the interventions included."""
    found = dict(scenario.model.species)
    for intervention in (getattr(scenario, "interventions", None) or {}).values():
        for name, species in intervention.species(scenario.model.grid).items():
            found.setdefault(name, species)
    return found


def _fields(solution: Any, grid: Any) -> dict[str, Any]:
    species = _species(solution.scenario)
    out: dict[str, Any] = {}
    for name, values in solution.fields.items():
        values = np.asarray(values)
        known = species.get(name)
        attributes = {
            "units": known.unit if known is not None else "1",
            "long_name": (known.long_name if known is not None else "") or name.replace("_", " ").capitalize(),
            "valid_min": values.dtype.type(0),
        }
        if values.ndim == 1:
            out[name] = ("time", values, attributes | {"cell_methods": "time: point"})
            continue
        if grid.mask is not None:
            values = np.where(np.asarray(grid.mask), values, np.asarray(np.nan, values.dtype))
        methods = f"time: point {_METHODS[grid.symmetry]}: mean"
        out[name] = (("time", *grid.axes), values, attributes | {"cell_methods": methods})
    return out


def _observables(solution: Any, taken: set[Any], axes: Any) -> dict[str, Any]:
    """Time series under their own names, with ``obs_`` before one that is also a field or another variable."""
    declared = getattr(solution.scenario, "observables", None) or {}
    out = {}
    for name, values in solution.observables.items():
        one = declared.get(name)
        attributes = {
            "units": getattr(one, "unit", "1") or "1",
            "long_name": getattr(one, "long_name", "") or name.replace("_", " ").capitalize(),
            "cell_methods": "time: point",
        }
        label = f"obs_{name}" if name in taken or reserved(name, axes) else name
        out[label] = ("time", np.asarray(values), attributes)
    return out


def _outcome(solution: Any) -> dict[str, Any]:
    """How the run went: scalars, one per scenario once combined."""
    status = solution.status
    out: dict[str, Any] = {
        "status": ((), str(getattr(status, "name", status)).lower(), {"long_name": "Result code", "units": "1"}),
        "message": (
            (),
            str(getattr(solution, "message", "") or getattr(status, "message", "")),
            {"long_name": "Result in words", "units": "1"},
        ),
        "wall_time": ((), _seconds(solution.wall_time), {"long_name": "Run time without compilation", "units": "s"}),
        "compile_time": ((), _seconds(solution.compile_time), {"long_name": "Compilation time", "units": "s"}),
    }
    named = {"steps": ("n_steps", "Accepted steps"), "rejected": ("n_rejected", "Rejected steps")}
    for key, value in solution.statistics.items():
        if np.ndim(value) != 0 or isinstance(value, str):
            continue
        name, long_name = named.get(key, (f"n_{key}", key.replace("_", " ").capitalize()))
        out[name] = ((), float(value), {"long_name": long_name, "units": "1"})
    return out


def outcome_values(solution: Any) -> dict[str, Any]:
    """Values of the variables that say how one scenario went, by name."""
    found = _outcome(solution) | _budgets(solution)
    return {name: entry[1] for name, entry in found.items() if name not in ("species", "species_unit")}


def _seconds(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _budgets(solution: Any) -> dict[str, Any]:
    budgets = solution.budgets or {}
    if not budgets:
        return {}
    names = sorted(budgets)
    species = _species(solution.scenario)
    out: dict[str, Any] = {
        "species": ("species", np.array(names), {"long_name": "Species", "units": "1"}),
        "species_unit": (
            "species",
            np.array([species[n].unit if n in species else "1" for n in names]),
            {"long_name": "Unit of the species", "units": "1"},
        ),
    }
    for key, long_name in BUDGETS.items():
        values = [float(budgets[n].get(key, np.nan)) for n in names]
        attributes = {"long_name": long_name, "units": "species_unit * cell_volume"}
        out[f"budget_{key}"] = ("species", np.array(values), attributes)
    errors = [float(budgets[n].get("error", np.nan)) for n in names]
    attributes = {"long_name": "What the budget does not account for, relative to all that was there or came"}
    out["mass_balance_error"] = ("species", np.array(errors), attributes | {"units": "1"})
    return out
