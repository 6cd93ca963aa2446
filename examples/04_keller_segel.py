"""How many cells does it take for chemotaxis to end in collapse?

    ∂u/∂t = ∇·(∇u − u ∇c) ,     0 = ∇²c + u          on a disc, c = 0 at its rim

For M cells in the plane d/dt ∫ r² u dA = 4 M (1 − M/8π), whatever their shape (Blanchet, Dolbeault & Perthame,
Electron. J. Differ. Equ. 2006:44). Numbers: the spread ⟨r²⟩ stands still at M = 8π = 25.133; fewer cells disperse and
all of them are kept, more would meet in one point.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme


def attraction(clock, state, tissue):
    return {"cells.velocity": tme.operators.gradient(tissue.grid, state["c"]), "c.source": state["cells"]}


grid = tme.Grid.radial(10.0, cells=400, symmetry="cylinder")
r = grid.centers(0)
gauss = np.exp(-(r**2)) / np.pi
cells = tme.Species(initial=gauss, diffusivity=1.0)
cue = tme.Species(kind="quasi_steady", diffusivity=1.0, boundary={"r+": tme.Dirichlet(0.0)})
model = tme.Model(grid, {"cells": cells, "c": cue}, {"attraction": tme.process(attraction)})
scenario, masses = tme.Scenario(model, until=0.2), np.array([15.0, 20.0, 30.0, 35.0])
runs = [tme.simulate(scenario.replace("model.species.cells.initial", m * gauss), save=tme.every(0.02)) for m in masses]
spread = np.array([[grid.integrate(r**2 * u) / grid.integrate(u) for u in run.fields["cells"]] for run in runs])
slope, offset = np.polyfit(masses, (spread[:, -1] - spread[:, 0]) / 0.2, 1)
kept = grid.integrate(runs[0].fields["cells"][-1]) / grid.integrate(runs[0].fields["cells"][0])
checks = {"critical mass": (-offset / slope, 8 * np.pi, 0.05), "cells kept": (kept, 1.0, 1e-6)}
print(checks)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(runs[0].times, spread.T, "o-", label=[f"M = {m:g}" for m in masses])
ax.set(xlabel="time", ylabel="⟨r²⟩", title=f"the spread stands still at M = {-offset / slope:.2f}")
ax.legend()
Path("out").mkdir(exist_ok=True)
fig.savefig("out/04_keller_segel.png")
