"""One domain over many devices: the same numbers as on one to the rounding of float64, for every stepper and solver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tmepde as tme
from tmepde.bench.exchange import exchanged
from tmepde.layout import Layout, _parts

WORKER = Path(__file__).parents[1] / "layout_worker.py"


def worker(*arguments: str, devices: int = 8, timeout: int = 900) -> dict:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, str(WORKER), *arguments], capture_output=True, text=True, timeout=timeout, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def agrees(found: dict) -> None:
    """Steps are the same, and fields differ by the rounding of float64 over some steps of some hundred operations."""
    for name, one in found.items():
        assert one["steps"][0] == one["steps"][1], name
        assert one["difference"] < 1e-12, (name, one)


@pytest.mark.slow
def test_eight_devices_give_what_one_gives() -> None:
    agrees(worker("quick"))


@pytest.mark.slow
def test_eight_devices_give_what_one_gives_by_every_stepper_and_solver() -> None:
    found = worker("all")
    agrees(found)
    assert len(found) >= 20


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    """Over gloo, four devices in all; only the first process writes."""
    import socket

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(WORKER), "process", f"localhost:{port}", "2"]
    runs = [
        subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for i in range(2)
    ]
    out = [r.communicate(timeout=600) for r in runs]
    assert [r.returncode for r in runs] == [0, 0], out[0][1][-2000:] + out[1][1][-2000:]
    for text, _ in out:
        agrees(json.loads(text.splitlines()[-1]))


CONFIG = Path(__file__).parents[2] / "configs" / "radial_1d.toml"


def command(*options: str, **settings: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **settings}
    words = [sys.executable, "-m", "tmepde.cli", "run", str(CONFIG), "--set", "run.until='1 hour'", *options]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_devices_that_are_not_there_end_with_code_5(tmp_path: Path) -> None:
    for given, code, told in (("9", 5, "there are 1"), ("some", 2, "must be a number from 1, or all")):
        run = command("-o", str(tmp_path / "a.zarr"), "--devices", given, XLA_FLAGS="")
        _, error = run.communicate(timeout=120)
        assert run.returncode == code and told in error
        assert not (tmp_path / "a.zarr").exists()


@pytest.mark.slow
def test_of_two_processes_of_the_command_line_the_first_writes(tmp_path: Path) -> None:
    import socket

    import xarray

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        place = f"localhost:{probe.getsockname()[1]}"
    flags = "--xla_force_host_platform_device_count=2"
    shared = {"XLA_FLAGS": flags, "TMEPDE_COORDINATOR": place, "TMEPDE_PROCESSES": "2"}
    options = ("-o", str(tmp_path / "many.zarr"), "--distributed", "-q")
    runs = [command(*options, **shared, TMEPDE_PROCESS=str(i)) for i in range(2)]
    told = [r.communicate(timeout=600) for r in runs]
    assert [r.returncode for r in runs] == [0, 0], told
    assert "written" in told[0][0] and told[1][0] == ""
    alone = command("-o", str(tmp_path / "one.zarr"), "-q")
    assert alone.wait(timeout=600) == 0
    one, many = (xarray.open_zarr(tmp_path / f"{n}.zarr").load() for n in ("one", "many"))
    for name in one.data_vars:
        if one[name].dtype.kind == "f" and "time" in one[name].dims:
            size = float(abs(one[name]).max())
            # float32: every step may round differently, some 1e2 steps of 1e-7, and the controller's steps with them
            assert float(abs(one[name] - many[name]).max()) <= 1e-4 * size, name


def test_grids_are_cut_along_the_first_axes_into_thick_parts() -> None:
    assert _parts((256, 256, 256), 8) == (8, 1, 1)
    assert _parts((64, 64, 64), 8) == (2, 4, 1)  # slabs of 8 would be thin
    assert _parts((250, 256), 8) == (1, 8)
    assert _parts((7,), 1) == (1,)


def test_what_cannot_be_cut_is_refused_with_what_can() -> None:
    with pytest.raises(ValueError, match=r"35 × 25 cells into equal parts, but 8 cannot. Take 5, 7, 25 devices"):
        _parts((35, 25), 8)
    with pytest.raises(ValueError, match="between 1 and 1, the devices that JAX finds"):
        Layout.of((64, 64), 64)
    with pytest.raises(ValueError, match="'some' was given"):
        Layout.of((64, 64), "some")


def test_devices_are_refused_inside_a_transformation() -> None:
    import jax

    grid = tme.Grid.line(100.0, 8)

    def end(loss):
        process = tme.process(lambda clock, state, tissue, rate: {"u.loss": rate}, rate=loss)
        run = tme.simulate(tme.Scenario(tme.Model(grid, {"u": tme.Species(1.0, 1.0)}, [process]), until=1.0), devices=1)
        return run.state["u"].sum()

    with pytest.raises(ValueError, match="`devices` must be left out inside a transformation"):
        jax.grad(end)(0.1)


HLO = """HloModule m

%body (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %c = f32[4]{0} collective-permute(%p), source_target_pairs={{0,1}}
}

%inside (p: f32[4]) -> pred[] {
  %p = f32[4]{0} parameter(0)
  ROOT %t = pred[] constant(true)
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %g = f32[8]{0} all-gather(%x), dimensions={0}
  %a = (f32[1]{0}, /*index=1*/f32[1]{0}) all-to-all(%x, %x)
  ROOT %w = f32[4]{0} while(%x), condition=%inside, body=%body
}
"""


def test_bytes_are_counted_by_depth_of_loops() -> None:
    found = exchanged(HLO, 2)
    assert found[0]["bytes"] == 8 * 4 / 2 + 2 * 4 / 2  # half of what is gathered, half of what is exchanged
    assert found[1] == {"bytes": 16.0, "count": {"collective-permute": 1}}


def test_a_look_at_few_numbers_runs_beside_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for a card by its name alone: where the look runs is what is chosen, not what it finds."""
    import jax

    from tmepde import layout

    assert jax.config.jax_default_device is None
    monkeypatch.setattr(layout, "platform", lambda: "gpu")
    with layout.beside(1000):
        assert jax.config.jax_default_device.platform == "cpu"
    with layout.beside(10**9):
        assert jax.config.jax_default_device is None
    monkeypatch.setattr(layout, "platform", lambda: "cpu")
    with layout.beside(1000):
        assert jax.config.jax_default_device is None
