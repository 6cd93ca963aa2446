"""Rows about oxygen from measured vessel networks: V11, V12."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
#: radius (µm) of a vessel → that which it has in GreensV4 when it is cut into pieces of 10 µm, as in V12 (derived):
#: pieces further apart than √(10 µm r) act on each other as points on the axis: a wide vessel is felt as a thin one
_FELT = {24: 15.6, 37: 19.1, 40: 19.7, 45: 26.7, 48: 27.6, 55: 29.5}


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


def resistance(path: Path, diameter: np.ndarray) -> np.ndarray:
    """K in mmHg µm h/µm³ by diameter, from the first table of a GreensV4 file."""
    lines = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    table = np.asarray([[float(v) for v in words] for words in lines[2 : 2 + int(lines[0][0])]])
    return np.interp(diameter, table[:, 0], table[:, 1]) * second


class Tissue(NamedTuple):
    """pO₂ (mmHg) of the cells in the box, and oxygen that vessels give over oxygen consumed."""

    oxygen: np.ndarray
    balance: float


def solved(
    box: np.ndarray, network: VesselNetwork, wall: np.ndarray, step: float, margin: float = 100.0, **numbers: Any
) -> Tissue:
    """Around the box lies a ``margin`` of tissue that consumes nothing, as the unbounded space of Green's method."""
    inner = np.maximum(np.round(box[::-1] / step).astype(int), 1)
    widths = box[::-1] / inner
    extra = np.round(margin / widths).astype(int)
    cells = inner + 2 * extra
    grid = tme.Grid([np.full(n, w) for n, w in zip(cells, widths, strict=True)], origin=tuple(-extra * widths))
    inside = tuple(slice(e, e + n) for e, n in zip(extra, inner, strict=True))
    consuming = np.zeros(grid.shape)
    consuming[inside] = 1.0
    vessels = NetworkOxygen.on(grid, network, wall, _KROGH, step, **numbers)
    species = {"oxygen": tme.Species(5.0, _KROGH / float(vessels.solubility), kind="quasi_steady", unit="mmHg")}
    model = tme.Model(grid, species, {"vessels": vessels}, {"consuming": consuming})
    found = settled(model, tolerance=1e-6)["oxygen"]
    around = np.bincount(vessels.piece, vessels.weight * found.ravel()[vessels.cell])
    given = float(np.sum(vessels.exchange * (np.asarray(vessels.blood(found)) - around)))
    eaten = float(np.sum(grid.volumes() * consuming * float(vessels.demand) * found / (float(vessels.half) + found)))
    return Tissue(found[inside].ravel(), given / eaten)


def _statistics(tissue: Tissue, wanted: dict[str, float], causes: dict[str, str], prefix: str = "") -> Iterator[Check]:
    """Mean ± 15 % and fractions ± 0.05, as the table has it; the deviation as the mean."""
    p = tissue.oxygen
    for label, value in wanted.items():
        cause = causes.get(label, "")
        if label.startswith("<"):
            share = float(np.mean(p < float(label[1:])))
            yield Check(f"{prefix}fraction {label} mmHg", value, share, 0.05, "", "absolute", cause)
        else:
            found = {"mean": np.mean, "SD": np.std}[label](p)
            yield Check(f"{prefix}{label} pO₂", value, float(found), 0.15, "mmHg", cause=cause)
    yield Check(f"{prefix}oxygen given over oxygen consumed", 1.0, tissue.balance, 1e-4)  # the tolerance of the solve


_WIDE = (
    "the reference cuts these wide vessels (48–110 µm) into pieces of 10 µm that act on each other as points on the "
    "axis, so that a radius of 45 µm is felt as 27 µm; with the radii so felt its numbers are met (below)"
)


@row("V11", "Oxygen from the R3230Ac network, 104 segments, 550 × 520 × 230 µm", _SOURCE)
def tumour_network() -> Iterator[Check]:
    folder = needed("networks_secomb", "Tumor1998", "network.dat").parent
    box, network = read(folder / "network.dat", 1.333333)
    wall = resistance(folder / "IntravascRes.dat", network.diameter)
    numbers = dict(demand=5e-4 / second, half=1.0, p50=38.0, hill=3.0, inlet=50.0)
    tissue = solved(box, network, wall, 12.5, **numbers)
    wanted = {"mean": 7.70, "SD": 9.37, "<1": 0.295, "<2.5": 0.42, "<5": 0.55, "<10": 0.72}
    yield from _statistics(tissue, wanted, {})
    yield Check(
        "max pO₂, not above the blood (the reference: 65.5)", 50.0, float(np.max(tissue.oxygen)), rule="at most"
    )


@row("V12", "Oxygen from the low-density network, 1000 × 1000 × 200 µm", _SOURCE)
def low_density_network() -> Iterator[Check]:
    folder = needed("networks_secomb", "TumorLowDensity", "network.dat").parent
    box, network = read(folder / "network.dat", 1.0)
    wall = resistance(folder / "IntravascRes.dat", network.diameter)
    numbers = dict(demand=3.83e-5 / second, half=1.0, p50=26.0, hill=2.55, inlet=10.0)
    wanted = {"mean": 2.636, "SD": 2.216, "<1": 0.26, "<2.5": 0.57, "<5": 0.87}
    tissue = solved(box, network, wall, 20.0, **numbers)
    yield from _statistics(tissue, wanted, dict.fromkeys(("mean", "<1", "<2.5", "<5"), _WIDE))
    yield Check(
        "max pO₂, not above the blood (the reference: 11.48)", 10.0, float(np.max(tissue.oxygen)), rule="at most"
    )
    network.diameter = 2.0 * np.interp(0.5 * network.diameter, list(_FELT), list(_FELT.values()))
    felt = solved(box, network, wall, 20.0, **numbers)
    yield from _statistics(felt, wanted, {}, "radii as felt in the reference: ")
