"""What is delivered is what was prescribed, whatever the steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tmepde.model import System
from tmepde.schedule import Clock

#: mm³ of tissue per µm of the line, a rod of 1 mm² section
ROD = 1e-9 * 1000.0**2
#: nmol per mm³ of tissue that is one nM of interstitial fluid, of which there is 0.2; mmol for mM
MOLAR = 0.2e-6


@pytest.mark.parametrize("step", [7.7, pytest.param(1.0, marks=pytest.mark.slow), 0.13])
def test_delivered_is_prescribed(registry, entries, step):
    """Every case of the registry in one program; what each adds to the species that its dose enters."""
    system = registry.system
    state = system.initial_state(jnp.float64)

    @jax.jit
    def stated(start):
        clock = Clock(jnp.asarray(0.0), start, start, jnp.asarray(step))
        tissue, _ = System(system.model, {}).tissue(clock, state)
        found = {n: system.interventions[n].effects(clock, state, tissue).add for n in entries}
        return {n: found[n][f"{species}.source"] * step for n, (species, _) in entries.items()}

    parts = [stated(jnp.asarray(i * step)) for i in range(int(np.ceil(8.0 / step)))]
    for label, (species, per_unit) in entries.items():
        total = sum(np.asarray(p[label]) for p in parts)
        if per_unit is None:
            unit = MOLAR if system.species[species].unit in ("nM", "mM") else 1.0
            delivered = float(system.grid.integrate(np.broadcast_to(total, system.grid.shape))) * ROD * unit
        else:
            delivered = float(total) / per_unit
        prescribed = float(system.interventions[label].dose.total())
        assert delivered == pytest.approx(prescribed, rel=1e-12), label


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
