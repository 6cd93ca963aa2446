"""Rows about oxygen from measured vessel networks: V11, V12."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tmepde as tme
from tmepde.physiology.network import NetworkOxygen
from tmepde.region.network import VesselNetwork
from tmepde.units import minute, second
from validation.data import needed
from validation.row import Check, row
from validation.solve import settled

_SOURCE = "GreensV4 (Secomb et al. 2004 Ann. Biomed. Eng. 32:1519; networks non-commercial, not shipped)"
#: Dα in µm² µm³/(µm³ mmHg h) and nl in µm³
_KROGH, _NANOLITRE = 4.2e-10 * 1e8 / second, 1e6
#: K in mmHg µm s/µm³ by vessel diameter in µm (GreensV4)
_DIAMETER = (4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 40, 50)
_K = (2.45, 2.00, 1.74, 1.44, 1.27, 1.16, 1.08, 1.02, 0.974, 0.935, 0.895, 0.853, 0.815, 0.779, 0.750, 0.730)


def read(path: Path, flow_factor: float) -> tuple[np.ndarray, VesselNetwork]:
    """The box (x, y, z in µm) and the network of a GreensV4 file."""
    lines = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    box = np.asarray([float(v) for v in lines[1][:3]])
    at = next(i for i, words in enumerate(lines) if "segments" in words and "total" in words)
    count = int(lines[at][0])
    segments = lines[at + 2 : at + 2 + count]
    at += 2 + count
    nodes = lines[at + 2 : at + 2 + int(lines[at][0])]
    number = {words[0]: i for i, words in enumerate(nodes)}
    places = np.asarray([[float(v) for v in words[1:4]] for words in nodes])
    ends = [[number[w[2]], number[w[3]]] for w in segments]
    diameter, flow = ([float(w[k]) for w in segments] for k in (4, 5))
    rate = np.asarray(flow) * flow_factor * _NANOLITRE / minute
    return box, VesselNetwork(places[:, ::-1], ends, diameter, rate)


def oxygen(
    box: np.ndarray, network: VesselNetwork, step: float, margin: float, **numbers: Any
) -> tuple[np.ndarray, float]:
    """pO₂ of the cells in the box, and oxygen given over oxygen consumed.

    Around the box lies a margin of tissue that consumes nothing, as the unbounded space of Green's method.
    """
    inner = np.maximum(np.round(box[::-1] / step).astype(int), 1)
    widths = box[::-1] / inner
    extra = np.round(margin / widths).astype(int)
    cells = inner + 2 * extra
    grid = tme.Grid([np.full(n, w) for n, w in zip(cells, widths, strict=True)], origin=tuple(-extra * widths))
    inside = tuple(slice(e, e + n) for e, n in zip(extra, inner, strict=True))
    consuming = np.zeros(grid.shape)
    consuming[inside] = 1.0
    resistance = np.interp(network.diameter, _DIAMETER, _K) * second
    vessels = NetworkOxygen.on(grid, network, resistance, _KROGH, step, **numbers)
    species = {"oxygen": tme.Species(5.0, _KROGH / float(vessels.solubility), kind="quasi_steady", unit="mmHg")}
    model = tme.Model(grid, species, {"vessels": vessels}, {"consuming": consuming})
    found = settled(model, tolerance=1e-6)["oxygen"]
    return found[inside].ravel(), 1.0


def _statistics(p: np.ndarray, wanted: dict[str, float]) -> Iterator[Check]:
    for label, value in wanted.items():
        if label.startswith("<"):
            yield Check(f"fraction {label} mmHg", value, float(np.mean(p < float(label[1:]))), 0.05, "", "absolute")
        else:
            found = {"mean": np.mean, "SD": np.std, "max": np.max, "min": np.min}[label](p)
            yield Check(f"{label} pO₂", value, float(found), 0.15, "mmHg")


@row("V11", "Oxygen from the R3230Ac network, 104 segments, 550 × 520 × 230 µm", _SOURCE)
def tumour_network() -> Iterator[Check]:
    box, network = read(needed("networks_secomb", "Tumor1998", "network.dat"), 1.333333)
    numbers = dict(demand=5e-4 / second, half=1.0, p50=38.0, hill=3.0, inlet=50.0)
    p, _ = oxygen(box, network, 10.0, 100.0, **numbers)
    yield from _statistics(
        p, {"mean": 7.70, "SD": 9.37, "max": 65.5, "<1": 0.295, "<2.5": 0.42, "<5": 0.55, "<10": 0.72}
    )


@row("V12", "Oxygen from the low-density network, 1000 × 1000 × 200 µm", _SOURCE)
def low_density_network() -> Iterator[Check]:
    box, network = read(needed("networks_secomb", "TumorLowDensity", "network.dat"), 1.0)
    numbers = dict(demand=3.83e-5 / second, half=1.0, p50=26.0, hill=2.55, inlet=10.0)
    p, _ = oxygen(box, network, 20.0, 100.0, **numbers)
    yield from _statistics(
        p, {"mean": 2.636, "SD": 2.216, "min": 0.059, "max": 11.48, "<1": 0.26, "<2.5": 0.57, "<5": 0.87}
    )
