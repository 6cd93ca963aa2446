"""The measurements of `tmepde bench`: they solve what they say, compare honestly, and a broken peer stops nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tmepde as tme
from tmepde import bench
from tmepde._cache import cores
from tmepde.bench import peers, placement, problems
from tmepde.bench.record import Options, Record

KEYS = (
    "name device dtype cells wall_s compile_s error updates_per_s "
    "peers ratio_to_best_peer limits versions commit machine"
).split()


def tmepde(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tmepde.cli", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def box_tendency(problem: problems.Box, field: int):
    """The finite-volume right-hand side, written a second time: differences across inner faces."""

    def tendency(_: float, flat: np.ndarray) -> np.ndarray:
        u = flat.reshape(problem.initial.shape)
        out = problem.source - problem.decay[field] * u
        for k in range(3):
            flow = problem.diffusivity[field] / problems.WIDTH**2 * np.diff(u, axis=k)
            out = out + np.diff(flow, axis=k, prepend=0, append=0)
        return out.ravel()

    return tendency


def test_the_exact_solution_of_the_box_satisfies_its_equation() -> None:
    problem = problems.box(6, 2)
    found = problems.box_exact(6, 2)
    for field in range(2):
        run = solve_ivp(
            box_tendency(problem, field), (0.0, 1.0), problem.initial.ravel(), method="LSODA", rtol=1e-10, atol=1e-12
        )
        # local errors of 1e-10 add up over some hundred steps
        assert np.allclose(found[field].ravel(), run.y[:, -1], rtol=1e-8)


def test_face_rates_are_harmonic_means() -> None:
    d = np.array([[[1.0, 4.0]]])
    assert problems.face_rates(d)[2] * problems.WIDTH**2 == pytest.approx(1.6)  # 2·1·4/5
    assert problems.face_rates(d)[0].size == 0


def test_the_pattern_conserves_what_reaction_exchanges() -> None:
    """Without feed and kill Σ(u + v) is constant: no flux leaves through the sides."""
    g = problems.gray_scott(32)
    after = problems.gray_scott_steps(32, 50)
    gain = sum_of = np.sum(g.u + g.v)
    u, v = g.u, g.v
    for step in range(50):
        u, v = problems.gray_scott_steps(32, step) if step else (g.u, g.v)
        gain += np.sum(g.feed * (1 - u) - (g.feed + g.kill) * v)
    assert gain != sum_of
    assert np.sum(after) == pytest.approx(gain, rel=1e-12)


@pytest.mark.slow
def test_w1_reaches_its_target_and_the_record_has_all_keys(tmp_path: Path) -> None:
    done = tmepde("w1", "--quick", "--json", "--out", tmp_path / "w1.json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert json.loads((tmp_path / "w1.json").read_text()) == record
    assert [k for k in KEYS if k not in record] == []
    assert record["error"] <= 4e-4 and record["rows"][-1]["ok"]
    assert 0 < record["wall_s"] < 10 and record["cells"] == 24**3 and record["quick"]
    assert record["peers"] == {} and record["ratio_to_best_peer"] is None
    assert all(0.01 < value < 1e5 for value in record["limits"].values())  # GB/s and GFLOP/s of some computer
    looks = set(record["machine"].get("placement", "").split(", then "))
    assert looks <= {"together", "apart"} if cores() == 2 else looks == {""}


@pytest.mark.parametrize(("both", "where"), [(48.0, "together"), (90.0, "apart")])
def test_two_cores_with_a_way_to_the_memory_each_are_apart(monkeypatch, both: float, where: str) -> None:
    """GB/s as measured beside a program that passes a cache line to and fro; without two cores there is no answer."""
    monkeypatch.setattr(placement, "bandwidths", lambda _: (45.0, both))
    monkeypatch.setattr(placement, "cores", lambda: 2)
    assert placement.placement() == where
    monkeypatch.setattr(placement, "cores", lambda: 3)
    assert placement.placement() == ""


def test_an_unknown_name_and_a_bad_size_are_refused() -> None:
    done = tmepde("refrence")
    assert done.returncode == 2 and "Did you mean 'reference'?" in done.stderr
    done = tmepde("w1", "--cells", 3)
    assert done.returncode == 2 and "`cells` must lie between 8 and 4096" in done.stderr


def test_without_a_graphics_processor_the_prediction_is_told_with_exit_code_5() -> None:
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("there is one")
    done = tmepde("gpu", "--quick")
    assert done.returncode == 5 and "0.031 ms" in done.stderr  # 8 bytes · 256³ / 4.3 TB/s


def test_a_refused_measurement_keeps_the_old_results(tmp_path: Path) -> None:
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("there is one")
    old = tmp_path / "gpu.json"
    old.write_text("{}")
    assert tmepde("gpu", "--quick", "--device", "gpu", "--out", old).returncode == 5
    assert old.read_text() == "{}"


@pytest.mark.slow
def test_the_workload_for_graphics_processors_runs_on_a_processor() -> None:
    done = tmepde("gpu", "--quick", "--device", "cpu", "--json", "--repeats", 1)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    by_name = {row["kernel"]: row for row in record["rows"]}
    assert {"stencil", "V(2,2) cycle", "solve", "implicit substeps", "one exact step", "w1", "w5"} <= by_name.keys()
    euler = by_name["implicit substeps"]
    assert euler["ok"] and euler["steps"] == 12  # fixed steps of half a minute for six minutes
    assert euler["voxel_species_substeps_per_s"] == pytest.approx(12**3 * 10 * 12 / euler["wall_s"])
    assert by_name["V(2,2) cycle"]["share_of_copy"] > 0  # beyond 1 where a small grid stays in the cache
    assert "SPQSP_HCC_GPU" in record["notes"][0] and record["driver"]


@pytest.mark.slow
def test_the_models_for_graphics_processors_run_on_a_processor(tmp_path: Path) -> None:
    kept = tmp_path / "models.json"
    done = tmepde("gpu_models", "--quick", "--device", "cpu", "--repeats", 1, "--out", kept)
    assert done.returncode == 0, done.stderr
    record = json.loads(kept.read_text())
    assert not record["notes"]
    small, large = (row for row in record["rows"] if "case" in row)
    assert small["ok"] and large["ok"] and large["cells"] == 8**3 and record["wall_s"] == large["wall_s"]
    assert {row["members"] for row in record["rows"] if row.get("kernel") == "batch"} == {4, 16}


def test_what_fails_is_noted_and_the_rest_kept() -> None:
    from tmepde.bench.gpu import _collect

    def part(options: bench.Options):
        yield {"kernel": "first", "wall_s": 2.0, "headline": True}
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    seen: list[int] = []
    record = bench.Record("gpu", "a test", "f32", 1, None)
    _collect(record, "kernels", part, bench.Options(keep=lambda r: seen.append(len(r.rows))))
    assert record.wall_s == 2.0 and seen == [1] and record.rows == [{"kernel": "first", "wall_s": 2.0}]
    assert record.notes == ["kernels ended early: RESOURCE_EXHAUSTED: out of memory"]


def test_help_names_every_workload() -> None:
    done = tmepde("--help")
    assert done.returncode == 0 and all(name in done.stdout for name in (*bench.NAMES, "all"))


def test_a_peer_that_solves_the_same_problem_agrees() -> None:
    """Programs that need nothing but scipy and jax; Devito, FiPy and py-pde are written against the same problems."""
    options = Options(quick=True, peers=True)
    exact = problems.box_exact(12)
    kept = {"w1": {n: peers.PEERS["w1"][n] for n in ("scipy.fft", "jax by hand")}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "PEERS", kept)
        job = peers.Job(quick=True, full=True, repeats=1)
        found = peers.compare("w1", 12, job, options, lambda f: problems.worst(f, exact))
    assert found["scipy.fft"]["error"] < 1e-6  # exact in time: float32 alone
    # explicit Euler of 5e-4 min: ½ Δt μ of what the modes still do at the end, some 1e-5, and never exact
    assert 1e-7 < found["jax by hand"]["error"] < 1e-4
    record = Record("w1", "", "f32", 12**3, 1e-3).compared(found)
    assert record.ratio_to_best_peer == min(p["wall_s"] for p in found.values()) / 1e-3


def test_a_peer_that_fails_is_a_note_and_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", {"w1": {"ghost": "box:devito"}})  # the process does not know this name
    found = peers.compare("w1", 8, peers.Job(quick=True), Options(quick=True, peers=True), lambda f: 0.0)
    assert found["ghost"]["wall_s"] is None and "failed: KeyError" in found["ghost"]["note"]
    record = Record("w1", "", "f32", 512, 1.0).compared(found)
    assert record.ratio_to_best_peer is None and record.peers["ghost"]["ratio"] is None


def test_a_peer_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tmepde.bench.peers import __main__ as child

    monkeypatch.setitem(sys.modules, "devito", None)
    monkeypatch.setattr(sys, "argv", ["peers", "w1", "devito", "8", str(tmp_path), "{}"])
    with pytest.raises(SystemExit, match=r"devito is not installed; pip install 'tmepde\[bench\]' brings it"):
        child.main()


def test_extrapolation_is_proportional_and_says_so() -> None:
    assert peers.extrapolated(2.0, 100, 1000) == (20.0, "100 of 1000 steps timed, the rest extrapolated")
    assert peers.extrapolated(2.0, 1000, 1000) == (2.0, "1000 steps")


def test_the_page_is_made_of_the_results(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "page.py"
    record = Record("w1", "a box", "f32", 8, 0.5, 1.0, 1e-5)
    record.compared({"fast": {"wall_s": 0.25, "error": 1e-3, "ratio": None, "note": ""}})
    record.surroundings = {
        "device": "cpu",
        "limits": {"dram_copy_gb_s": 20.0},
        "versions": {"jax": "0.10", "devito": "not installed"},
        "commit": "abc",
        "machine": {"processor": "P", "cores": 2, "load": 0.1},
        "date": "2026-01-01T00:00:00Z",
    }
    (tmp_path / "w1.json").write_text(json.dumps(record.as_dict()))
    page = tmp_path / "page.md"
    done = subprocess.run([sys.executable, script, tmp_path, page], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = page.read_text("utf-8")
    assert "| fast | 0.25 | 1.0e-03 | 0.5 |" in text
    assert "Behind: fast" in text and "not installed" not in text


@pytest.mark.slow
def test_iterations_of_the_solve_stay_bounded() -> None:
    """The multigrid of the design: at most 14 iterations for jumps at s = 1000, and hardly more on twice the cells."""
    from tmepde.bench.scaling import solve_rows

    counts = [[r["iterations"] for r in solve_rows(n, "jumps", Options(repeats=1))] for n in (24, 48)]
    assert max(map(max, counts)) <= 16
    assert all(b <= a + 4 for a, b in zip(*counts, strict=True))


@pytest.mark.slow
def test_w4_by_scipy_and_by_us_agree_as_first_order_in_time_says() -> None:
    """scipy's implicit Euler with steps of 1 min and of 0.125 min: the difference from us falls by about eight."""
    from tmepde.bench.oxygen import scenario
    from tmepde.bench.peers.oxygen import _implicit

    ours = tme.simulate(scenario(12), save=problems.TIMES, control=tme.StepControl(rtol=1e-5)).fields["o2"][1:]
    coarse, fine = (problems.worst(_implicit(12, dt), ours) for dt in (1.0, 0.125))
    assert fine < 6e-3 and 5 < coarse / fine < 12


@pytest.mark.slow
@pytest.mark.parametrize("name", "w2 w3 w4 w5 reference milieu gradient batch sweep store devices".split())
def test_every_workload_runs_small(name: str) -> None:
    done = tmepde(name, "--quick", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["wall_s"] > 0 and record["rows"]
    if record["error"] is not None:
        # gradients equal differences to 1e-5 of the largest; runs their references to a few permille
        assert record["error"] < {"w2": 4e-4, "gradient": 1e-5}.get(name, 1e-2)
