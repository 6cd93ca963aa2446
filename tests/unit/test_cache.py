"""Compiled programs on disk: where, when not, and that a second process finds them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tmepde import _cache

LOOK = """
import jax
import tmepde as tme
from tmepde._cache import keep_programs
tme.simulate
print(keep_programs())
print(jax.config.jax_compilation_cache_dir)
"""

#: a program that takes longer than a second to compile is kept: two quasi-steady fields in two dimensions do
RUN = """
import hashlib, sys
import numpy as np
import tmepde as tme

def rates(clock, state, tissue):
    return {"q.source": 1.0, "q.loss": 1.0 + state["u"], "u.loss": 0.5 * state["q"], "u.source": 0.1}

grid = tme.Grid.square(1.0, 16)
x = grid.coordinates()[1]
species = {"u": tme.Species(2.0 + x, 0.1 + x), "q": tme.Species(0.3, 1.0 + x, kind="quasi_steady")}
out = tme.simulate(tme.Scenario(tme.Model(grid, species, [tme.process(rates)]), until=1.0))
print(hashlib.sha256(out.fields["u"].tobytes() + out.fields["q"].tobytes()).hexdigest(), out.compile_time)
"""


def python(code, home, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XDG_", "TMEPDE_"))}
    environment |= {"HOME": str(home), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    for name in ("TMEPDE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _cache.folder().parent == tmp_path / ".cache" / "tmepde"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert _cache.folder().parent == tmp_path / "x" / "tmepde"
    monkeypatch.setenv("TMEPDE_CACHE", str(tmp_path / "own"))
    assert _cache.folder().parent == tmp_path / "own"
    for off in ("off", "OFF", "0", "no"):
        monkeypatch.setenv("TMEPDE_CACHE", off)
        assert _cache.folder() is None


def test_a_folder_that_the_user_chose_is_left_alone():
    """The tests themselves run with a chosen one."""
    import jax

    before = jax.config.jax_compilation_cache_dir
    assert before and _cache.keep_programs() == f"{before} (chosen by the user)"
    assert jax.config.jax_compilation_cache_dir == before


def test_the_oldest_programs_are_removed_first(tmp_path, monkeypatch):
    for age in range(5):
        path = tmp_path / f"p{age}-cache"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(_cache, "LARGEST", 250)
    _cache._prune(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p0-cache", "p1-cache"]


@pytest.mark.slow
def test_switched_off_or_chosen_by_the_user_or_not_writable(tmp_path):
    off = python(LOOK, tmp_path, TMEPDE_CACHE="off").stdout.split("\n")
    assert off[:2] == ["off", "None"] and not (tmp_path / ".cache").exists()
    own = python(LOOK, tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "mine")).stdout.split("\n")
    assert own[:2] == [f"{tmp_path / 'mine'} (chosen by the user)", str(tmp_path / "mine")]
    (tmp_path / "file").write_text("in the way")
    blocked = python(LOOK, tmp_path, XDG_CACHE_HOME=str(tmp_path / "file")).stdout.split("\n")
    assert blocked[0].startswith("off, ") and "cannot be used" in blocked[0] and blocked[1] == "None"


@pytest.mark.slow
def test_a_second_process_compiles_nothing_and_gets_the_same_bits(tmp_path):
    one, two, none = python(RUN, tmp_path), python(RUN, tmp_path), python(RUN, tmp_path, TMEPDE_CACHE="off")
    kept = list((tmp_path / ".cache" / "tmepde").glob("programs-*/*-cache"))
    assert kept, "nothing took a second to compile"
    digests = [done.stdout.split()[0] for done in (one, two, none)]
    assert len(set(digests)) == 1
    for done in (one, two):
        assert not re.search(r"machine feature|SIGILL|AOT", done.stderr), done.stderr
    assert len(list(Path(kept[0]).parent.glob("*-cache"))) == len(kept)
    first, second = (float(done.stdout.split()[1]) for done in (one, two))
    assert second < first


@pytest.mark.slow
def test_a_damaged_entry_costs_a_compilation_and_nothing_else(tmp_path):
    one = python(RUN, tmp_path)
    kept = list((tmp_path / ".cache" / "tmepde").glob("programs-*/*-cache"))
    for path in kept:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    two = python(RUN, tmp_path)
    assert kept and one.stdout.split()[0] == two.stdout.split()[0]


def test_programs_for_one_core_are_kept_apart_from_those_for_two(monkeypatch):
    """XLA divides loops among the cores there are when it compiles; JAX's own key is the same for both."""
    marks = set()
    for count in (1, 2):
        monkeypatch.setattr(_cache, "cores", lambda count=count: count)
        marks.add(_cache._fingerprint.__wrapped__())
    assert len(marks) == 2
