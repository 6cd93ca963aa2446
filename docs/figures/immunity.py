"""Figures of docs/therapies/immunity.md: ``python docs/figures/immunity.py`` writes docs/images/immunity_*.png."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme
from tmepde import observables
from tmepde.units import day

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "validation"))
from test_therapies_immunity import scenario  # noqa: E402

GRID = tme.Grid.radial(1000.0, 50)
R = np.asarray(GRID.centers(0))
BLUE, RED, GREY, GREEN = "#1f6f8b", "#c44536", "0.55", "#4f772d"


def run(arms: dict[str, list[str]], **changes: Any) -> dict[str, Any]:
    return tme.run_arms(scenario(**changes), arms, save=tme.every(1 * day), precision="f64")


def burden(solution: Any, sign: str) -> Any:
    """Cells, nothing below one tenth of a cell."""
    return np.maximum(np.asarray(solution.observables[f"antigen_{sign}_burden"]), 0.1)


def save(figure: Any, name: str) -> None:
    target = HERE.parent / "images" / f"immunity_{name}.png"
    figure.savefig(target, dpi=100)
    print(target.name)


def relapse() -> None:
    arms = {
        "CAR-T": ["car_t"],
        "CAR-T, TNF bystander": ["car_t", "tnf"],
        "CAR-T, STING agonist": ["car_t", "sting"],
        "CAR-T, virus with antigen": ["car_t", "virus"],
    }
    found = run(arms)
    figure, axes = plt.subplots(1, 4, figsize=(10.0, 2.9), sharey=True, layout="constrained")
    for axis, (name, solution) in zip(axes, found.items(), strict=True):
        days = np.asarray(solution.times) / day
        axis.semilogy(days, burden(solution, "positive"), color=BLUE, label="antigen-positive")
        axis.semilogy(days, burden(solution, "negative"), color=RED, label="antigen-negative")
        axis.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        axis.set(title=name, xlabel="day", ylim=(0.08, 5e5))
        axis.title.set_fontsize(10)
        print(name, *(f"{s} d42 {burden(solution, s)[-1]:.4g}" for s in ("positive", "negative")))
    axes[0].set_ylabel("tumour cells")
    axes[0].legend(frameon=False, fontsize=8, loc=(0.0, 0.3))
    axes[0].text(27, 1.3, "one cell", color=GREY, fontsize=8)
    save(figure, "relapse")


def resistance() -> None:
    fixed = run({"no induction": ["car_t"]}, checkpoint_engagement={"induction": 1.0})
    free = run({"6-fold induction": ["car_t"], "6-fold, anti-PD-1": ["car_t", "blockade"]})
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    at = 12
    fields = free["6-fold induction"].fields
    interferon = np.asarray(fields["ifn_gamma"][at])
    engaged = 1.0 + 5.0 * interferon / (interferon + 0.05)
    left.plot(R, interferon / interferon.max(), color=GREEN, label=f"IFN-γ (of {interferon.max():.2g} nM)")
    left.plot(R, engaged / 6.0, color=RED, label="engaged PD-1 (of 6/µm²)")
    left.set(xlabel="distance from the centre, µm", ylabel="relative", title=f"day {at}", ylim=(0, 1.05))
    left.legend(frameon=False, fontsize=8, loc="lower left")
    for (name, solution), colour in zip((fixed | free).items(), (GREY, RED, BLUE), strict=True):
        right.semilogy(np.asarray(solution.times) / day, burden(solution, "positive"), color=colour, label=name)
        print("resistance", name, f"C+ d12 {burden(solution, 'positive')[at]:.4g}")
    right.set(xlabel="day", ylabel="antigen-positive cells", xlim=(0, 21), ylim=(1, 2e5), title="CAR-T cells and PD-L1")
    right.legend(frameon=False, fontsize=8, loc="lower left")
    save(figure, "pd_l1")


def retention() -> None:
    plan = {
        "car_t": tme.CellInfusion(dose=tme.Bolus(0.0, 6.7e9), armour=tme.Secretes(growth_factor=10.0)),
        "amd3100": tme.Cxcr4Antagonist(dose=tme.Continuous(rate=1500.0, start=4 * day, stop=14 * day)),
    }
    processes = {"growth": {"rate": 0.012}}
    model = tme.library.solid_tumour(GRID, radius=400.0, blood="mouse", processes=processes, therapies=plan)
    scene = tme.Scenario(model, plan, until=14 * day, observables=observables.standard())
    arms = {"CAR-T": ["car_t"], "CAR-T, AMD3100": ["car_t", "amd3100"]}
    found = tme.run_arms(scene, arms, save=tme.every(2 * day), precision="f64")
    figure, axis = plt.subplots(figsize=(5.0, 3.0), layout="constrained")
    for (name, solution), colour in zip(found.items(), (RED, BLUE), strict=True):
        at = list(np.asarray(solution.times)).index(10 * day)
        axis.plot(R, np.asarray(solution.fields["car_t"][at]), color=colour, label=name)
        seen = {n: float(np.asarray(v)[at]) for n, v in solution.observables.items()}
        inside, depth = seen["infiltrated_fraction"], seen["infiltration_depth"]
        start = seen["tumour_burden"]
        print(
            f"retention {name}: inside {inside:.3f}, depth {depth:.1f} um, E {seen['car_t_total']:.4g}, C {start:.4g}"
        )
    level = np.asarray(found["CAR-T"].fields["cxcl12"][at])
    other = axis.twinx()
    other.plot(R, level, color=GREY, linestyle="--", linewidth=1)
    other.set_ylabel("CXCL12, nM (dashed)", color=GREY)
    axis.axvline(400.0, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(
        xlabel="distance from the centre, µm", ylabel="CAR-T cells/mm³", title="day 10; dotted: margin at the start"
    )
    axis.title.set_fontsize(10)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, "cxcr4")


def virus() -> None:
    halves = (0.01, 0.03, 0.1, 0.3, 1.0, 5.0)
    least: dict[str, list[float]] = {"virus alone": [], "virus, CAR-T": []}
    traces = {}
    for half in halves:
        numbers = {"interferon_half": half, "infection": 2e-7}
        found = run(
            {"virus alone": ["virus"], "virus, CAR-T": ["virus", "car_t"]}, negative=1.0, viral_infection=numbers
        )
        for name, solution in found.items():
            least[name].append(float(np.min(burden(solution, "positive") + burden(solution, "negative"))))
            traces[half, name] = solution
        print("virus", half, {n: f"{v[-1]:.4g}" for n, v in least.items()})
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    for (name, values), colour in zip(least.items(), (GREY, BLUE), strict=True):
        left.loglog(halves, values, "o-", color=colour, label=name, markersize=4)
    left.set(xlabel="IFN-γ that halves infection, nM", ylabel="least burden, cells", title="all cells antigen-negative")
    left.legend(frameon=False, fontsize=8)
    shown = (((5.0, "virus alone"), GREY, "virus alone"), ((0.03, "virus, CAR-T"), RED, "both, 0.03 nM"))
    for key, colour, label in (*shown, ((5.0, "virus, CAR-T"), BLUE, "both, 5 nM")):
        days = np.asarray(traces[key].times) / day
        right.semilogy(days, burden(traces[key], "negative"), color=colour, label=label)
    right.set(xlabel="day", ylabel="antigen-negative cells")
    right.legend(frameon=False, fontsize=8, loc="lower left")
    save(figure, "virus")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    relapse()
    resistance()
    retention()
    virus()
