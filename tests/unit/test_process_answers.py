"""What a process returns is checked where the model is first evaluated, and its author told by name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import tmepde as tme
from tmepde.model import System
from tmepde.schedule import Clock


def evaluate(law):
    species = {"u": tme.Species(1.0, 1.0), "blood": tme.Species(1.0, kind="compartment")}
    model = tme.Model(tme.Grid.line(10.0, 4), species, {"law": tme.process(law)})
    system, zero = System(model), jnp.zeros(())
    state = system.initial_state(jnp.float32)
    return jax.eval_shape(lambda s: system.coefficients(Clock(zero, zero, zero, zero + 1), s), state)


@pytest.mark.parametrize(
    ("law", "kind", "said"),
    [
        (lambda c, s, t: None, TypeError, "Process 'law' must return a mapping"),
        (lambda c, s, t: {"u.source": s["uu"]}, KeyError, "Did you mean 'u'.*Process 'law' reads it"),
        (lambda c, s, t: {"u.source": jnp.ones(3)}, ValueError, r"`u.source` must be a number or have shape \(4,\)"),
        (lambda c, s, t: {"blood.loss": s["u"]}, ValueError, "`blood.loss` must be a number, but has shape"),
        (lambda c, s, t: {"u.source": 1.0 if s["u"][0] > 0 else 0.0}, TypeError, "must not branch on values"),
        (lambda c, s, t: {"u.velocity": jnp.ones(5)}, TypeError, "must be a tuple of face arrays"),
        (lambda c, s, t: {"u.velocity": (jnp.ones(4),)}, ValueError, r"shape \(5,\) \(on the faces\) along axis 0"),
    ],
)
def test_a_wrong_answer_is_refused_by_name(law, kind, said):
    with pytest.raises(kind, match=said):
        evaluate(law)


def test_numbers_fields_and_faces_are_right_answers():
    found = evaluate(
        lambda c, s, t: {"u.source": 2.0, "u.loss": s["u"], "blood.loss": s["blood"], "u.flow": (jnp.ones(5),)}
    )
    assert set(found.loss) == {"u", "blood"}


@pytest.mark.parametrize("kind", ["local", "compartment"])
def test_what_does_not_move_has_no_sides(kind):
    with pytest.raises(ValueError, match="`boundary` needs a species that diffuses"):
        tme.Species(1.0, kind=kind, boundary=tme.Dirichlet(1.0))
