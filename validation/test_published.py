"""Published numbers that the model must reproduce: ``make validate`` prints each with what was obtained.

Other rows of the validation table (V1, V5, V6 and the orderings of the radial model) are verified in
``tests/verification`` on every change.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest

import tmepde as tme
from tmepde.physiology.pores import convective_hindrance, diffusive_hindrance, free_diffusivity
from tmepde.units import day

pytestmark = pytest.mark.validation


def report(row: str, obtained: float, expected: float, tolerance: float) -> None:
    print(f"{row:<44} expected {expected:<12.6g} obtained {obtained:<12.6g} tolerance {tolerance:g}")
    assert obtained == pytest.approx(expected, rel=tolerance)


@pytest.fixture(autouse=True)
def _double() -> None:
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize(
    ("ratio", "diffusive", "convective"),
    [(0.1, 0.5918, 0.9388), (0.3, 0.2033, 0.6450), (0.5, 0.04745, 0.3364), (0.7, 0.0049, 0.1151)],
)
def test_v7_pore_hindrance(ratio: float, diffusive: float, convective: float) -> None:
    """Dechadilok & Deen 2006."""
    assert float(diffusive_hindrance(ratio)) == pytest.approx(diffusive, abs=1e-4)
    assert float(convective_hindrance(ratio)) == pytest.approx(convective, abs=1e-4)


@pytest.mark.parametrize(("nm", "um2_per_s"), [(12, 54.9), (40, 16.5), (100, 6.58), (125, 5.27)])
def test_stokes_einstein(nm: float, um2_per_s: float) -> None:
    """kT/(3πηd) at 310 K and 0.69 mPa s."""
    report(f"D0 of {nm} nm (um2/s)", float(free_diffusivity(nm)) / 3600.0, um2_per_s, 5e-3)


def kuznetsov(clock, state, tissue):
    """Kuznetsov 1994, per day and cells."""
    e, t = state["effector"], state["tumour"]
    return {
        "effector.source": 1.3e4 + 0.1245 * e * t / (2.019e7 + t),
        "effector.loss": 3.422e-10 * t + 0.0412,
        "tumour.source": 0.18 * t,
        "tumour.loss": 0.18 * 2e-9 * t + 1.101e-7 * e,
    }


@pytest.mark.parametrize(
    ("start", "tumour", "effector"), [((1.6e6, 8e6), 8.186e6, 1.608e6), ((2e5, 4.4e8), 4.470e8, 1.732e5)]
)
def test_v10_kuznetsov_steady_states(start: tuple[float, float], tumour: float, effector: float) -> None:
    """The dormant and the escaped tumour."""
    species = {
        "effector": tme.Species(start[0], kind="local"),
        "tumour": tme.Species(start[1], kind="local"),
    }
    model = tme.Model(tme.Grid.point(), species, {"kinetics": tme.process(kuznetsov)})
    limit = tme.steady_state(model, precision="f64")
    assert limit.ok
    report("Kuznetsov T*", float(limit.fields["tumour"][-1][0]), tumour, 2e-4)
    report("Kuznetsov E*", float(limit.fields["effector"][-1][0]), effector, 5e-4)


def test_v16_glioma_front_speed() -> None:
    """Swanson: 2√(Dr) = 28.8 mm/yr for D 0.13 mm²/d and r 0.012/d; a front at time t lags by 3/(2t) in the exponent."""
    years = 6.0
    grid = tme.Grid.line(300e3, cells=3000)
    x = grid.centers(0)

    def growth(clock, state, tissue, rate):
        return {"c.source": rate * state["c"], "c.loss": rate * state["c"]}

    start = np.where(x < 5e3, 1.0, 0.0)
    model = tme.Model(
        grid,
        {"c": tme.Species(start, diffusivity=0.13e6 / 24, negligible=1e-12)},
        {"growth": tme.process(growth, rate=0.012 / 24)},
    )
    times = [365 * day * (years - 1), 365 * day * years]
    found = tme.simulate(tme.Scenario(model, until=times[-1]), save=times, precision="f64")
    front = [np.interp(0.5, u[::-1], x[::-1]) for u in found.fields["c"][1:]]
    speed = (front[1] - front[0]) / 1e3
    asymptotic = 2 * np.sqrt(0.13 * 0.012) * 365
    bramson = asymptotic - 1.5 * np.sqrt(0.13 / 0.012) * np.log(years / (years - 1))
    report("glioma front, with Bramson's delay (mm/yr)", speed, bramson, 0.02)
    report("glioma front, asymptotic (mm/yr)", speed, 28.8, 0.06)
