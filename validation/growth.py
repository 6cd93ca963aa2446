"""Row about growing spheroids: V15."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np

from validation.data import needed
from validation.oxygen import reach, spheroid, uptake_for
from validation.row import Check, row

#: mean outer radius (µm) and necrotic over outer radius, WM983b, 5000 cells seeded, by day (Browning 2021, CC BY 4.0)
_MEANS = {10: (301.0, 0.438), 14: (326.0, 0.603), 18: (352.6, 0.716), 21: (341.7, 0.798)}


def structure(necrotic: np.ndarray) -> np.ndarray:
    """R₁/R = √(1 − 3η² + 2η³): η necrotic over outer radius, R₁ the radius at which necrosis begins."""
    return np.sqrt(1.0 - 3.0 * necrotic**2 + 2.0 * necrotic**3)


def _core(radius: float, onset: float) -> float:
    """η of the oxygen that the engine finds in a spheroid whose uptake is that of the onset radius R₁."""
    r, p = spheroid(radius, 1e-3, rate=uptake_for(onset))
    return reach(r, p, 0.2, 10.0) / radius


def _groups() -> dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray]]:
    """Outer radii and η of the necrotic spheroids (η > 0.05) by line, cells seeded and day."""
    with needed("spheroids_browning2021", "AllConfocalData.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["η"] and float(r["η"]) > 0.05]
    keys = [(r["CellLine"], int(float(r["InitialCondition"])), int(float(r["Day"]))) for r in rows]
    values = np.asarray([(float(r["R"]), float(r["η"])) for r in rows])
    return {k: tuple(values[[i for i, other in enumerate(keys) if other == k]].T) for k in set(keys)}  # type: ignore[misc]


@row(
    "V15",
    "Necrosis of spheroids: Greenspan's structure 1 − 3η² + 2η³ = (R₁/R)²",
    "Browning et al. 2021 eLife 10:e73020 (CC BY 4.0); Greenspan 1972",
)
def spheroids() -> Iterator[Check]:
    """The oxygen of the engine against quoted means; then, where the data are given, R₁ by day and its drift."""
    onset = {day: radius * float(structure(np.asarray(eta))) for day, (radius, eta) in _MEANS.items()}
    for day, (radius, eta) in _MEANS.items():
        yield Check(f"day {day}: η from oxygen, R₁ of that day", eta, _core(radius, onset[day]), 0.1)
    late = _core(_MEANS[21][0], onset[10]) / _MEANS[21][1]
    yield Check("day 21 with R₁ of day 10: η is more than 10 % too small", True, late < 0.9, rule="holds")

    groups = _groups()
    radii = {key: float(np.mean(r * structure(eta))) for key, (r, eta) in groups.items()}
    rims = {key: float(np.mean(r * (1.0 - eta))) for key, (r, eta) in groups.items()}
    yield Check("WM983b, 5000 seeded, day 10: R₁", 231.0, radii["983b", 5000, 10], 0.1, "µm")
    yield Check("WM793b, 10000 seeded, day 10: R₁", 266.0, radii["793b", 10000, 10], 0.1, "µm")
    for seeded in (2500, 5000, 10000):
        label = f"WM983b, {seeded} seeded"
        drift = radii["983b", seeded, 21] / radii["983b", seeded, 10]
        yield Check(
            f"{label}: R₁ at day 21 (100–150 µm ± 10 %)", (90.0, 165.0), radii["983b", seeded, 21], rule="between"
        )
        yield Check(f"{label}: R₁ at day 21 over day 10, a fixed R₁ has left 10 %", 0.9, drift, rule="at most")
        middle = float(np.mean([rims["983b", seeded, day] for day in (10, 12, 14)]))
        yield Check(f"{label}: rim, days 10–14 (130–180 µm ± 10 %)", (117.0, 198.0), middle, rule="between")
        yield Check(f"{label}: rim, day 21 (60–100 µm ± 10 %)", (54.0, 110.0), rims["983b", seeded, 21], rule="between")
        plateau = float(np.mean(np.concatenate([groups["983b", seeded, day][0] for day in (16, 18, 21)])))
        yield Check(f"{label}: outer radius, days 16–21 (330–360 µm ± 10 %)", (297.0, 396.0), plateau, rule="between")
