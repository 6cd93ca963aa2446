"""How wide batches are, how many processes share the machine, and in which order batches are begun."""

import fcntl
import os
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tmepde import _cache
from tmepde.sweep import store, width
from tmepde.sweep.executors import inline, slot
from tmepde.sweep.order import structures_first, structures_left


def scenario(*shape, fields=20):
    """What is looked at of one: its grid and the kinds of its species."""
    species = {f"u{i}": SimpleNamespace(kind="transported") for i in range(fields)}
    return SimpleNamespace(
        model=SimpleNamespace(grid=SimpleNamespace(shape=shape)), system=SimpleNamespace(species=species)
    )


@pytest.fixture
def cores(monkeypatch):
    """Say how many cores there are."""

    def have(number):
        monkeypatch.setattr(width, "cores", lambda: number)
        monkeypatch.setattr(slot, "cores", lambda: tuple(range(number)))

    have(2)
    return have


@pytest.mark.parametrize("count", [1_000, 10_000])
@pytest.mark.parametrize("number", [1, 2, 8])
def test_files_of_a_batch_of_small_scenarios_are_shared_by_many(cores, count, number):
    cores(number)
    batch, _ = width.chosen(scenario(64, 64), "f32", 2000.0, 27, count)
    assert 27 * 4096 / batch < 2000 and -(-count // batch) >= 8


def test_scenarios_that_take_long_are_not_put_into_wide_batches(cores):
    assert width.chosen(scenario(128, 128, 128), "f32", 2000.0, 27, 10_000).batch == 16
    middle = width.chosen(scenario(256, 256), "f32", 2000.0, 27, 10_000).batch
    assert 16 < middle < 27 * 4096 / 1536


def test_a_small_sweep_has_eight_batches_and_large_rows_stay_below_64_mib(cores):
    assert width.chosen(scenario(16, 16), "f32", 2000.0, 27, 80).batch == 10
    assert width.chosen(scenario(64, 64), "f32", 2**25, 27, 1000).batch == 2


def test_on_a_gpu_a_batch_is_whole_programs(monkeypatch):
    gpu = SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": 80 * 2**30})
    monkeypatch.setattr(jax, "devices", lambda: [gpu])
    assert width.chosen(scenario(64, 64), "f32", 2000.0, 27, 100_000) == (1024, 1024)
    batch, mapped = width.chosen(scenario(512, 512), "f32", 2000.0, 27, 100_000)
    assert mapped == 16 and batch % 16 == 0 and 27 * 4096 / batch < 1600
    gpu.memory_stats = lambda: {"bytes_limit": 2**30}
    assert width.chosen(scenario(512, 512), "f32", 2000.0, 27, 100_000).mapped == 1


def test_batches_are_even_and_as_many_for_each_process():
    for count in range(1, 300):
        for size in (1, 7, 16, 72):
            for processes in (1, 2, 3, 8):
                batch = width.evened(count, size, processes)
                number = -(-count // batch)
                assert 1 <= batch <= size
                assert batch - (count - (number - 1) * batch) < number, "the last one is as long as they come"


def test_processes_are_as_many_as_memory_allows(cores, monkeypatch):
    cores(8)
    room = {"bytes": 100 * 2**30}
    monkeypatch.setattr(width, "available", lambda: room["bytes"])
    assert width.processes(100, 1e6) == 8 and width.processes(3, 1e6) == 3 and width.processes(100, None) == 8
    room["bytes"] = 4 * width.PROCESS / 0.6 + 1.0
    assert width.processes(100, 1.0) == 3, "eight members take eight bytes"
    assert width.processes(100, 0.0) == 4
    assert width.processes(100, width.PROCESS) == 1, "not even one member a core: one process, which looks for itself"
    room["bytes"] = None
    assert width.processes(100, 1e12) == 8


def test_fewer_processes_than_cores_are_said_to_be(cores, monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("TMEPDE_CACHE", str(tmp_path))
    asked, said = {}, []
    monkeypatch.setattr(inline.watched, "run", lambda *_, **how: asked.update(how))
    out = made(tmp_path, 8, 2, {"member_bytes": 2**40})
    inline.run(out, [0, 1, 2, 3], None, said.append)
    assert asked["processes"] == 1 and "1 process(es) instead of 2" in said[0] and "--workers" in said[0]
    inline.run(made(tmp_path, 8, 2, {"member_bytes": 2**20}), [0, 1, 2, 3], None, said.append)
    assert asked["processes"] == 2 and asked["patience"] > 0 and len(said) == 1
    inline.run(made(tmp_path, 8, 2, {"structure_starts": [0, 3]}), [0, 1, 2, 3], None, said.append)
    assert asked["patience"] == 0, "another structure is compiled at once"
    inline.run(out, [0, 1, 2, 3], 7, said.append)
    assert asked["processes"] == 7


def made(folder, count, batch, attributes):
    """A store of nothing but ``status``."""
    path = folder / f"{len(list(folder.iterdir()))}.zarr"
    arrays = {"status": store.Array((), (), np.int8, {"units": "1"})}
    store.create(path, count, batch, arrays, attributes)
    return path


def test_the_first_batch_of_each_structure_comes_first(tmp_path):
    out = made(tmp_path, 100, 10, {"structure_starts": [0, 25, 60, 95]})
    everything = list(range(10))
    assert structures_first(out, everything) == [0, 3, 6, 9, 1, 2, 4, 5, 7, 8]
    assert structures_first(out, [1, 2, 5, 7, 8]) == [1, 5, 7, 2, 8]
    assert structures_first(out, [2]) == [2] and structures_first(out, []) == []
    assert (
        structures_left(out, everything) == 4 and structures_left(out, [3, 4]) == 1 and structures_left(out, [2]) == 2
    )


def test_without_a_word_about_structures_the_order_is_that_of_the_numbers(tmp_path):
    out = made(tmp_path, 100, 10, {})
    assert structures_first(out, [3, 4, 7]) == [3, 4, 7] and structures_left(out, [3, 4, 7]) == 1


def test_every_batch_is_begun_once_whatever_the_structures(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(20):
        starts = [0, *sorted({int(i) for i in rng.integers(1, 60, 9)})]
        out = made(tmp_path, 60, int(rng.integers(1, 20)), {"structure_starts": starts})
        left = sorted({int(i) for i in rng.integers(0, store.batches(out), 12)})
        order, held = structures_first(out, left), []
        assert sorted(order) == left
        for index in order[: structures_left(out, left)]:
            held += [
                s
                for s, stop in zip(starts, [*starts[1:], 60], strict=True)
                for r in store.rows(out, index)
                if s <= r < stop
            ]
        everything = {
            s
            for i in left
            for s, stop in zip(starts, [*starts[1:], 60], strict=True)
            for r in store.rows(out, i)
            if s <= r < stop
        }
        assert set(held) == everything, "the front holds a row of each structure that is left"


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder of programs in which something else compiles the program ``"p"``."""
    monkeypatch.setattr(_cache, "keep_programs", lambda: "")
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    with _cache.compiled_once("p"):
        pass
    (file,) = tmp_path.glob("compiling-*")
    handle = os.open(file, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield handle
    os.close(handle)
    jax.config.update("jax_compilation_cache_dir", before)


def test_who_waits_for_a_compilation_says_so_and_goes_on_in_the_end(locked, monkeypatch, capfd):
    monkeypatch.setattr(_cache, "TOLD", 0.0)
    monkeypatch.setattr(_cache, "PATIENCE", 0.5)
    with pytest.warns(UserWarning, match="is locked.*If that process hangs, end it"), _cache.compiled_once("p"):
        pass
    told = capfd.readouterr().err
    assert told.count("waiting for the process that compiles the same program") == 1 and "TMEPDE_CACHE=off" in told


def test_a_lock_that_is_given_back_is_taken_in_silence(locked, monkeypatch, capfd, recwarn):
    monkeypatch.setattr(_cache, "_POLL", 0.01)
    timer = __import__("threading").Timer(0.2, fcntl.flock, (locked, fcntl.LOCK_UN))
    timer.start()
    with _cache.compiled_once("p"), pytest.raises(BlockingIOError):
        fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not recwarn.list and not capfd.readouterr().err
