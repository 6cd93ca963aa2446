"""Rows about kinetics in blood, dish and crowd: V9, V10, V14, V17."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

import tmepde as tme
from tmepde.coefficients import Tissue
from tmepde.library.tissue import SIGNALS
from tmepde.model import System
from tmepde.physiology import REGISTRY
from tmepde.schedule import Clock
from tmepde.units import day
from validation.data import needed
from validation.row import Check, quoted, row
from validation.solve import ran, settled


@row("V9", "CAR-T cells in blood, Stein's curve", "Stein et al. 2019 CPT PSP 8:285")
def stein() -> Iterator[Check]:
    model = tme.library.published("stein_2019")
    expected = {2: "36.4", 5: "524.6", 14: "11412", 21: "3845", 28: "1374", 60: "168.4", 100: "141.9", 365: "60.7"}
    times = sorted([*expected, *np.arange(39.0, 42.0, 0.25)])
    found = ran(model, 365 * day, [t * day for t in times], rtol=1e-6)
    effector, memory = (found.fields[f"car_t_{n}"][1:] for n in ("effector", "memory"))
    for t, level in zip(times, effector + memory, strict=True):
        if t in expected:
            value, digit = quoted(expected[t])
            yield Check(f"T at day {t}", value, level, 1e-3 + digit, "copies/µg")
    exposure = float(found.fields["car_t_exposure"][1:][times.index(28)]) / day
    yield Check("AUC from day 0 to 28", 1.718e5, exposure, 1e-3, "copies d/µg")
    crossing = float(np.interp(0.0, np.log(memory / effector)[-30:], np.asarray(times)[-30:]))
    yield Check("day from which memory dominates", 40.1, crossing, 1e-3 + quoted("40.1")[1], "d")


@row("V10", "Kuznetsov's steady states and their stability", "Kuznetsov et al. 1994 Bull. Math. Biol. 56:295")
def kuznetsov() -> Iterator[Check]:
    """Stable states are reached in small pseudo steps from near them, saddles by Newton's method alone."""
    points = {  # start, expected (E, T), first pseudo step in h, unstable directions
        "dormant": ((1.6e6, 8e6), ("1.608e6", "8.186e6"), 0.1, 0),
        "between": ((7.6e5, 2.68e8), ("7.585e5", "2.680e8"), 1e9, 1),
        "escaped": ((2e5, 4.4e8), ("1.732e5", "4.470e8"), 0.1, 0),
        "without tumour": ((3e5, 0.0), ("3.155e5", ""), 0.1, 1),
    }
    for label, (start, wanted, first, unstable) in points.items():
        model = tme.library.published("kuznetsov_1994", effector_start=start[0], tumour_start=start[1])
        fields = settled(model, first=first)
        effector, tumour = (float(fields[n][0]) for n in ("effector", "tumour"))
        for name, found, text in (("E", effector, wanted[0]), ("T", tumour, wanted[1])):
            if text:
                value, digit = quoted(text)
                yield Check(f"{label}: {name}", value, found, 1e-4 + digit, "cells")
        values = np.linalg.eigvals(_jacobian(model, effector, tumour)) * day
        if label == "dormant":
            yield Check("dormant: real part of the eigenvalues", -0.00552, values[0].real, 5e-6, "1/d", "absolute")
            yield Check("dormant: imaginary part", 0.0634, abs(values[0].imag), 5e-5, "1/d", "absolute")
        yield Check(f"{label}: unstable directions", unstable, int(np.sum(values.real > 0)), 0.0, "", "absolute")


def _clock() -> Clock:
    return Clock(*(jnp.asarray(v) for v in (0.0, 0.0, 0.0, 1.0)))


def _jacobian(model: Any, effector: float, tumour: float) -> np.ndarray:
    """∂(s − λu)/∂u of the two populations, per hour."""
    system = System(model)

    def rate(u: Any) -> Any:
        state = {"effector": u[:1], "tumour": u[1:]}
        waist = system.coefficients(_clock(), state)
        return jnp.concatenate([waist.source[n] - waist.loss[n] * state[n] for n in ("effector", "tumour")])

    return np.asarray(jax.jacfwd(rate)(jnp.asarray([effector, tumour])))


@row("V17", "Kills per effector and day in a crowd of targets", "Halle et al. 2016 Immunity (2–16 per day)")
def killing_capacity() -> Iterator[Check]:
    """Without suppression: no TGF-β, no PD-1, cytolysis that needs no oxygen; one effector per mm³."""
    targets, effectors = 2.3e5, 1e-6
    process = REGISTRY["killing"](anoxic_share=1.0)
    state = {"car_t": effectors, "tumour": targets, "oxygen": 0.0}
    tissue = Tissue(tme.Grid.point(), {**SIGNALS, "tgf_beta_signal": 0.0, "pd1_engagement": 0.0})
    loss = float(process.coefficients(_clock(), state, tissue)["tumour.death"])
    kills = loss * targets / effectors * day
    yield Check("kills per effector and day, 5 C/(h + C)", 5.0 * targets / (4e4 + targets), kills, 1e-6)
    yield Check("the same, in Halle's band", (2.0, 16.0), kills, rule="between")


# -- CARRGO -----------------------------------------------------------------------------------------------------------

#: published fits of PBT1 without drug (CARRGODEX, MIT): ρ, 1/K, κ₁, κ₂, θ, both indices at the start, hours, and the
#: T-cell index at the end: of the model, measured
_FITS = {
    "1:4": ((0.302972, 0.323034, 0.556785, 0.0242088, 8.6e-14), (0.4669, 0.25), 84.783, ("0.668", "0.660")),
    "1:8": ((0.230304, 0.558779, 0.399999, 0.0463468, 0.0230155), (0.4633, 0.125), 137.907, ("0.413", "0.416")),
    "1:20": ((0.158647, 0.735856, 0.0634314, 0.0853330, 0.0913270), (0.5035, 0.05), 137.907, ("0.330", "0.331")),
}
#: RMSE of the published fits (recomputed from the data), by line and effectors : targets
_RMSE = {
    "PBT1": {"control": "0.102", "1:4": "0.0316", "1:8": "0.0319", "1:20": "0.0476"},
    "PBT2": {"control": "0.230", "1:4": "0.054", "1:8": "0.075", "1:20": "0.122"},
    "PBT4": {"control": "0.041", "1:4": "0.104", "1:8": "0.056", "1:20": "0.083"},
}
_RATIO = {0.0: "control", 0.25: "1:4", 0.125: "1:8", 0.05: "1:20"}
_FILES = {"PBT1": "car_T_dex_pbt1_pbt2_lines.csv", "PBT2": "car_T_dex_pbt1_pbt2_lines.csv"}


def _fits() -> Iterator[tuple[str, str, dict[str, float], np.ndarray, np.ndarray]]:
    """Line, ratio, published numbers, times (h from the first fitted row) and cell index of each fit without drug."""
    tables = {}
    for name in ("car_T_dex_pbt1_pbt2_lines.csv", "car_T_dex_pbt3_pbt4_lines.csv"):
        with needed("carrgodex", name).open(encoding="utf-8-sig", newline="") as file:
            tables[name] = list(csv.DictReader(file))
    with needed("carrgodex", "fit_parameters.csv").open(encoding="utf-8-sig", newline="") as file:
        fits = [f for f in csv.DictReader(file) if f["tumor_line"] in _RMSE and float(f["dex_.ug.ml."]) == 0]
    for fit in fits:
        line = fit["tumor_line"]
        table = tables[_FILES.get(line, "car_T_dex_pbt3_pbt4_lines.csv")]
        kept = table[int(fit["t_start_.hr."]) : int(fit["t_end_.hr."])]  # row indices, not hours
        time = np.asarray([float(r["Time (Hour)"]) for r in kept])
        index = np.asarray([float(r[fit["data_column"]]) for r in kept])
        numbers = {
            "growth": float(fit["rho_val"]),
            "capacity": 1.0 / float(fit["kappainv_val"]),
            "kill": float(fit["kappac1_val"]),
            "proliferation": float(fit["kappac2_val"]),
            "death": float(fit["theta_val"]),
            "tumour_start": float(index[0]),
            "car_t_start": float(fit["t_cell_start.ci."]),
        }
        yield line, _RATIO[numbers["car_t_start"]], numbers, time - time[0], index


def _course(numbers: dict[str, float], time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = ran(tme.library.published("carrgo", **numbers), float(time[-1]), list(time[1:]), rtol=1e-5)
    return found.fields["tumour"][:, 0], found.fields["car_t"][:, 0]


@row("V14", "CARRGO with its published fits against the data, no dexamethasone", "CARRGODEX (MIT); Brummer et al. 2022")
def carrgo() -> Iterator[Check]:
    """First against quoted figures, then, where the data are given, against them."""
    for ratio, (rates, start, hours, final) in _FITS.items():
        names = ("growth", "capacity", "kill", "proliferation", "death")
        numbers = dict(zip(names, rates, strict=True), tumour_start=start[0], car_t_start=start[1])
        numbers["capacity"] = 1.0 / rates[1]
        _, car_t = _course(numbers, np.asarray([0.0, hours]))
        for what, text in zip(("model", "measured"), final, strict=True):
            value, digit = quoted(text)
            yield Check(f"PBT1 {ratio}: T cells at the end, {what}", value, float(car_t[-1]), 0.02 + digit, "CI")
    for line, ratio, numbers, time, index in _fits():
        tumour, _ = _course(numbers, time)
        value, digit = quoted(_RMSE[line][ratio])
        rmse = float(np.sqrt(np.mean((tumour - index) ** 2)))
        yield Check(f"{line} {ratio}: RMSE against the data", value, rmse, 0.02 + digit, "CI")
        if (line, ratio) == ("PBT1", "control"):
            rate, capacity = _refit(numbers, time, index)
            yield Check("PBT1 control refitted: growth", 0.0477, rate, 0.02, "1/h")
            yield Check("PBT1 control refitted: capacity", 5.20, capacity, 0.02, "CI")


def _refit(numbers: dict[str, float], time: np.ndarray, index: np.ndarray) -> tuple[float, float]:
    """ρ and K of least squares with a free start, the model run by the engine."""
    keys = ("growth", "capacity", "tumour_start")

    def rest(p: np.ndarray) -> np.ndarray:
        return _course({**numbers, **dict(zip(keys, p, strict=True))}, time)[0] - index

    found = least_squares(rest, [numbers[k] for k in keys], x_scale=[0.05, 5.0, 0.5], diff_step=1e-4)
    return float(found.x[0]), float(found.x[1])
