"""The pictures of docs/therapies/stroma.md: ``python docs/figures/stroma.py`` writes them to docs/images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
from tmepde.physiology import Perfusion  # noqa: E402
from tmepde.physiology.pores import hydraulic_conductivity, wall_permeability  # noqa: E402
from tmepde.physiology.rates import inhibition  # noqa: E402
from tmepde.physiology.vessels import PORE_AREA, WALL  # noqa: E402
from validation import stroma_runs as runs  # noqa: E402

BLUE, RED, GREY, GREEN = "#2b6a99", "#b5413a", "#777777", "#3b7d4f"
plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


def _save(figure: Any, name: str) -> None:
    figure.savefig(HERE.parent / "images" / f"stroma_{name}.png", dpi=110)
    plt.close(figure)
    print(name, flush=True)


def _exchange(size: Any, pore: float) -> Any:
    """f_p P ν of one particle size."""
    perfused = inhibition(hydraulic_conductivity(pore, PORE_AREA, WALL) * 0.02, Perfusion().leak_half)
    return perfused * np.asarray([wall_permeability(s, pore, PORE_AREA, WALL) for s in size])


def vessels() -> None:
    """Particle sizes under normalisation (Chauhan 2012), and the dose of anti-VEGF (Mpekris 2020)."""
    size = np.linspace(4.0, 140.0, 120)
    figure, (sizes, doses) = plt.subplots(1, 2, figsize=(7.4, 2.9), layout="constrained")
    sizes.plot(size, _exchange(size, 100.0) / _exchange(size, 200.0), color=BLUE)
    sizes.plot([12, 60, 125], [1.67, 0.19, 0.0], "o", color=RED, mfc="white", label="12, 60, 125 nm")
    sizes.axhline(1.0, color=GREY, lw=0.8, ls=":")
    sizes.set(xlabel="particle, nm", ylabel="exchange, pores 100 over 200 nm", ylim=(-0.05, 2))
    sizes.legend()
    found = runs.v21()
    amounts = [0.0, 300.0, 1000.0, 3000.0, 15000.0]
    names = ["alone", "before 300", "before", "before 3000", "before 15000"]
    left = np.asarray([found[n]["antigen_positive_burden"] for n in names])
    cells = np.asarray([found[n]["car_t_total"] for n in names])
    doses.plot(amounts, left / left[0], "o-", color=RED, label="antigen-positive cells")
    doses.plot(amounts, cells / cells[0], "s-", color=BLUE, label="CAR-T cells in tissue")
    doses.set_xscale("symlog", linthresh=300.0)
    doses.set(xlabel="anti-VEGF, nmol, five days before", ylabel="over CAR-T alone", ylim=(0, None))
    doses.set_xticks(amounts, [f"{a:g}" for a in amounts])
    doses.legend()
    print({n: round(found[n]["antigen_positive_burden"]) for n in found})
    _save(figure, "vessels")


def cells() -> None:
    """FAP-CAR-T cells first (V23), and enzymes on CAR-T cells with and without matrix (V22)."""
    figure, (order, depth) = plt.subplots(1, 2, figsize=(7.4, 2.9), layout="constrained")
    fap = {n: one["antigen_positive_burden"] for n, one in runs.v23_fap().items()}
    bars = order.bar(
        ["CAR-T\nalone", "FAP-CAR\nwith", "FAP-CAR\nfirst"], [fap[n] for n in ("alone", "simultaneous", "first")]
    )
    order.bar_label(bars, fmt="%.0f")
    order.set(ylabel="antigen-positive cells, day 31")
    found = runs.v22()
    place = np.arange(3)
    for shift, key, colour, label in ((-0.2, "matrix", BLUE, "with matrix"), (0.2, "bare", GREY, "without")):
        depth.bar(
            place + shift,
            [found[key][a]["infiltration_depth"] for a in ("plain", "ph20", "heparanase")],
            0.4,
            color=colour,
            label=label,
        )
    depth.set_xticks(place, ["plain", "PH20", "heparanase"])
    depth.set(ylabel="mean depth of CAR-T cells, µm", ylim=(0, 130))
    depth.legend(ncols=2)
    print(fap, {k: {a: round(o["infiltration_depth"], 1) for a, o in v.items()} for k, v in found.items()})
    _save(figure, "cells")


def limits() -> None:
    """What keeps CAR-T cells from falling into the centre, and what limits photodynamic therapy."""
    figure, (profile, power) = plt.subplots(1, 2, figsize=(7.4, 2.9), layout="constrained")
    radius, found = runs.collapse()
    for (label, density), colour in zip(found.items(), (BLUE, RED), strict=True):
        profile.semilogy(radius, np.maximum(density, 1.0), color=colour, label=label)
        print(label, float(np.max(density)), float(radius[np.argmax(density)]))
    profile.axvline(600.0, color=GREY, lw=0.8, ls=":")
    profile.set(xlabel="radius, µm", ylabel="CAR-T cells/mm³, day 14", ylim=(10, 3e6))
    profile.legend(loc="upper right")
    levels, killed = runs.self_limit()
    for (supply, share), colour in zip(killed.items(), (BLUE, RED), strict=True):
        power.plot(levels, share, "o-", color=colour, label=f"oxygen supply × {supply:g}")
        print(supply, share)
    power.set_xscale("symlog", linthresh=0.1)
    power.set(xlabel="power of the light (1: 0.1 W/cm²)", ylabel="share of tumour killed in an hour", ylim=(0, None))
    power.legend()
    _save(figure, "limits")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for draw in (vessels, cells, limits):
        if not sys.argv[1:] or draw.__name__ in sys.argv[1:]:
            draw()
