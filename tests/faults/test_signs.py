"""D ≥ 0, s ≥ 0, λ ≥ 0: what code of one's own makes of them is looked at while it runs."""

from __future__ import annotations

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde.process import process

GRID = tme.Grid.line(10.0, 8)
WAVE = 1.0 + 0.5 * np.cos(np.pi * np.asarray(GRID.centers(0)) / 10.0)


def scenario(law: Any, until: float = 1.0, **species: Any) -> tme.Scenario:
    given = species or {"u": tme.Species(WAVE, 1.0)}
    return tme.Scenario(tme.Model(GRID, given, {"law": process(law)}), until=until)


def test_a_negative_diffusivity_does_not_begin() -> None:
    """It ran as anti-diffusion and ended ok, ten times off what even that would be."""
    with pytest.raises(ValueError, match=r"`u.diffusivity` must not be negative, but its minimum at the start is -1"):
        tme.simulate(scenario(lambda c, s, t: {"u.diffusivity": -2.0}))


def test_a_diffusivity_that_becomes_negative_is_told_of() -> None:
    def crowded(clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"u.diffusivity": -0.8 * state["u"] + 0.2, "u.source": 1.0}

    begun = {"u": tme.Species(1.0, 1.0)}
    with pytest.warns(UserWarning, match=r"Caution: `u.diffusivity` was -0.4\d* at 1 h, .*differences grow"):
        assert "`u.diffusivity`" in tme.simulate(scenario(crowded, **begun)).message


@pytest.mark.parametrize("channel", ["source", "loss"])
def test_negative_rates_are_told_of(channel: str) -> None:
    with pytest.warns(UserWarning, match=rf"Caution: `u.{channel}` was -0.5 at 0 h, but must not be negative. Write"):
        tme.simulate(scenario(lambda c, s, t: {f"u.{channel}": -0.5}))


@pytest.mark.slow
def test_what_may_be_negative_is_not_told_of() -> None:
    """Sources of signed species, off-diagonal entries of D, round-off, cells outside of the tissue."""
    mask = np.ones((6, 6), bool)
    mask[0] = False
    grid = tme.Grid.square(6.0, 6)
    tensor = ((1.0, -0.2), (-0.2, 1.0))
    species = {"p": tme.Species(1.0, 1.0, signed=True), "q": tme.Species(1.0, tensor), "r": tme.Species(1.0, 1.0)}

    def law(clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"p.source": -1.0, "p.loss": 1.0, "r.source": 1.0 - (1.0 + 1e-7) * jnp.eye(6), "r.loss": 1.0}

    def outside(clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"u.source": jnp.zeros((6, 6)).at[0].set(-1.0)}

    masked = tme.Grid((np.ones(6), np.ones(6)), mask=mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tme.simulate(tme.Scenario(tme.Model(grid, species, {"law": process(law)}), until=0.1))
        tme.simulate(
            tme.Scenario(tme.Model(masked, {"u": tme.Species(1.0, 1.0)}, {"law": process(outside)}), until=0.1)
        )
