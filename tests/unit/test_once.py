"""A model is read once for a program, and what is read is what it says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tmepde as tme
from tmepde import _once
from tmepde._once import once


def test_a_program_goes_through_a_process_few_times():
    """A step asks for the rates some twenty times; they were gone through each time."""
    seen = []

    def decay(clock, state, tissue):
        seen.append(1)
        return {"u.loss": 0.1 * state["u"]}

    model = tme.Model(tme.Grid.line(10.0, 8), {"u": tme.Species(1.0, 1.0)}, {"decay": tme.process(decay)})
    solution = tme.simulate(tme.Scenario(model, until=1.0))
    np.testing.assert_allclose(solution.fields["u"][-1], 1.0 / 1.1, rtol=1e-3)
    assert 0 < len(seen) <= 6


def test_what_is_no_array_stays_what_it_is():
    def answer(x, name):
        return {name: 2.0 * x, "none": None, "number": 3.0, "pair": (x, "text")}

    @jax.jit
    def program(x):
        found = [once(answer, x, "double") for _ in range(2)]
        assert all(f["number"] == 3.0 and f["none"] is None and f["pair"][1] == "text" for f in found)
        return found[1]["double"] + once(answer, x, "other")["other"]

    assert float(program(2.0)) == 8.0


@pytest.mark.parametrize("transform", [jax.grad, jax.jacfwd])
def test_what_a_function_holds_is_followed(transform):
    """The derivative with respect to a number that the function closes over, at two values of it."""

    def total(k, x):
        def rate(x):
            return k * k * x

        return jax.jit(lambda x: once(rate, x) + once(rate, 2.0 * x))(x)

    for k in (1.5, -2.0):
        assert float(transform(total)(k, jnp.asarray(3.0))) == pytest.approx(2 * k * 9.0)


def test_shapes_and_precisions_are_told_apart_and_what_was_forgotten_is_asked_again(monkeypatch):
    monkeypatch.setattr(_once, "_MOST", 1)

    def shape(x):
        return {"of": x * 1.0, "count": float(np.prod(x.shape))}

    @jax.jit
    def program(x, y):
        return [once(shape, v)["count"] for v in (x, y, x, y, x.astype(jnp.float32))]

    assert [float(c) for c in program(jnp.ones(3), jnp.ones((2, 2)))] == [3.0, 4.0, 3.0, 4.0, 3.0]
