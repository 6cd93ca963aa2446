"""Which part of a dataset is exported: fields, arms and times by name, with what there is in every refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tmepde.coefficients import unknown

_AXES = ("z", "y", "x", "r")
#: a time is taken for a saved one within this part of it
_SAME = 1e-6


def chosen(dataset: Any, fields: Sequence[str], arms: Sequence[str], times: Sequence[float]) -> Any:
    """The part of ``dataset``, each time once and in order; empty sequences keep all.

    Raises:
        ValueError: for a name or time that is not there, or a dataset that is not one of ours.
    """
    if "time" not in dataset.dims or not space(dataset):
        raise ValueError(
            "`dataset` must have the dimension `time` and one of space, as tmepde writes them, but has "
            f"{', '.join(map(str, dataset.dims)) or 'none'}. Open the store with `open_store`."
        )
    if not dataset.sizes["time"]:
        raise ValueError("`dataset` must hold at least one time, but it has none.")
    if arms:
        dataset = _arms(dataset, arms)
    if len(times):
        dataset = dataset.isel(time=sorted({_index(dataset, one) for one in times}))
    if fields:
        known = [str(n) for n in dataset.data_vars]
        for name in fields:
            if name not in known:
                raise ValueError(unknown("field", name, known) + " (`field`)")
        dataset = dataset.drop_vars([n for n in dataset.data_vars if _moving(dataset, n) and n not in fields])
    return dataset


def space(dataset: Any) -> tuple[str, ...]:
    """The dimensions of space in array order."""
    return tuple(a for a in _AXES if a in dataset.dims)


def images(dataset: Any) -> list[str]:
    """Names of the variables that have all dimensions of space, those with time first.

    Raises:
        ValueError: if there is none.
    """
    axes = set(space(dataset))
    names = [str(n) for n, v in dataset.data_vars.items() if axes <= set(v.dims) and set(v.dims) <= axes | _OUTER]
    names = [n for n in names if not n.endswith("_bounds")]
    if not any("time" in dataset[n].dims for n in names):
        raise ValueError(
            "`field` must name at least one field in space, but none was chosen. "
            "The run may have saved none (run.save.fields), or only time series were asked for."
        )
    return sorted(names, key=lambda n: "time" not in dataset[n].dims)


def members(dataset: Any) -> Iterator[tuple[str, Any]]:
    """(name, dataset without ``scenario``) of every arm; a dataset of one run has the name ``run``."""
    if "scenario" not in dataset.dims:
        yield "run", dataset
        return
    for index, name in enumerate(dataset["scenario"].values):
        yield str(name), dataset.isel(scenario=index)


def spacing(dataset: Any) -> dict[str, tuple[float, float]]:
    """(first face, width) in µm per axis of space.

    Raises:
        ValueError: where the cells of an axis are not equal, which an image cannot say.
    """
    out = {}
    for axis in space(dataset):
        bounds = np.asarray(dataset[f"{axis}_bounds"].values, float)
        widths = bounds[:, 1] - bounds[:, 0]
        if np.ptp(widths) > 1e-6 * widths.mean():
            raise ValueError(
                f"`{axis}` must have equal cells for an image, but they are {widths.min():g} to {widths.max():g} um "
                "wide. Export to netcdf."
            )
        out[axis] = (float(bounds[0, 0]), float(widths.mean()))
    return out


_OUTER = {"time", "scenario"}


def _moving(dataset: Any, name: Any) -> bool:
    return "time" in dataset[name].dims


def _arms(dataset: Any, arms: Sequence[str]) -> Any:
    if "scenario" not in dataset.dims:
        raise ValueError(f"`arm` {arms[0]!r} cannot be chosen, because the dataset has no arms. Leave it out.")
    known = [str(n) for n in dataset["scenario"].values]
    for name in arms:
        if name not in known:
            raise ValueError(unknown("arm", name, known) + " (`arm`)")
    return dataset.isel(scenario=[known.index(name) for name in arms])


def _index(dataset: Any, time: float) -> int:
    saved = np.asarray(dataset["time"].values, float)
    nearest = int(np.argmin(np.abs(saved - time))) if saved.size else 0
    if not saved.size or not abs(saved[nearest] - time) <= _SAME * max(1.0, abs(time)):
        near = ", ".join(f"{t:g}" for t in sorted(saved, key=lambda t: abs(t - time))[:3])
        raise ValueError(f"`time` must be a saved time, but {time:g} h was given. Near it: {near} h.")
    return nearest
