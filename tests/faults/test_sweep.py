"""A sweep loses nothing, mixes nothing up, and says what went wrong."""

import json
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import xarray as xr

from tmepde import config as configs
from tmepde.cli.exits import Stop
from tmepde.cli.sweep import Where, chosen
from tmepde.cli.sweep import run as command
from tmepde.io.store import StoreError
from tmepde.sweep import check_same, create, fail, pending, run_batch, store

TINY = """
schema = 1
name = "tiny"
[grid]
kind = "radial"
radius = "400 um"
cells = 12
[model]
kind = "solid_tumour"
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "1 hour", amount = "1e8 cells" }
[arms]
"none" = []
"CAR-T" = ["car_t"]
[run]
until = "6 hour"
save = { every = "3 hour" }
[sweep]
batch = 2
[sweep.grid]
"interventions.car_t.dose.amount" = ["1e7 cells", "1e8 cells", "1e9 cells"]
"""
LIMITS = TINY.replace("[sweep.grid]", '[sweep.grid]\n"run.max_steps" = [10000, 1]')


def files(path):
    return {p.relative_to(path): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file() and p.name[:2] == "c."}


def same(one, other, leave=("wall_time",)):
    a, b = files(one), files(other)
    assert set(a) == set(b)
    assert not [p for p in a if a[p] != b[p] and p.parts[0] not in leave]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny sweep, all of it, and how many programs were compiled for it."""
    out = tmp_path_factory.mktemp("sweep") / "tiny.zarr"
    create(configs.loads(TINY), out)
    compiled = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    run_batch(out, 0)
    jax.monitoring.register_event_duration_secs_listener(listen)
    for index in (1, 2):
        run_batch(out, index)
    jax.monitoring.clear_event_listeners()
    return out, len(compiled)


@pytest.mark.slow
def test_batches_after_the_first_compile_nothing(done):
    assert done[1] == 0


def test_store_opens_without_tmepde_and_says_what_varied(done):
    found = xr.open_zarr(done[0])
    assert set(found.coords) >= {"interventions.car_t.dose.amount", "arm", "scenario", "time"}
    assert found["interventions.car_t.dose.amount"].attrs["units"] == "cells"
    assert list(found.status.values) == [1] * 6 and found.status.attrs["flag_meanings"].startswith("pending ok")
    assert np.all(np.isfinite(found.car_t_total.values)) and not any("units" not in v.attrs for v in found.values())
    dose = found["interventions.car_t.dose.amount"].values
    treated = found.arm.values == "CAR-T"
    last = found.car_t_total.values[:, -1]
    assert np.all(np.diff(last[treated][np.argsort(dose[treated])]) > 0) and np.all(last[~treated] == last[~treated][0])


def test_sweep_is_bitwise_the_single_runs(done):
    from tmepde.simulation import simulate

    found = xr.open_zarr(done[0])
    built = configs.loads(TINY, {"interventions.car_t.dose.amount": "1e9 cells"}).build()
    solution = simulate(built.scenario.only(["car_t"]), save=built.save)
    (row,) = np.flatnonzero((found.arm.values == "CAR-T") & (found["interventions.car_t.dose.amount"].values == 1e9))
    assert np.array_equal(found.tumour_burden.values[row], solution.observables["tumour_burden"])


def test_solutions_in_memory_make_the_same_dataset(done):
    from tmepde.batch import simulate_batch
    from tmepde.sweep import gather

    path, found = "interventions.car_t.dose.amount", xr.open_zarr(done[0])
    base = configs.loads(TINY).build()
    doses = np.array([1e7, 1e8, 1e9])
    solutions = simulate_batch(base.scenario.only(["car_t"]), {path: doses}, save=base.save, fields=(), block=1)
    made = gather(solutions, {path: doses}, {path: "cells"})
    stored = found.isel(scenario=np.flatnonzero(found.arm.values == "CAR-T")).sortby(path)
    for name in ("tumour_burden", "car_t_total", "n_steps", "status", path, "time"):
        assert np.array_equal(made[name].values, stored[name].values), name
    assert made[path].units == stored[path].units and made.tumour_burden.units == stored.tumour_burden.units
    with pytest.raises(ValueError, match="3 values, but there are 2"):
        gather(solutions, {path: doses[:2]})


def test_running_a_batch_again_writes_the_same_bytes(done, tmp_path):
    again = tmp_path / "again.zarr"
    shutil.copytree(done[0], again)
    run_batch(again, 1)
    same(again, done[0])


@pytest.mark.slow
def test_scenarios_that_fail_are_data_and_leave_the_others_as_they_are(done, tmp_path, capsys):
    config, out = tmp_path / "limits.toml", tmp_path / "limits.zarr"
    config.write_text(LIMITS)
    assert command(config, out, (), Where(), None, False, False) == 1
    found, alone = xr.open_zarr(out), xr.open_zarr(done[0])
    bad = found["run.max_steps"].values == 1
    assert bad.sum() == 6 and set(found.status.values[bad]) == {store.FAILED}
    assert all("max_steps" in m for m in found.message.values[bad])
    good = found.isel(scenario=~bad)
    for name in ("tumour_burden", "car_t_total", "n_steps"):
        pairs = [(d.arm.values, d["interventions.car_t.dose.amount"].values) for d in (good, alone)]
        order = [list(zip(*pair, strict=True)) for pair in pairs]
        rows = [order[0].index(key) for key in order[1]]
        assert np.array_equal(good[name].values[rows], alone[name].values, equal_nan=True)
    assert "6 did not end well" in capsys.readouterr().err


def test_killed_before_its_commit_a_batch_is_pending(done, tmp_path):
    out = tmp_path / "killed.zarr"
    create(configs.loads(TINY), out)
    assert pending(out) == [0, 1, 2]
    shutil.copytree(done[0] / "tumour_burden", out / "tumour_burden", dirs_exist_ok=True)  # data, but no status
    assert pending(out) == [0, 1, 2]
    for index in pending(out):
        run_batch(out, index)
    same(out, done[0])


def test_rows_that_are_no_whole_batch_are_refused(done, tmp_path):
    out = tmp_path / "part.zarr"
    shutil.copytree(done[0], out)
    for start, stop in ((0, 1), (1, 3), (0, 4), (5, 7), (2, 2), (-2, 0)):
        with pytest.raises(ValueError, match="one whole batch of 2"):
            store.write(out, start, stop, {"status": np.zeros(max(stop - start, 0), np.int8)})
    with pytest.raises(ValueError, match="'arm' has chunks of 6: it was written with the store"):
        store.write(out, 2, 4, {"arm": np.array(["none"] * 2, object), "status": np.ones(2, np.int8)})
    same(out, done[0])
    with pytest.raises(ValueError, match="numbered 0 to 2"):
        run_batch(out, 3)


def test_failed_batch_is_marked_and_can_be_retried(done, tmp_path, monkeypatch):
    """Its batches run here: a process of their own has no 64-bit mode, and so another program."""
    from tmepde.cli import sweep

    def execute(out, left, where, options):
        assert left == pending(out) == [2]
        for index in left:
            run_batch(out, index)
        return sweep._verdict(out)

    monkeypatch.setattr(sweep, "_execute", execute)
    out = tmp_path / "retry.zarr"
    shutil.copytree(done[0], out)
    fail(out, 2, "the worker process was killed twice")
    assert store.unsuccessful(out) == [2] and pending(out) == []
    assert sweep.retry(out) == 0
    same(out, done[0])


def test_a_batch_that_could_not_be_run_at_all_is_no_damage(done, tmp_path):
    """Its message and status alone were written: the store was said to be damaged, had no report, and --resume ran what
    had killed its process again."""
    from tmepde.io import StoreError, open_store
    from tmepde.sweep.damage import look, mend

    out = tmp_path / "killed.zarr"
    shutil.copytree(done[0], out)
    for file in out.glob("*/c.2*"):
        file.unlink()
    fail(out, 2, "its process was killed by SIGSEGV, twice")
    assert look(out).good and mend(out) == [] and pending(out) == []
    last = xr.open_zarr(out).isel(scenario=slice(4, None))
    assert np.all(last["status"] == store.FAILED) and np.all(np.isnan(last["tumour_burden"]))
    with pytest.raises(StoreError, match="is the store of a sweep, but that of a run is needed"):
        open_store(out)


def test_a_lost_array_and_a_changed_document_are_found_and_come_back(done, tmp_path):
    """A folder that was deleted was not missed; xarray then reads it as NaN."""
    from tmepde.sweep.damage import look, mend

    out = tmp_path / "lost.zarr"
    shutil.copytree(done[0], out)
    shutil.rmtree(out / "tumour_burden")
    (out / "n_steps" / "zarr.json").write_text((out / "n_steps" / "zarr.json").read_text().replace("int32", "int16"))
    assert look(out).documents == {"tumour_burden/zarr.json": "missing", "n_steps/zarr.json": "changed"}
    assert len(mend(out)) == 2 + 3 and look(out).good and pending(out) == [0, 1, 2]
    for index in range(3):
        run_batch(out, index)
    same(out, done[0])
    root = out / "zarr.json"
    root.write_text(root.read_text().replace('"batch": 2', '"batch": 0'))
    with pytest.raises(StoreError, match="`zarr.json` does not match its checksum"):
        pending(out)


def test_going_on_with_another_config_is_refused_with_what_differs(done, tmp_path):
    changed = configs.loads(TINY.replace("1e9 cells", "2e9 cells"))
    with pytest.raises(
        ValueError, match=r"sweep.grid.interventions.car_t.dose.amount: .*1e9.* in the store, .*2e9.* now"
    ):
        check_same(changed, done[0])
    with pytest.raises(ValueError, match=r"grid.cells: 12 in the store, 13 now"):
        check_same(configs.loads(TINY, {"grid.cells": 13}), done[0])
    check_same(configs.loads(TINY, {"sweep.batch": 3, "description": "another"}), done[0])
    check_same(configs.loads(TINY), done[0])
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    with pytest.raises(Stop, match="exists already"):
        command(path, done[0], (), Where(), None, False, False)
    assert command(path, done[0], (), Where(), None, True, False) == 0


def test_of_two_commands_that_make_one_store_the_second_is_told(tmp_path, monkeypatch):
    """Both had found nothing there; the slower one said that its temporary folder could not be used."""
    path, out = tmp_path / "tiny.toml", tmp_path / "out.zarr"
    path.write_text(TINY)
    sync = store.sync_tree

    def meanwhile(partial):
        sync(partial)
        shutil.copytree(partial, out)

    monkeypatch.setattr(store, "sync_tree", meanwhile)
    with pytest.raises(Stop, match="exists already.*--resume") as stopped:
        command(path, out, (), Where(), None, only_create=True)
    assert stopped.value.code == 2 and sorted(p.name for p in tmp_path.iterdir()) == ["out.zarr", "tiny.toml"]


def test_without_a_sweep_there_is_nothing_to_do(tmp_path):
    path = tmp_path / "plain.toml"
    path.write_text(TINY.split("[sweep]")[0])
    with pytest.raises(Stop, match="must have"):
        command(path, tmp_path / "out.zarr", (), Where(), None, False, False)
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    "where, option",
    [
        (Where(scheduler="tcp://host:8786"), "--scheduler is for --executor dask, but inline"),
        (Where("dask", interface="ib0"), "--interface is for --executor slurm-dask"),
        (Where(slurm=("time=2:00:00",)), "--slurm is for --executor slurm-array or slurm-dask"),
    ],
)
def test_an_option_that_the_executor_would_leave_aside_is_refused(where, option, tmp_path):
    (tmp_path / "a.toml").write_text(TINY)
    with pytest.raises(Stop, match=option):
        command(tmp_path / "a.toml", tmp_path / "a.zarr", [], where, None)
    assert not (tmp_path / "a.zarr").exists()


@pytest.mark.parametrize("executor", ["slurm-array", "slurm-dask"])
@pytest.mark.parametrize(("name", "there", "words"), [("a.zarr", False, "no SLURM here"), ("a\\b.zarr", True, "logs")])
def test_what_slurm_cannot_do_is_said_before_a_store_is_made(name, there, words, executor, tmp_path, monkeypatch):
    """Afterwards the store was there, and the next command had to be another one."""
    monkeypatch.setattr(shutil, "which", lambda program: "/usr/bin/sbatch" if there else None)
    (tmp_path / "a.toml").write_text(TINY)
    with pytest.raises(Stop, match=words):
        command(tmp_path / "a.toml", tmp_path / name, [], Where(executor), None)
    assert [p.name for p in tmp_path.iterdir()] == ["a.toml"]


@pytest.mark.parametrize(("damage", "words"), [(None, "no store"), ("{}", "damaged"), ("junk", "damaged")])
def test_what_is_no_sweep_is_named(tmp_path, damage, words):
    path = tmp_path / "x.zarr"
    if damage is not None:
        path.mkdir()
        (path / "zarr.json").write_text(damage)
    with pytest.raises(StoreError, match=words):
        store.statuses(path)


def test_flipped_bits_are_found(done, tmp_path):
    out = tmp_path / "flipped.zarr"
    shutil.copytree(done[0], out)
    chunk = out / "status" / "c.1"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 4
    chunk.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        store.statuses(out)


def test_numbers_of_batches_are_checked(done):
    assert chosen(done[0], [2], False, None, 1) == [2]
    assert chosen(done[0], [], True, None, 1) == []
    with pytest.raises(Stop, match="0 to 2"):
        chosen(done[0], [3], False, None, 1)
    with pytest.raises(Stop, match="which batches"):
        chosen(done[0], [], False, None, 1)


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_many_scenarios_are_small_on_disk_and_their_status_is_fast(tmp_path, count):
    """By default, blocks of the disk beyond the numbers of the time series, which are noise here and cannot be
    compressed, are less than 2 kB a scenario; `sweep status` takes less than 2 s (the interpreter not counted)."""
    from tmepde.cli.sweep import status

    doses = f'{{ low = "1e7 cells", high = "1e9 cells", count = {count // 2}, scale = "log" }}'
    text = TINY.replace("batch = 2\n", "").replace('["1e7 cells", "1e8 cells", "1e9 cells"]', doses)
    out, rng = tmp_path / "many.zarr", np.random.default_rng(0)
    create(configs.loads(text, {"run.save.every": "0.5 hour"}), out)
    fixed, found = blocks(out), xr.open_zarr(out, chunks=None)
    number, batch = store.batches(out), len(store.rows(out, 0))
    series = [name for name, one in found.items() if one.ndim == 2]
    for index in (0, 7, number - 1):
        part = store.rows(out, index)
        columns = {name: rng.random((len(part), found.sizes["time"]), np.float32) for name in series}
        columns |= {name: rng.random(len(part)) for name in ("wall_time", "mass_balance_error")}
        columns |= {name: rng.integers(1, 999, len(part)) for name in ("n_steps", "n_rejected", "members")}
        columns["message"] = np.array([f"reached its end {i}" for i in part], object)
        store.write(out, part.start, part.stop, columns | {"status": np.ones(len(part), np.int8)})
        if index == 7:
            grown = blocks(out)
        elif index == 0:
            before = blocks(out)
    assert len(found.data_vars) == len(series) + 7, "the test must write every array"
    numbers = len(series) * found.sizes["time"] * 4
    assert fixed / count + (grown - before) / batch - numbers < 2048
    began = time.perf_counter()
    assert status(out, True) == 0
    assert len(store.pending(out)) == number - 3
    assert time.perf_counter() - began < 2.0


def blocks(folder):
    """Bytes of the blocks that files and folders take, as `du` counts them."""
    return sum(512 * p.lstat().st_blocks for p in (folder, *folder.rglob("*")))


def test_status_starts_no_jax(done):
    code = f"""import sys
from tmepde.cli.sweep import status
from pathlib import Path
status(Path({str(done[0])!r}), True)
print("jax" in sys.modules, file=sys.stderr)"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout)["ok"] == 6 and said.stderr.strip() == "False"


@pytest.mark.slow
def test_structures_are_compiled_once_each(tmp_path, monkeypatch):
    """Two grids, mapped as on a GPU in batches of which one holds both: as many programs as structures, and the same
    numbers, to round-off, as members by themselves."""
    from tmepde.sweep import compute
    from tmepde.sweep.engine import ordered
    from tmepde.sweep.members import structures

    text = TINY.replace("batch = 2", "batch = 4").replace("[sweep.grid]", '[sweep.grid]\n"grid.cells" = [13, 14]')
    config, compiled = configs.loads(text), []

    def listen(event, *_, fun_name="", **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for name, way in (("mapped", compute.How(4)), ("single", compute.How(1, 1))):
            monkeypatch.setattr(compute, "how", lambda mapped, threads, way=way: way)
            create(config, tmp_path / f"{name}.zarr")
            for index in pending(tmp_path / f"{name}.zarr"):
                run_batch(tmp_path / f"{name}.zarr", index)
    finally:
        jax.monitoring.clear_event_listeners()
    assert structures(ordered(config)) == 2
    programs = [sum(word in name for name in compiled) for word in ("block_interval", "march_program")]
    assert programs == [2, 2]
    one, other = xr.open_zarr(tmp_path / "mapped.zarr"), xr.open_zarr(tmp_path / "single.zarr")
    assert list(one.status.values) == [store.OK] * 12 and set(one.members.values) == {2, 4}
    np.testing.assert_allclose(one.tumour_burden.values, other.tumour_burden.values, rtol=1e-4)
    assert np.array_equal(one.n_steps.values, other.n_steps.values)


@pytest.mark.parametrize("harm", ["delete", "flip", "cut"])
def test_what_a_finished_batch_loses_is_told_and_computed_again(done, tmp_path, capsys, harm):
    """zarr reads a missing chunk as NaN: nothing would be pending, and a report would show less than was computed."""
    from tmepde.cli import integrity
    from tmepde.cli.report import report
    from tmepde.sweep.damage import look

    out = tmp_path / "tiny.zarr"
    shutil.copytree(done[0], out)
    assert look(out).good
    file = out / "tumour_burden" / "c.1.0"
    content = file.read_bytes()
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if harm == "cut" else content[:9] + bytes([content[9] ^ 4]) + content[10:])
    for reads in (lambda: integrity.verify(out, False), lambda: report(out, tmp_path / "page.html")):
        with pytest.raises(Stop, match=r"damaged"):
            reads()
    assert "tumour_burden/c.1.0" in capsys.readouterr().out and not (tmp_path / "page.html").exists()
    integrity.repair(out)
    assert "batch 1 is pending again" in capsys.readouterr().out and pending(out) == [1]
    run_batch(out, 1)
    same(out, done[0])
    assert look(out).good


def test_every_chunk_of_a_finished_sweep_is_looked_at(done, tmp_path):
    from tmepde.sweep.damage import look, mend

    out = tmp_path / "tiny.zarr"
    shutil.copytree(done[0], out)
    chunks = sorted(p for p in out.rglob("c.*") if p.is_file())
    assert look(out).chunks == len(chunks) > 30
    for file in chunks:
        kept = file.read_bytes()
        file.unlink()
        found, index = look(out), int(file.name.split(".")[1])
        if file.parent.name == "status":
            assert pending(out) == [index]
        elif found.fixed:
            mend(out)
            assert file.read_bytes() == kept  # made again from the config
        else:
            assert list(found.batches) == [index]
        file.write_bytes(kept)
    assert look(out).good
