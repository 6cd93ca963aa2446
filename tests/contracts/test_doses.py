"""What is delivered is what was prescribed, whatever the steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde.model import System
from tmepde.schedule import Clock

#: where each case puts its dose, and how much of the species one unit of dose makes
ENTRIES = {
    "anti_vegf": ("bevacizumab_plasma", 1 / 3.0),
    "matrix_enzyme": ("hyaluronidase_plasma", 1 / 3.0),
    "matrix_enzyme_local": ("hyaluronidase", None),
    "cell_infusion": ("car_t_plasma", 4.6e-4 / 5e6),
    "cell_infusion_local": ("car_t", None),
    "oxygen_generator": ("nanoparticle_plasma", 1 / 3.0),
    "oxygen_generator_local": ("nanoparticle", None),
    "checkpoint_blockade": ("pd1_antibody_plasma", 1 / 3.0),
}
#: nmol per mm³ of tissue and nM of interstitial fluid, and a rod of 1 mm² section per µm of the line
LOCAL = {"hyaluronidase": 0.2e-6, "nanoparticle": 0.2e-6, "car_t": 1.0}


@pytest.mark.parametrize("step", [7.7, 1.0, 0.13, 0.0101])
def test_delivered_is_prescribed(case, cases, model, step):
    if case == "radiotherapy":
        pytest.skip("a hazard, not an amount: see test_radiation_does_not_depend_on_the_step")
    one = cases[case][1]
    system = System(model, {case: one})
    state = system.initial_state(jnp.float64)
    species, per_unit = ENTRIES[case]

    @jax.jit
    def stated(start):
        clock = Clock(jnp.asarray(0.0), start, start, jnp.asarray(step))
        tissue, ((_, effects),) = system.tissue(clock, state)
        return effects.add[f"{species}.source"] * step

    total = sum(np.asarray(stated(jnp.asarray(i * step))) for i in range(int(np.ceil(8.0 / step))))
    if per_unit is None:
        delivered = float(model.grid.integrate(total)) * 1e-9 * 1000.0**2 * LOCAL[species]
    else:
        delivered = float(total) / per_unit
    assert delivered == pytest.approx(float(one.dose.total()), rel=1e-12)


@pytest.mark.parametrize("step", [7.7, 1.0, 0.13, 0.0101])
def test_radiation_does_not_depend_on_the_step(cases, model, step):
    """−ln S of 2 + 3 Gy where oxygen abounds (m = 1): 0.3·5 + 0.03·(4 + 9); in anoxia m = 1/3."""
    system = System(model, {"x": cases["radiotherapy"][1]})
    state = system.initial_state(jnp.float64)
    state["oxygen"] = jnp.where(jnp.arange(16) < 8, 1e12, 0.0)

    @jax.jit
    def stated(start):
        return system.hazards(Clock(jnp.asarray(0.0), start, start, jnp.asarray(step)), state)

    terms = [stated(jnp.asarray(i * step)) for i in range(int(np.ceil(8.0 / step)))]
    total = {k: sum(np.asarray(t[k]) for t in terms) for k in terms[0]}
    np.testing.assert_allclose(total["tumour"][:8], 0.3 * 5 + 0.03 * 13, rtol=1e-9)
    np.testing.assert_allclose(total["tumour_negative"][8:], 0.3 * 5 / 3 + 0.03 * 13 / 9, rtol=1e-9)
    np.testing.assert_allclose(total["car_t"], 0.8 * 5, rtol=1e-9)
