"""The same programs lower for an NVIDIA GPU, though there is none here: nothing in them exists on processors only."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import pytest

import tmepde as tme
from tmepde._types import cast, parted
from tmepde.elliptic import EllipticOperator, prepare
from tmepde.operators import conductances
from tmepde.process import process
from tmepde.runner import Runner, march_program, start_program

#: library calls that CUDA builds of JAX have: eigenbases, small dense systems, tridiagonal systems
ON_CUDA = {"cusolver_syevd_ffi", "cusolver_getrf_ffi", "cu_lu_pivots_to_permutation", "cusparse_gtsv2_ffi"}


@pytest.fixture(autouse=True)
def _meant_for_a_gpu(monkeypatch):
    """What is written otherwise for other devices (see ``layout.platform``) is what must lower."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


def library_calls(function, *shapes) -> set[str]:
    """Names of the calls in ``function`` lowered for CUDA; whatever cannot be lowered raises."""
    exported = jax.export.export(jax.jit(function), platforms=["cuda"])(*shapes)
    assert exported.platforms == ("cuda",)
    found = set(re.findall(r"custom_call @([\w.]+)", exported.mlir_module()))
    return {name for name in found if not name.startswith(("Sharding", "shape_assertion"))}


def interval(scenario, stepper):
    """One save interval of a run as a function of arrays, with their shapes."""
    dtype = jnp.float32
    runner = Runner(
        scenario=cast(scenario, dtype),
        control=cast(tme.StepControl(), dtype),
        stepper=stepper,
        fields=tuple(sorted(scenario.system.species)),
        dtype=dtype,
    )
    arrays, frame = parted(runner)
    state, carry, _ = jax.eval_shape(lambda a: start_program(a, frame), arrays)
    leaves, tree = jax.tree.flatten((arrays, state, carry))

    def run(leaves, base, end):
        given, state, carry = jax.tree.unflatten(tree, leaves)
        return jax.tree.leaves(march_program(given, frame, state, carry, (base, base, base, end), 8))

    number = jax.ShapeDtypeStruct((), dtype)
    return run, [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves], number, number


def rates(clock, state, tissue):
    return {"u.loss": 0.1 + state["u"], "u.source": state["p"], "p.loss": 0.3}


def scenario(grid, uneven):
    d = 1.0 + 0.001 * grid.coordinates()[-1] if uneven else 1.0
    species = {"u": tme.Species(1.0, d), "p": tme.Species(1.0, kind="compartment")}
    return tme.Scenario(tme.Model(grid, species, [process(rates)]), until=1.0)


CASES = {
    "line": (tme.Grid.line(100.0, 16), False),
    "square, one D": (tme.Grid.square(100.0, 16), False),
    "square, D(x)": (tme.Grid.square(100.0, 16), True),
    "cube, D(x)": (tme.Grid.cube(100.0, 8), True),
}


@pytest.mark.parametrize("case", CASES)
def test_an_implicit_interval_lowers(case):
    assert library_calls(*interval(scenario(*CASES[case]), tme.Rosenbrock2())) <= ON_CUDA


@pytest.mark.parametrize("stepper", [tme.ExplicitEuler(), tme.RungeKuttaChebyshev()], ids=["euler", "chebyshev"])
@pytest.mark.parametrize("case", CASES)
def test_an_explicit_interval_lowers_without_any_library(case, stepper):
    """Eigenbases that a preparation makes and nothing uses are removed by the compiler."""
    assert library_calls(*interval(scenario(*CASES[case]), stepper)) <= {"cusolver_syevd_ffi"}


@pytest.mark.parametrize("shape", [(16,), (16, 16), (8, 8, 8)], ids=["1-D", "2-D", "3-D"])
def test_the_elliptic_solve_lowers(shape):
    grid = tme.Grid.box((10.0,) * len(shape), shape)

    def solve(d, b):
        op = EllipticOperator(jnp.ones_like(d), conductances(grid, d), grid.periodic)
        return prepare(op)(b).value

    field = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    assert library_calls(solve, field, field) <= ON_CUDA


@pytest.mark.slow
def test_an_interval_of_the_tumour_model_lowers():
    model = tme.library.solid_tumour(tme.Grid.square(1000.0, 16), radius=300.0)
    one = tme.Scenario(model, {"car_t": tme.CellInfusion(dose=tme.Bolus(at=2.0, amount=1e8))}, until=4.0)
    assert library_calls(*interval(one, tme.Rosenbrock2())) <= ON_CUDA
