"""The text of the script that ``sbatch`` takes: one array, whose tasks run the batches of a sweep that are pending.

Task t runs the batches t·k … t·k + k − 1, of which it passes over those that are done. The number of a task therefore
means the same batches in every submission, and a script that is submitted again, by hand or after a requeue, runs
exactly the rest.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmepde.config.slurm import Slurm
from tmepde.sweep.executors.base import BadPath, TooManyTasks

#: the default of SLURM's ``MaxArraySize``: a task number must be below it
MOST_TASKS = 1001
#: needs no quotes in a directive
_PLAIN = re.compile(r"[\w./%+=@:,-]+")


@dataclass(frozen=True)
class Script:
    """An sbatch script.

    Args:
        store: absolute path of the store.
        batches: in the whole sweep.
        pending: which of them are to run.
        options: resources.
        most_tasks: ``MaxArraySize`` of the cluster.
        python: the interpreter of the tasks; it must be reachable from the nodes.
        code: whether the tasks may run Python files that the config names (``--allow-code``).
    """

    store: Path
    batches: int
    pending: Sequence[int]
    options: Slurm
    most_tasks: int = MOST_TASKS
    python: str = sys.executable
    code: bool = False

    @property
    def path(self) -> Path:
        """Beside the store."""
        return self.store.with_name(f"{self.store.name}.sbatch")

    @property
    def logs(self) -> Path:
        """Beside the store; SLURM does not make it."""
        return self.store.with_name(f"{self.store.name}.logs")

    @property
    def cache(self) -> str:
        """Folder of the compiled programs, shared by all tasks."""
        return self.options.cache or str(self.store.with_name(f"{self.store.name}.programs"))

    @property
    def name(self) -> str:
        """The name of the job: of this store alone, so that the queue tells whether an array of it is there."""
        return job_name(self.store)

    @property
    def share(self) -> int:
        """Batches of a task.

        Raises:
            TooManyTasks: if the array would have more tasks than the cluster allows.
        """
        least = max(1, -(-self.batches // self.most_tasks))
        wanted = self.options.batches_per_task
        if wanted is None:
            return least
        if wanted < least:
            raise TooManyTasks(
                f"`sweep.slurm.batches_per_task` must be at least {least}, because this cluster takes at most "
                f"{self.most_tasks} tasks in an array and there are {self.batches} batches, but {wanted} was given. "
                "Enlarge it, or leave it out."
            )
        return wanted

    @property
    def tasks(self) -> tuple[int, ...]:
        """Numbers of the tasks that have something to do."""
        return tuple(sorted({b // self.share for b in self.pending}))

    @property
    def text(self) -> str:
        """The whole script."""
        leave = " --allow-code" if self.code else ""
        program = f"{shlex.quote(self.python)} -m tmepde.cli{leave} sweep batch {shlex.quote(str(self.store))}"
        return _BODY.format(
            directives="\n".join(f"#SBATCH {line}" for line in self._directives()),
            share=self.share,
            cache=shlex.quote(self.cache),
            setup="".join(f"{line}\n" for line in self.options.setup),
            program=program,
            grace=self.options.notice - 10,
            requeues=self.options.requeues,
        )

    def _directives(self) -> list[str]:
        o = self.options
        at_most = f"%{o.max_parallel}" if o.max_parallel else ""
        lines = [
            f"--job-name={self.name}",
            f"--array={ranges(self.tasks)}{at_most}",
            f"--output={logged(self.logs, '%A_%a.log')}",
            "--open-mode=append",
            f"--time={o.time}",
            f"--mem={o.memory}",
            f"--cpus-per-task={o.cpus}",
            f"--signal=B:USR1@{o.notice}",
            "--requeue" if o.requeues else "--no-requeue",
        ]
        lines += [f"--{k}={v}" for k in ("partition", "account", "qos", "gres") if (v := getattr(o, k)) is not None]
        return lines + list(o.extra)


_BODY = """#!/bin/bash
# Written by `tmepde sweep`. Submitting it again runs what is still pending.
{directives}

SHARE={share}  # batches of a task
export TMEPDE_CACHE=${{TMEPDE_CACHE:-{cache}}}  # compiled programs, for all tasks

# SLURM tells this shell, some seconds before the end: pass it on and wait for what the program makes of it.
told= child=
pass() {{ told=$1; [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null; }}
trap 'pass USR1' USR1
trap 'pass TERM' TERM
{setup}
{program} \\
    --task "$SLURM_ARRAY_TASK_ID" --per-task "$SHARE" --grace {grace} &
child=$!
[ -z "$told" ] || pass "$told"  # told while it was being set up
while told=; wait "$child"; code=$?; [ -n "$told" ]; do :; done

# 75: stopped in time, with batches left (138: told so before the program had begun). Back into the queue.
if [ $code -eq 75 ] || [ $code -eq 138 ]; then
    code=75
    [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ] && scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
fi
exit $code
"""


def job_name(store: Path) -> str:
    """``tmepde-NAME-hash``, from the absolute path."""
    digest = hashlib.sha256(str(store).encode()).hexdigest()[:8]
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in store.name)
    return f"tmepde-{plain[:40]}-{digest}"


def logged(folder: Path, pattern: str) -> str:
    """A file in ``folder`` as the value of ``--output``; ``pattern`` holds ``%`` that stand for numbers.

    sbatch takes quotes and escapes as a shell does. Then ``%%`` is a percent sign, unless there is a backslash
    anywhere, for which nothing is replaced.

    Raises:
        BadPath: for a folder whose name cannot be written so.
    """
    if bad := next((c for c in "\\\n\r" if c in str(folder)), ""):
        raise BadPath(f"SLURM cannot write logs into {str(folder)!r}, because of {bad!r} in it. Choose another --out.")
    text = str(folder).replace("%", "%%") + f"/{pattern}"
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'


def ranges(numbers: Iterable[int]) -> str:
    """``0,2-4`` of 0, 2, 3, 4."""
    runs: list[list[int]] = []
    for n in sorted(set(numbers)):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
