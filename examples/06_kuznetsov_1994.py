"""Can immune cells hold a tumour in check without removing it?

    dE/dt = s + p E T/(g + T) − m E T − d E          dT/dt = a T (1 − b T) − n E T          (one well-mixed cell)

Kuznetsov, Makalkin, Taylor & Perelson, Bull. Math. Biol. 56:295 (1994), cells and days. Numbers: dormancy is a stable
spiral around T* = 8.186e6, E* = 1.608e6, with eigenvalues −0.00552 ± 0.0634 i per day and so a period of 99.1 days.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tmepde as tme
from tmepde.units import day


def immune(clock, state, tissue, s, p, g, m, d, a, b, n):
    e, t = state["effector"], state["tumour"]
    rates = {"effector.source": s + p * e * t / (g + t), "effector.loss": m * t + d}
    rates |= {"tumour.source": a * t, "tumour.loss": a * b * t + n * e}
    return {target: rate / day for target, rate in rates.items()}


numbers = dict(s=1.3e4, p=0.1245, g=2.019e7, m=3.422e-10, d=0.0412, a=0.18, b=2e-9, n=1.101e-7)
species = {"effector": tme.Species(initial=1.2e6, kind="local"), "tumour": tme.Species(initial=5e6, kind="local")}
model = tme.Model(tme.Grid.point(), species, {"immune": tme.process(immune, **numbers)})
solution = tme.simulate(tme.Scenario(model, until=2000 * day), save=tme.every(1 * day))
days, effector, tumour = solution.times / day, *(solution.fields[name][:, 0] for name in species)
peaks = days[1:-1][(tumour[1:-1] > tumour[:-2]) & (tumour[1:-1] >= tumour[2:])]
checks = {"T* (cells)": (tumour[-1], 8.186e6, 4e3), "E* (cells)": (effector[-1], 1.608e6, 8e2)}
checks["period (days)"] = (np.mean(np.diff(peaks[3:8])), 99.1, 1.0)
print(checks)

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(days, tumour, days, effector)
ax.legend(["tumour", "effector"])
ax.set(xlabel="time (days)", ylabel="cells", xlim=(0, 1000))
Path("out").mkdir(exist_ok=True)
fig.savefig("out/06_kuznetsov_1994.png")
