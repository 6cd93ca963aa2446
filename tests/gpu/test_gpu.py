"""The same answers on a GPU as on a CPU; run with ``pytest -m gpu`` on a machine that has one."""

import jax
import numpy as np
import pytest

import tmepde as tme


def _gpus() -> list:
    try:
        return jax.devices("gpu")
    except RuntimeError:
        return []


@pytest.mark.gpu
@pytest.mark.skipif(not _gpus(), reason="no GPU on this machine")
def test_gpu_agrees_with_cpu() -> None:
    grid = tme.Grid.square(1000.0, cells=48)
    model = tme.library.solid_tumour(grid, radius=300.0)
    plan = {"car_t": tme.CellInfusion(dose=tme.Bolus(at=2.0, amount=1e8))}
    scenario = tme.Scenario(model, plan, until=24.0)
    found = {}
    for platform in ("cpu", "gpu"):
        with jax.default_device(jax.devices(platform)[0]):
            found[platform] = tme.simulate(scenario, save=[24.0])
    for name, field in found["cpu"].fields.items():
        other = found["gpu"].fields[name]
        assert np.max(np.abs(field - other)) <= 2e-3 * np.max(np.abs(field)) + 1e-12, name


def gray_scott(cells: int) -> tme.Scenario:
    def kinetics(clock, state, tissue):
        u, v = state["U"], state["V"]
        return {"U.source": 0.0367, "U.loss": 0.0367 + v**2, "V.source": u * v**2, "V.loss": 0.1016}

    grid = tme.Grid.square(float(cells), cells, periodic=True)
    y, x = grid.coordinates()
    spot = np.exp(-(((x - cells / 2) / 5) ** 2) - ((y - cells / 2.2) / 5) ** 2)
    species = {"U": tme.Species(1 - 0.6 * spot, 0.2), "V": tme.Species(0.5 * spot, 0.1, negligible=1e-6)}
    return tme.Scenario(tme.Model(grid, species, [tme.process(kinetics)]), until=64.0)


@pytest.mark.gpu
@pytest.mark.skipif(not _gpus(), reason="no GPU on this machine")
@pytest.mark.parametrize("stepper", [tme.ExplicitEuler(substep=1.0), tme.RungeKuttaChebyshev()], ids=["euler", "rkc"])
def test_explicit_steps_agree_with_cpu_on_a_large_grid(stepper) -> None:
    """Rounding of 1e-7 a step for 64 steps of a pattern that grows: 1e-4 is generous, a wrong stencil makes 0.1."""
    found = {}
    for platform in ("cpu", "gpu"):
        with jax.default_device(jax.devices(platform)[0]):
            found[platform] = tme.simulate(gray_scott(1024), control=tme.StepControl(dt=16.0), stepper=stepper)
            assert found[platform].ok
    for name in ("U", "V"):
        one, two = (found[p].fields[name][-1] for p in ("cpu", "gpu"))
        assert np.max(np.abs(one - two)) < 1e-4
        budget = found["gpu"].budgets[name]
        assert float(budget["error"]) < 1e-5


@pytest.mark.gpu
@pytest.mark.skipif(not _gpus(), reason="no GPU on this machine")
@pytest.mark.parametrize(("shape", "one_number"), [((256,) * 3, False), ((256,) * 3, True), ((1025, 1023), False)])
def test_a_large_elliptic_balance_is_solved(shape, one_number) -> None:
    """λu − ∇·(D∇u) = λ over a closed box has u = 1 whatever D is: the steady state of 16 million cells."""
    grid = tme.Grid.box([10.0 * n for n in shape], shape)
    x = grid.coordinates()[-1]
    d = 2000.0 if one_number else np.where(np.sin(x / 97.0) > 0, 2000.0, 20.0)
    start = 1.0 + 0.5 * np.sin(x / 300.0)

    def decay(clock, state, tissue):
        return {"u.source": 1.0, "u.loss": 1.0}

    model = tme.Model(grid, {"u": tme.Species(start, d)}, [tme.process(decay)])
    with jax.default_device(_gpus()[0]):
        out = tme.simulate(tme.Scenario(model, until=20.0), stepper=tme.Rosenbrock2())
    assert out.ok
    assert np.max(np.abs(out.fields["u"][-1] - 1.0)) < 2e-3


@pytest.mark.gpu
@pytest.mark.skipif(not _gpus(), reason="no GPU on this machine")
def test_double_precision_agrees_with_cpu_to_rounding() -> None:
    found = {}
    for platform in ("cpu", "gpu"):
        with jax.default_device(jax.devices(platform)[0]):
            found[platform] = tme.simulate(gray_scott(64), precision="f64", control=tme.StepControl(rtol=1e-6))
    for name in ("U", "V"):
        assert np.max(np.abs(found["cpu"].fields[name][-1] - found["gpu"].fields[name][-1])) < 1e-6
