"""The sbatch script and its options, on a machine without SLURM."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tmepde.config.errors import ConfigError
from tmepde.config.slurm import Slurm, seconds, with_options
from tmepde.sweep.executors.base import BadPath
from tmepde.sweep.executors.script import Script, job_name, ranges


def script(pending=(0, 1, 2, 5), batches=6, most_tasks=1001, store="/scratch/me/doses.zarr", **options):
    return Script(Path(store), batches, pending, Slurm(**options), most_tasks=most_tasks, python="/env/bin/python")


def directives(text):
    return re.findall(r"^#SBATCH (.*)$", text, re.MULTILINE)


def test_script_asks_for_what_the_options_say():
    options = {"partition": "gpu", "account": "lab", "gres": "gpu:1", "cpus": 4, "memory": "16G", "time": "2:00:00"}
    found = directives(script(**options, max_parallel=3, extra=("--constraint=a100",), notice=120).text)
    assert found == [
        f"--job-name={job_name(Path('/scratch/me/doses.zarr'))}",
        "--array=0-2,5%3",
        "--output=/scratch/me/doses.zarr.logs/%A_%a.log",
        "--open-mode=append",
        "--time=2:00:00",
        "--mem=16G",
        "--cpus-per-task=4",
        "--signal=B:USR1@120",
        "--requeue",
        "--partition=gpu",
        "--account=lab",
        "--gres=gpu:1",
        "--constraint=a100",
    ]


def test_no_directive_hides_behind_a_command():
    """sbatch reads directives up to the first command only."""
    lines = script(setup=("module load cuda",), gres="gpu:1").text.splitlines()
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:])
    assert "module load cuda" in lines[first_command:]


def test_task_number_means_the_same_batches_in_every_submission():
    everything = script(pending=range(10), batches=10, batches_per_task=4)
    rest = script(pending=(5, 9), batches=10, batches_per_task=4)
    assert everything.tasks == (0, 1, 2)
    assert rest.tasks == (1, 2)
    assert everything.share == rest.share == 4


def test_leave_to_run_code_is_written_into_the_script(monkeypatch):
    """Tasks had it from the environment of the command alone, so that sbatch by hand was refused."""
    from tmepde.sweep.executors import dask_slurm, slurm_array

    for given in (False, True):
        monkeypatch.setenv("TMEPDE_ALLOW_CODE", "1" if given else "")
        text = slurm_array.script_of(Path("/scratch/doses.zarr"), 6, (0, 1), Slurm()).text
        assert ("-m tmepde.cli --allow-code sweep batch" in text) == given
        worker = dask_slurm.settings(Path("/scratch/doses.zarr"), Slurm(setup=("module load cuda",)))
        assert ("export TMEPDE_ALLOW_CODE=1" in worker["job_script_prologue"]) == given


def test_array_stays_below_the_largest_of_the_cluster():
    many = script(pending=range(10_000), batches=10_000)
    assert many.share == 10
    assert max(many.tasks) < 1001
    with pytest.raises(ValueError, match="must be at least 10"):
        _ = script(pending=range(10_000), batches=10_000, batches_per_task=9).share


def test_path_with_blanks_quotes_and_percent_reaches_the_program_whole(tmp_path):
    store = tmp_path / "a b" / "it's 5%.zarr"
    store.parent.mkdir()
    spy = tmp_path / "spy"
    spy.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    spy.chmod(0o755)
    made = Script(store, 1, (0,), Slurm(), python=str(spy))
    said = _bash(made.text, tmp_path, SLURM_ARRAY_TASK_ID="7")
    assert str(store) in said.stdout.splitlines()
    assert said.stdout.splitlines()[-6:] == ["--task", "7", "--per-task", "1", "--grace", "50"]


@pytest.mark.parametrize("folder", ["a b", "o'brien", 'q"uote', "tab\ttab", "ha#sh", "#sh", "5% %j", "ü ñ", "do$l`"])
def test_path_of_the_logs_reaches_slurm_whole(folder):
    """sbatch takes quotes, escapes and comments as a shell does, and ``%%`` for a percent sign."""
    text = script(store=f"/scratch/{folder}/doses.zarr").text
    (line,) = (one for one in directives(text) if one.startswith("--output="))
    assert shlex.split(line, comments=True) == [
        f"--output=/scratch/{folder.replace('%', '%%')}/doses.zarr.logs/%A_%a.log"
    ]


@pytest.mark.parametrize("folder", ["back\\slash", "two\nlines"])
def test_path_of_logs_that_slurm_cannot_take_is_refused(folder):
    with pytest.raises(BadPath, match="cannot write logs into '/scratch/"):
        _ = script(store=f"/scratch/{folder}/doses.zarr").text


def test_commands_that_are_printed_can_be_pasted(monkeypatch, tmp_path):
    from tmepde.sweep.executors import queue, slurm_array

    monkeypatch.setattr(queue, "require", lambda: None)
    monkeypatch.setattr(queue, "jobs_of", lambda store: ())
    monkeypatch.setattr(queue, "submit", lambda script: "7")
    lines = []
    slurm_array.submit(tmp_path / "a b.zarr", 1, (0,), Slurm(), tell=lines.append)
    assert f"tmepde sweep status '{tmp_path}/a b.zarr'" in lines[-1]


def _bash(text, tmp_path, **environment):
    path = tmp_path / "script.sbatch"
    path.write_text(text)
    return subprocess.run(
        ["bash", str(path)], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize(
    ("code", "restarts", "ends_with", "requeued"),
    [(0, 0, 0, False), (1, 0, 1, False), (75, 0, 75, True), (75, 10, 75, False), (5, 0, 5, False)],
)
def test_only_a_task_that_stopped_in_time_goes_back_into_the_queue(tmp_path, code, restarts, ends_with, requeued):
    said = _run_with_program(tmp_path, f"exit {code}", SLURM_RESTART_COUNT=str(restarts))
    assert said.returncode == ends_with
    assert ("REQUEUED 42_0" in said.stdout) == requeued


def test_signal_of_the_shell_reaches_the_program_and_its_code_comes_back(tmp_path):
    """The shell gets USR1 while it waits, as from SLURM; the program ends with 75 some time after."""
    program = "trap 'sleep 0.3; echo stopped; exit 75' USR1\nkill -USR1 $PPID\nwhile :; do sleep 0.05; done"
    said = _run_with_program(tmp_path, program)
    assert said.returncode == 75
    assert "stopped" in said.stdout
    assert "REQUEUED 42_0" in said.stdout


def test_signal_before_the_program_can_take_it_counts_as_stopped(tmp_path):
    said = _run_with_program(tmp_path, "kill -USR1 $PPID; exec sleep 20")
    assert said.returncode == 75
    assert "REQUEUED 42_0" in said.stdout


def _run_with_program(tmp_path, body, **environment):
    """The script with a program that does ``body``, and a ``scontrol`` that says what was requeued."""
    for name, text in (("program", body), ("scontrol", '[ "$1" = requeue ] && echo "REQUEUED $2"')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    made = Script(tmp_path / "s.zarr", 1, (0,), Slurm(), python=str(tmp_path / "program"))
    path = f"{tmp_path}:{os.environ['PATH']}"
    return _bash(made.text, tmp_path, PATH=path, SLURM_ARRAY_TASK_ID="0", SLURM_ARRAY_JOB_ID="42", **environment)


def test_ranges_name_each_number_once():
    assert ranges([7, 0, 1, 2, 2, 9, 10]) == "0-2,7,9-10"


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 5400), ("1:30", 90), ("1:30:00", 5400), ("1-12", 129600), ("2-0:30:10", 174610), ("UNLIMITED", 0)],
)
def test_wall_times_are_read_as_slurm_reads_them(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("tiem=1:00", "Did you mean 'time'"),
        ("time=soon", "wall time"),
        ("memory=4 GB", "size of SLURM"),
        ("partition=gpu --wrap=x", "one word"),
        ('extra=["--array=1-9"]', "must not hold --array"),
        ('extra=["--time 5"]', "must not hold --time,"),
        ('extra=["rm -rf"]', "options of sbatch"),
        ('setup=["a\\nb"]', "on one line"),
        ("cpus=0", "greater than or equal to 1"),
        ("notice=90", "shorter than time"),
        ("partition", "KEY=VALUE"),
    ],
)
def test_bad_options_are_refused_with_their_name(option, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        with_options(Slurm(time="1:15"), [option])


def test_options_of_the_command_line_win_over_the_config():
    made = with_options(Slurm(partition="cpu", cpus=2), ["partition=gpu", "time=30", "memory=2000", "wait=true"])
    assert (made.partition, made.cpus, made.seconds, made.memory, made.wait) == ("gpu", 2, 1800, "2000", True)


def test_other_resources_are_the_same_sweep(tmp_path):
    from tmepde import config as configs
    from tmepde.sweep import ChangedConfig, check_same, create

    def text(slurm, amount):
        return configs.loads(
            'schema = 1\n[grid]\nkind = "radial"\nradius = "400 um"\ncells = 12\n[interventions.car_t]\n'
            'kind = "cell_infusion"\ndose = { kind = "bolus", at = "0 day", amount = "1e8 cells" }\n[run]\n'
            f'until = "1 day"\n{slurm}[sweep.grid]\n"interventions.car_t.dose.amount" = ["1e7 cells", "{amount}"]\n'
        )

    store = tmp_path / "sweep.zarr"
    create(text("", "1e8 cells"), store)
    check_same(text('[sweep.slurm]\npartition = "gpu"\nsetup = ["a", "[b"]\n', "1e8 cells"), store)
    with pytest.raises(ChangedConfig, match="2e8 cells"):
        check_same(text("", "2e8 cells"), store)
