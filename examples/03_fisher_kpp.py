"""How fast does a glioma that diffuses and divides move through the brain?

    ∂u/∂t = D ∇²u + r u (1 − u),     D = 0.13 mm²/day, r = 0.012/day     (Swanson's glioma values, from memory)

Numbers: a front from a compact start tends to the speed 2√(D r) = 28.85 mm/year (Fisher 1937; Kolmogorov et al. 1937),
from below and slowly: x(t) = 2√(D r) t − 3/2 √(D/r) ln t + O(1) (Bramson 1983), 28.44 mm/year over years 10 to 14.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme
from tmepde.units import day, mm


def growth(clock, state, tissue, rate):
    return {"glioma.source": rate * state["glioma"], "glioma.loss": rate * state["glioma"]}


D, r, year = 0.13 * mm**2 / day, 0.012 / day, 365.25 * day
grid = tme.Grid.line(500 * mm, cells=1000)
x = grid.centers(0)
glioma = tme.Species(initial=1.0 * (x < 5 * mm), diffusivity=D)
model = tme.Model(grid, {"glioma": glioma}, {"growth": tme.process(growth, rate=r)})
solution = tme.simulate(tme.Scenario(model, until=14 * year), save=tme.every(year))

front = np.array([np.interp(-0.5, -u, x) for u in solution.fields["glioma"]])
start, end = solution.times[10], solution.times[14]
speed = (front[14] - front[10]) / (end - start)
expected = 2 * np.sqrt(D * r) - 1.5 * np.sqrt(D / r) * np.log(end / start) / (end - start)
checks = {"front speed (mm/year)": (speed * year / mm, expected * year / mm, 0.1)}
print(checks)

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(x / mm, solution.fields["glioma"].T, color="tab:blue")
ax.set(xlabel="distance (mm)", ylabel="glioma cells / capacity", title="One curve a year")
Path("out").mkdir(exist_ok=True)
fig.savefig("out/03_fisher_kpp.png")
