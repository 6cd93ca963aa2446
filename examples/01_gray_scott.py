"""How does one spot of an autocatalyst cover a dish, and what must hold for any pattern that it leaves behind?

    ∂U/∂t = D_U ∇²U − U V² + F (1 − U)          ∂V/∂t = D_V ∇²V + U V² − (F + k) V

Pearson, Science 261:189 (1993), in units of a cell and a step there; F and k where spots divide. Numbers: at rest the
sum of both equations over a closed dish gives (F + k)⟨V⟩ / (F (1 − ⟨U⟩)) = 1; a higher kill rate k leaves ⟨V⟩ = 0.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme


def kinetics(clock, state, tissue, feed, kill):
    u, v = state["U"], state["V"]
    return {"U.source": feed, "U.loss": feed + v**2, "V.source": u * v**2, "V.loss": feed + kill}


feed, kill, grid = 0.0367, 0.0649, tme.Grid.square(64.0, cells=64, periodic=True)
y, x = grid.coordinates()
spot = np.exp(-(((x - 32) / 5) ** 2) - ((y - 30) / 3) ** 2)
u = tme.Species(initial=1 - 0.6 * spot, diffusivity=0.2)
v = tme.Species(initial=0.5 * spot, diffusivity=0.1, negligible=1e-6)
model = tme.Model(grid, {"U": u, "V": v}, {"kinetics": tme.process(kinetics, feed=feed, kill=kill)})
scenario = tme.Scenario(model, until=6000.0)
dish = tme.simulate(scenario, save=[300, 900, 1500, 6000])
dead = tme.simulate(scenario.replace("model.processes.kinetics.numbers.kill", 0.075))  # nothing is recompiled
balance = (feed + kill) * dish.fields["V"][-1].mean() / (feed * (1 - dish.fields["U"][-1].mean()))
checks = {"removed / fed": (balance, 1.0, 0.002), "⟨V⟩ killed": (dead.fields["V"][-1].mean(), 0.0, 1e-6)}
print(checks)
fig, axes = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
for ax, time, field in zip(axes, dish.times[1:], dish.fields["V"][1:], strict=True):
    image = ax.imshow(field, origin="lower", vmin=0, vmax=0.4, extent=(0, 64, 0, 64))
    ax.set(title=f"V at t = {time:g}", xlabel="x", ylabel="y")
fig.colorbar(image, ax=axes, shrink=0.8)
Path("out").mkdir(exist_ok=True)
fig.savefig("out/01_gray_scott.png")
