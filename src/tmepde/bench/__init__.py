"""How fast, how accurate, beside what: the measurements of ``tmepde bench``.

Every workload is a function ``(Options) -> Record``: it solves a problem stated in :mod:`tmepde.bench.problems` as a
user would, takes the best of several repeats after a warm-up with compilation apart, and measures the error against
something this package did not compute. ``record.limits`` holds what the machine could do in the same minute.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

from tmepde.bench.record import Options, Record

#: workload → (module, what it measures)
WORKLOADS = {
    "w1": ("box", "one field, uniform diffusion, decay and source in a closed box"),
    "w2": ("box", "the same with ten fields"),
    "w3": ("gray_scott", "Gray–Scott in two dimensions by explicit steps"),
    "w4": ("oxygen", "oxygen in tissue of uneven diffusivity with saturable uptake"),
    "w5": ("scaling", "one stencil and one linear solve from small to large grids"),
    "reference": ("reference", "the model of a solid tumour on a colon section and in a nodule"),
    "milieu": ("milieu", "the solid tumour with every optional process on, four weeks"),
    "gradient": ("gradient", "the gradient of a run with respect to ten parameters"),
    "batch": ("batch", "many scenarios at once against one after the other"),
    "sweep": ("sweep", "a sweep of the colon section against a loop and against separate processes"),
    "store": ("store", "what writing results costs"),
    "devices": ("devices", "what devices send to each other where one domain lies on many"),
    "gpu": ("gpu", "stencil, multigrid cycle and w1 to w5 against the bandwidth of a graphics processor"),
    "gpu_models": ("gpu", "the model of a solid tumour in three dimensions, and batches, on a graphics processor"),
}
NAMES = tuple(WORKLOADS)


class NoDeviceError(RuntimeError):
    """The measurement needs a device that this machine lacks; the text says what was predicted for it."""


def run(name: str, options: Options | None = None, keep: Callable[[Record], None] | None = None) -> Record:
    """Measure one workload of :data:`WORKLOADS`.

    Args:
        keep: is given what there is of the record whenever a long workload has finished a part of it.

    Raises:
        ValueError: for an unknown name or a size that cannot be run.
        NoDeviceError: for ``"gpu"`` and ``"gpu_models"`` where there is none.
    """
    if name not in WORKLOADS:
        raise ValueError(f"`name` must be one of {', '.join(NAMES)}, but {name!r} was given. Choose one of these.")
    options = Options() if options is None else options
    options.check()
    from tmepde.bench.placement import placement

    before = placement()
    module = importlib.import_module(f"tmepde.bench.{WORKLOADS[name][0]}")

    def complete(record: Record) -> Record:
        from tmepde.bench.measure import surroundings

        record.quick, record.surroundings = options.quick, surroundings(options, before)
        return record

    def part(record: Record) -> None:
        if keep is not None:
            keep(complete(record))

    return complete(module.measure(name, dataclasses.replace(options, keep=part)))


__all__ = ["NAMES", "WORKLOADS", "NoDeviceError", "Options", "Record", "run"]
