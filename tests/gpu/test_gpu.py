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
