"""``[sweep.slurm]``: what a sweep asks of SLURM. Checked here, before anything is submitted; written by ``sweep``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, ValidationError, field_validator, model_validator

from tmepde.config.errors import ConfigError, Problem
from tmepde.config.section import Section, at, problems_of, shown, wrong

_WORD = re.compile(r"[A-Za-z0-9_.,:;@/=+*-]+")
_Lines = Annotated[tuple[str, ...], Field(strict=False)]
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<a>\d+)(?::(?P<b>\d+))?(?::(?P<c>\d+))?")
_MEMORY = re.compile(r"\d+[KMGT]?")


class Slurm(Section):
    """Resources of one array task or dask worker, and how the array is cut.

    Attributes:
        partition, account, qos: as ``sbatch`` takes them; left out, the cluster chooses.
        time: wall time of a task, as SLURM writes it ("90" minutes, "1:30:00", "1-12").
        memory: of a task, "4G".
        cpus: processors of a task.
        gres: generic resources of a task; "gpu:1" gives it a GPU of its own.
        batches_per_task: batches that a task runs one after another; left out, one, or as many as the cluster's
            ``MaxArraySize`` asks for.
        max_parallel: tasks or workers at a time.
        notice: seconds before the end of the wall time at which SLURM sends USR1. A batch that does not end within
            them (less ten) stays pending.
        requeues: how often a task that ran out of time goes back into the queue.
        cache: folder of the compiled programs, shared by all tasks; left out, beside the store.
        setup: lines of shell before the program, such as ``module load cuda``.
        extra: further options of ``sbatch``, each beginning with ``--``.
        wait: stay until the array has ended.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str = "1:00:00"
    memory: str = "4G"
    cpus: Annotated[StrictInt, Field(ge=1)] = 1
    gres: str | None = None
    batches_per_task: Annotated[StrictInt, Field(ge=1)] | None = None
    max_parallel: Annotated[StrictInt, Field(ge=1)] | None = None
    notice: Annotated[StrictInt, Field(ge=15, le=3600)] = 60
    requeues: Annotated[StrictInt, Field(ge=0, le=1000)] = 10
    cache: str | None = None
    setup: _Lines = ()
    extra: _Lines = ()
    wait: StrictBool = False

    @field_validator("partition", "account", "qos", "gres")
    @classmethod
    def _word(cls, value: str | None) -> str | None:
        if value is not None and not _WORD.fullmatch(value):
            raise wrong(
                f"must be one word without blanks or quotes, but {shown(value)} was given. Write the name alone."
            )
        return value

    @field_validator("time")
    @classmethod
    def _time(cls, value: str) -> str:
        if seconds(value) is None:
            raise wrong(f'must be a wall time of SLURM, but {shown(value)} was given. Write for instance "1:30:00".')
        return value

    @field_validator("memory")
    @classmethod
    def _memory(cls, value: str) -> str:
        if not _MEMORY.fullmatch(value):
            raise wrong(f'must be a size of SLURM, but {shown(value)} was given. Write for instance "4G".')
        return value

    @field_validator("cache", "setup", "extra")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        for text in (value,) if isinstance(value, str) else value or ():
            if any(ord(c) < 32 for c in text):
                raise wrong(f"must be on one line, but {shown(text)} was given. Write a list of lines.")
        return value

    @field_validator("extra")
    @classmethod
    def _options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not re.match(r"--[a-z]", text):
                raise wrong(f'must hold options of sbatch, but {shown(text)} was given. Write "--constraint=a100".')
            if (option := re.split(r"[=\s]", text)[0]) in OURS:
                raise wrong(f"must not hold {option}, which is written from the other keys. Drop it.")
        return value

    @model_validator(mode="after")
    def _time_for_notice(self) -> Slurm:
        length = seconds(self.time)
        if length is not None and 0 < length <= self.notice:
            raise at("notice", f"must be shorter than time ({length} s), but {self.notice} was given. Lengthen time.")
        return self

    @property
    def seconds(self) -> int:
        """The wall time, 0 for none."""
        return seconds(self.time) or 0


#: options that the script sets itself, and the ones that would lose its log or its array
OURS = (
    "--array",
    "--job-name",
    "--output",
    "--error",
    "--open-mode",
    "--time",
    "--signal",
    "--requeue",
    "--no-requeue",
)


def seconds(time: str) -> int | None:
    """A wall time as SLURM reads it, in seconds; ``None`` if it is none. ``"0"`` and ``"UNLIMITED"`` are 0."""
    if time.upper() in ("UNLIMITED", "INFINITE"):
        return 0
    found = _TIME.fullmatch(time)
    if not found:
        return None
    days, a, b, c = (found[k] for k in ("days", "a", "b", "c"))
    if days is not None:  # days-hours[:minutes[:seconds]]
        return int(days) * 86400 + int(a) * 3600 + int(b or 0) * 60 + int(c or 0)
    if c is not None:  # hours:minutes:seconds
        return int(a) * 3600 + int(b) * 60 + int(c)
    return int(a) * 60 + int(b or 0)  # minutes[:seconds]


def with_options(base: Slurm | None, options: Sequence[str]) -> Slurm:
    """``base`` changed by words ``key=value`` of the command line; values as in TOML, quotes may be left out.

    Raises:
        ConfigError: with every problem found.
    """
    import tomllib

    table: dict[str, Any] = base.table() if base is not None else {}
    problems = []
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key.strip():
            problems.append(
                Problem("--slurm", f"must be KEY=VALUE, but {shown(option)} was given. Write time=2:00:00.")
            )
            continue
        try:
            value = tomllib.loads(f"v = {text}")["v"]
            value = value if isinstance(value, bool | int | list | str) else text
        except tomllib.TOMLDecodeError:
            value = text
        table[key.strip()] = str(text) if key.strip() in _TEXTS and isinstance(value, int | list) else value
    if problems:
        raise ConfigError(problems, "--slurm")
    try:
        return Slurm.model_validate(table)
    except ValidationError as error:
        raise ConfigError(problems_of(error, "sweep", "slurm"), "[sweep.slurm] with --slurm") from None


_TEXTS = ("partition", "account", "qos", "time", "memory", "gres", "cache")
#: who runs the batches of a sweep
Executor = Literal["inline", "dask", "slurm-array", "slurm-dask"]
