"""The pictures of docs/therapies/metabolism.md: ``python docs/figures/metabolism.py`` writes them to docs/images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "validation"))
import test_therapies_metabolism as outcomes  # noqa: E402

BLUE, RED, GREY, GREEN = "#2b6a99", "#b5413a", "#777777", "#3b7d4f"
plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


def _save(figure: Any, name: str) -> None:
    figure.savefig(HERE.parent / "images" / f"metabolism_{name}.png", dpi=110)
    plt.close(figure)
    print(name, flush=True)


def hypoxia() -> None:
    """Division, secretion and killing over pO₂, and seven days of culture (Berahovich 2019)."""
    oxygen = np.geomspace(0.5, outcomes.AIR, 40)
    table = outcomes.hypoxia(oxygen)
    figure, (rates, fold) = plt.subplots(1, 2, figsize=(7.4, 2.9), layout="constrained", width_ratios=(2, 1))
    rates.semilogx(oxygen, table[:, 0], color=BLUE, label="division = IFN-γ per cell")
    rates.semilogx(oxygen, table[:, 2], color=RED, label="killing per cell")
    rates.axvline(outcomes.HYPOXIA, color=GREY, lw=0.8, ls=":")
    rates.text(outcomes.HYPOXIA * 1.05, 0.05, "1 % oxygen", color=GREY)
    rates.set(xlabel="pO₂, mmHg", ylabel="relative to air", ylim=(0, 1.05))
    rates.legend(loc="upper left")
    levels = (outcomes.AIR, outcomes.HYPOXIA)
    bars = fold.bar(["air", "1 %"], [outcomes.expansion(o) for o in levels], color=[BLUE, GREY])
    fold.bar_label(bars, fmt="%.0f")
    fold.set(ylabel="fold expansion in 7 days", yscale="log", ylim=(1, 500))
    _save(figure, "hypoxia")


def acid() -> None:
    """Lactic acid against its salt, and the day of recovery (Fischer 2007, Mendler 2012)."""
    lactate = np.linspace(1.0, 30.0, 30)
    sour, salt = outcomes.acid(lactate), outcomes.acid(lactate, neutralised=True)
    hours = np.linspace(0.0, 36.0, 19)
    figure, (doses, course) = plt.subplots(1, 2, figsize=(7.4, 2.9), layout="constrained")
    doses.plot(lactate, sour[:, 0], color=BLUE, label="division, IFN-γ")
    doses.plot(lactate, sour[:, 2], color=RED, label="killing")
    doses.plot(lactate, salt[:, 0], color=GREY, ls="--", label="all three, pH kept at 7.4")
    doses.plot(20.0, 0.05, "o", color=BLUE, mfc="white", label="Fischer 2007: −95 %, −50 %")
    doses.plot(20.0, 0.5, "o", color=RED, mfc="white")
    doses.set(xlabel="lactic acid, mM", ylabel="relative to 1 mM", ylim=(0, 1.05))
    doses.legend(loc="upper right", bbox_to_anchor=(1.0, 0.96), fontsize=8)
    course.plot(hours, outcomes.recovery(hours=hours), color=BLUE)
    course.axvline(24.0, color=GREY, lw=0.8, ls=":")
    course.set(xlabel="hours without acid, after 48 h in 20 mM", ylabel="division, relative to fresh", ylim=(0, 1.05))
    _save(figure, "acid")


def manganese() -> None:
    """V18: oxygen and pH after MnO₂, and what is left when peroxide is no longer made."""
    hours = np.array([0.2, 0.5, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 18.0, 24.0])
    found = outcomes.v18(hours)
    seconds = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0])
    left = outcomes.loss_of_gain(seconds)
    figure, (oxygen, ph, gone) = plt.subplots(1, 3, figsize=(8.8, 3.0), layout="constrained")
    oxygen.axhspan(30, 60, color=BLUE, alpha=0.12, lw=0, label="band of V18")
    oxygen.axhline(45, color=GREY, lw=0.8, ls=":", label="Prasad 2014")
    oxygen.plot(hours, 100 * found["gain"], color=BLUE, label="MnO₂")
    oxygen.plot(hours, 100 * found["catalase"], color=GREEN, label="catalase")
    oxygen.plot(hours, 100 * found["barren"], color=RED, label="MnO₂, no peroxide made")
    oxygen.set(xlabel="hours after injection", ylabel="gain in mean oxygen, %", ylim=(-5, 115))
    oxygen.legend(fontsize=8, loc="upper left")
    for level in (6.7, 7.2):
        ph.axhline(level, color=GREY, lw=0.8, ls=":")
    ph.plot(hours, found["ph"][1], color=BLUE, label="MnO₂")
    ph.plot(hours, found["ph"][0], color="black", label="untreated")
    ph.set(xlabel="hours after injection", ylabel="mean pH of the nest", ylim=(6.5, 7.4))
    ph.legend(fontsize=8, loc="center right")
    gone.plot(np.concatenate([[0.0], seconds]), np.concatenate([[100.0], 100 * left]), color=RED)
    gone.set(xlabel="seconds without peroxide", ylabel="gain left, %", ylim=(0, 105))
    _save(figure, "v18")


def gel() -> None:
    """Gain in oxygen over the distance from a gel, for three doses, and the law exp(−x √(k/D))."""
    figure, axis = plt.subplots(figsize=(5.2, 3.0), layout="constrained")
    for amount, colour in ((0.02, GREY), (20.0, BLUE), (200.0, RED)):
        found = outcomes.gel(amount)
        here = (found["x"] > 0) & (found["x"] < 500)
        length = outcomes.decay_length(found["x"], found["gain"])
        label = f"{amount:g} nmol: e-fold in {length:.0f} µm"
        axis.semilogy(found["x"][here], found["gain"][here] / found["gain"][here][0], color=colour, label=label)
    x = np.linspace(100, 500, 50)
    axis.semilogy(x, 0.45 * np.exp(-(x - 100) / found["reach"]), "k:", label=f"√(D/k) = {found['reach']:.0f} µm")
    axis.set(xlabel="distance from the middle of the gel, µm", ylabel="gain in oxygen, relative", ylim=(1e-3, 1.2))
    axis.legend(fontsize=8)
    _save(figure, "gel")


def alone() -> None:
    """Tumour cells with oxygen, CAR-T cells, both or neither."""
    days = (3.5, 7.0, 10.5, 14.0, 21.0, 28.0)
    found = outcomes.oxygen_alone(days)
    figure, axis = plt.subplots(figsize=(5.2, 3.0), layout="constrained")
    styles = {"none": (GREY, "-"), "oxygen": (RED, "-"), "car_t": (BLUE, "-"), "both": (RED, "--")}
    labels = {"none": "untreated", "oxygen": "oxygen alone", "car_t": "CAR-T", "both": "CAR-T and oxygen"}
    for name, (colour, style) in styles.items():
        axis.plot((0.0, *days), [1.0, *found[name]], style, color=colour, label=labels[name])
    axis.set(xlabel="day", ylabel="tumour cells, relative to day 0")
    axis.legend(fontsize=8)
    _save(figure, "oxygen_alone")


def kynurenine() -> None:
    """More IFN-γ, more kynurenine; with an inhibitor of IDO hardly any."""
    found = outcomes.ido_feedback((0.0, 1.0, 3.0, 10.0, 30.0, 100.0))
    figure, axis = plt.subplots(figsize=(5.2, 3.0), layout="constrained")
    for arm, colour, label in (("alone", RED, "CAR-T"), ("inhibited", BLUE, "CAR-T and IDO inhibitor")):
        x, y = 1e3 * found[f"mean_ifn_gamma {arm}"], 1e-3 * found[f"kynurenine_signal {arm}"]
        axis.plot(x, y, "o-", ms=4, color=colour, label=label)
    axis.set(xlabel="mean IFN-γ in the nest, pM", ylabel="mean kynurenine, µM", ylim=(-0.5, None))
    axis.legend(fontsize=8)
    _save(figure, "kynurenine")


if __name__ == "__main__":
    with jax.enable_x64(True):
        for picture in (hypoxia, acid, manganese, gel, alone, kynurenine):
            if len(sys.argv) == 1 or picture.__name__ in sys.argv[1:]:
                picture()
