"""Figures of docs/therapies/systemic.md, from the experiments of validation/test_therapies_systemic.py.

Run from the repository root: python docs/figures/systemic.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "validation"))
import test_therapies_systemic as experiments  # noqa: E402

IMAGES = ROOT / "docs" / "images"
COLOURS = ["#444444", "#c0392b", "#2471a3", "#1e8449"]


def panels(count: int):
    figure, axes = plt.subplots(1, count, figsize=(3.4 * count, 2.9), layout="constrained")
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.set_xlabel("day")
    return figure, axes


def draw(axis, curves, key, label, log=False, scale=1.0):
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        axis.plot(curve["days"], curve[key] * scale, color=colour, label=name)
    axis.set_ylabel(label)
    if log:
        axis.set_yscale("log")


def save(figure, name):
    figure.savefig(IMAGES / f"{name}.png", dpi=110)
    plt.close(figure)


def local():
    found = experiments.local_against_systemic()
    figure, axes = panels(3)
    names = {"systemic": "1e7 cells into blood", "local": f"{found['need']:.2g} cells into the tumour"}
    curves = {names[n]: c for n, c in found["curves"].items()}
    draw(axes[0], curves, "killed_cells", "tumour cells killed, millions", scale=1e-6)
    draw(axes[1], curves, "il6", "IL-6 in plasma, pg/mL")
    draw(axes[2], curves, "car_t_exposure", "blood exposure, 10³ cells/µL · h", scale=1e-3)
    axes[2].legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, "local_delivery")


def backpack():
    curves = experiments.v19()["curves"]
    figure, axes = panels(2)
    draw(axes[0], curves, "car_t_total", "CAR-T cells in the tumour", log=True)
    axes[0].set_ylim(1e2, None)
    draw(axes[1], {n: c for n, c in curves.items() if n != "cells alone"}, "plasma", "IL-15 in plasma, nM", log=True)
    for line, colour in zip(axes[1].lines, COLOURS[1:], strict=True):
        line.set_color(colour)
    axes[1].set_ylim(1e-4, None)
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, "backpack")


def scaffold():
    found = experiments.v20()["curves"]
    figure, axes = panels(2)
    axes[0].plot(found["days"], found["inside"], color=COLOURS[2])
    axes[0].axhline(1.0, color="0.7", lw=0.8)
    axes[0].set_ylabel("cells in the scaffold / seeded")
    axes[1].plot(found["days"], found["inside"] + found["released"], color=COLOURS[3])
    axes[1].axhline(15.0, color="0.7", lw=0.8)
    axes[1].set_ylabel("cells made / seeded")
    save(figure, "scaffold")


def blockers():
    curves = experiments.blockers()["curves"]
    figure, axes = panels(3)
    draw(axes[0], curves, "il6", "IL-6 in plasma, pg/mL", log=True)
    draw(axes[1], curves, "cytokine_release_grade", "cytokine release, index")
    draw(axes[2], curves, "neurotoxicity_index", "neurotoxicity, index")
    axes[2].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.0, 0.9))
    save(figure, "cytokine_blockers")


if __name__ == "__main__":
    for each in (backpack, local, scaffold, blockers):
        each()
        print(each.__name__, flush=True)
