"""The scripts that users copy: sound shell here, submitted for real where SLURM answers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_sweep import BATCHES, assert_bitwise_equal

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = sorted(p for p in FOLDER.iterdir() if p.suffix in (".sbatch", ".sh"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_script_is_sound_shell(path):
    subprocess.run(["bash", "-n", path], check=True, timeout=10)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_directives_come_before_the_first_command(path):
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first:] if line.startswith("#SBATCH")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_script_says_what_is_missing(path):
    said = subprocess.run(["bash", path], capture_output=True, text=True, timeout=10, check=False)
    assert said.returncode != 0
    assert re.search(r"must be given: \S+", said.stderr)


def test_every_script_is_explained():
    text = (FOLDER / "README.md").read_text()
    assert [p.name for p in SCRIPTS if f"`{p.name}`" not in text] == []


def submit(script, *words, options=(), **environment):
    """Submit a script of the folder and wait for its end: exit code and log."""
    log = Path(words[-1]).with_name(f"{script}.log")
    command = ["sbatch", "--wait", "--parsable", f"--output={log}", "--mem=1500M", "--time=10", *options]
    said = subprocess.run(
        [*command, FOLDER / script, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=400,
        check=False,
    )
    return said.returncode, said.stderr + "".join(p.read_text() for p in sorted(log.parent.glob(log.name + "*")))


@pytest.fixture
def commands(programs):
    """Where the nodes find the command and the interpreter."""
    folder = Path(sys.executable).parent
    names = {"TMEPDE": str(folder / "tmepde"), "PYTHON": sys.executable, "BIN": str(folder)}
    return {**names, "TMEPDE_CACHE": programs["TMEPDE_CACHE"], "JAX_PLATFORMS": "cpu"}


@pytest.mark.slurm
def test_single_run_script_is_stopped_requeued_and_continues(tiny, tmp_path, commands, tmepde):
    config = tmp_path / "run.toml"
    config.write_text(tiny.read_text().split("[sweep]")[0])
    code, said = submit("single_run.sbatch", config, tmp_path / "run.zarr", **commands)
    assert code == 0, said
    assert (tmp_path / "run.zarr" / "zarr.json").is_file()


@pytest.mark.slurm
def test_array_script_gives_the_store_of_one_process(tiny, tmp_path, commands, inline, tmepde):
    store = tmp_path / "mine.zarr"
    tmepde("sweep", tiny, "-o", store, "--create")
    code, said = submit("sweep_array.sbatch", store, options=[f"--array=0-{BATCHES // 2 - 1}"], SHARE="2", **commands)
    assert code == 0, said
    assert_bitwise_equal(store, inline)


@pytest.mark.slurm
def test_node_script_gives_the_store_of_one_process(tiny, tmp_path, commands, inline):
    pytest.importorskip("distributed", reason="needs tmepde[cluster]")
    store = tmp_path / "node.zarr"
    code, said = submit("sweep_node.sbatch", tiny, store, **commands)
    assert code == 0, said
    assert_bitwise_equal(store, inline)


@pytest.mark.slurm
def test_dask_script_gives_the_store_of_one_process(tiny, tmp_path, commands, inline):
    pytest.importorskip("distributed", reason="needs tmepde[cluster]")
    store = tmp_path / "held.zarr"
    options = ["--nodes=2", "--ntasks-per-node=1", "--gres=gpu:1"]
    code, said = submit("interactive_dask.sh", tiny, store, options=options, **commands)
    assert code == 0, said
    assert_bitwise_equal(store, inline)


@pytest.mark.slurm
def test_sharded_script_joins_its_processes(tmp_path, commands):
    program = tmp_path / "program.py"
    program.write_text(
        "import jax\n"
        'jax.config.update("jax_cpu_collectives_implementation", "gloo")\n'
        "jax.distributed.initialize()\n"
        "import jax.numpy as jnp, numpy as np\n"
        "from jax.sharding import Mesh, NamedSharding, PartitionSpec\n"
        'place = NamedSharding(Mesh(np.array(jax.devices()), ("x",)), PartitionSpec("x"))\n'
        "numbers = jax.make_array_from_callback((64,), place, lambda i: np.arange(64.0)[i])\n"
        'print("process", jax.process_index(), "of", jax.process_count(), "sum", float(jnp.sum(numbers)))\n'
    )
    options = ["--nodes=2", "--ntasks-per-node=1"]
    code, said = submit("sharded_run.sbatch", program, options=options, **commands)
    assert code == 0, said
    assert sorted(re.findall(r"process (\d) of 2 sum 2016.0", said)) == ["0", "1"]
