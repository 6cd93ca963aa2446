"""Commands, their arguments and their help; the work is in the module of each command."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

app = typer.Typer(
    name="tmepde",
    help="CAR-T cells, therapies and the microenvironment of solid tumours, as reaction–diffusion equations in JAX.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class What(StrEnum):
    """What can be listed."""

    models = "models"
    species = "species"
    processes = "processes"
    interventions = "interventions"
    parameters = "parameters"


class Precision(StrEnum):
    """Floating-point types."""

    f32 = "f32"
    f64 = "f64"


class Device(StrEnum):
    """Where to compute."""

    cpu = "cpu"
    gpu = "gpu"


class Format(StrEnum):
    """What a result can be exported to."""

    netcdf = "netcdf"
    vti = "vti"
    ome_zarr = "ome-zarr"


Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A config file (TOML).", show_default=False)]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help='Change one key, as in --set run.until="5 day".')
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OnDevice = Annotated[Device | None, typer.Option(help="Where to compute; the default is what JAX finds.")]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Let configs name Python files (kind = FILE.py:CLASS), which are run.")
    ] = False,
) -> None:
    if allow_code:
        os.environ["TMEPDE_ALLOW_CODE"] = "1"  # worker processes inherit it
    if version:
        from tmepde import __version__

        print(__version__)
        raise typer.Exit()
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command(epilog="[b]Example[/b]  tmepde new radial_1d study")
def new(
    template: Annotated[
        str,
        typer.Argument(metavar="TEMPLATE", help="Name; an unknown one lists them.", show_default=False),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put it.", show_default=False)],
) -> None:
    """Write a commented config to start from."""
    from tmepde.cli.new import new as command

    command(template, folder)


@app.command("list", epilog="[b]Example[/b]  tmepde list parameters killing")
def list_(
    what: Annotated[What, typer.Argument(show_default=False)],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this one.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List models, species, processes, interventions, or parameters with unit, bounds, meaning and source."""
    from tmepde.cli.listing import listing

    listing(what.value, name, json)


@app.command(epilog="[b]Example[/b]  tmepde check configs/colon_ihc.toml")
def check(
    config: Config,
    set_: Set = None,
    json: Json = False,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile the run, for its memory as planned by the compiler.")
    ] = False,
) -> None:
    """Check a config: all problems at once; then grid, sides, length scales, memory and number of runs."""
    from tmepde.cli.check import check as command

    command(config, set_ or [], json, compile_)


@app.command(epilog="[b]Example[/b]  tmepde run configs/colon_ihc.toml -o out/colon.zarr --set run.until='2 day'")
def run(
    config: Config,
    out: Annotated[Path, typer.Option("--out", "-o", help="The store to write (.zarr).", show_default=False)],
    set_: Set = None,
    precision: Annotated[Precision | None, typer.Option(help="Overrides run.precision.")] = None,
    device: OnDevice = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a store that is there.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a store that stopped; else begin.")] = False,
    walltime: Annotated[
        str | None, typer.Option(metavar="TIME", help='Stop in time for it, as in "2 hour".', show_default=False)
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STORE@TIME",
            help="Start from a saved state, as in a.zarr@48h (@ARM).",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    devices: Annotated[
        str | None, typer.Option(help="Cut the grid into so many parts, one a device; or all.", show_default=False)
    ] = None,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="One of several processes, as srun starts them.")
    ] = False,
) -> None:
    """Run all arms of a config and write one xarray dataset, row by row.

    Exit codes: 0 ok, 2 bad input, 3 step limit reached, 4 diverged, 5 memory, disk, device or a damaged store, 6
    another run writes it, 75 wall time or SIGUSR1, 129 terminal closed, 130 Ctrl-C, 143 SIGTERM; after the last four
    --resume goes on.
    """
    from tmepde.cli.run import run as command

    overrides = [*(set_ or []), *([f'run.precision="{precision.value}"'] if precision else [])]
    where = device.value if device else None
    command(
        config,
        out,
        overrides,
        overwrite,
        quiet,
        resume,
        walltime,
        device=where,
        devices=devices,
        distributed=distributed,
        start=from_,
    )


class _SweepGroup(TyperGroup):
    """``tmepde sweep CONFIG …`` is ``tmepde sweep run CONFIG …``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


sweeps = typer.Typer(
    cls=_SweepGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Run the scenarios of a config with \\[sweep], here or on a cluster: tmepde sweep CONFIG -o OUT.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sweeps, name="sweep")
SweepStore = Annotated[Path, typer.Argument(metavar="OUT", help="The store of a sweep.", show_default=False)]


class Executor(StrEnum):
    """Where batches run."""

    inline = "inline"
    dask = "dask"
    slurm_array = "slurm-array"
    slurm_dask = "slurm-dask"


@sweeps.command("run", epilog="[b]Example[/b]  tmepde sweep configs/sweep_colon.toml -o out/sweep.zarr")
def sweep_run(
    config: Config,
    out: Annotated[Path, typer.Option("--out", "-o", help="The store to write (.zarr).", show_default=False)],
    set_: Set = None,
    executor: Annotated[Executor, typer.Option(help="Where batches run.")] = Executor.inline,
    width: Annotated[int | None, typer.Option("--width", help="Scenarios of a batch.", min=1)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a store: run what is pending.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; for SLURM, print the script.")
    ] = False,
    create: Annotated[bool, typer.Option("--create", help="Make the store, and run nothing.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes, tasks or jobs at a time.", min=1)] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler, or its file.")] = None,
    interface: Annotated[str | None, typer.Option(help="Network interface of the scheduler (slurm-dask).")] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="KEY=VALUE", help=r"A key of \[sweep.slurm], as in time=2:00:00."),
    ] = None,
) -> None:
    """Make the store and run all batches.

    Exit codes: 0 ok, 1 some scenarios failed, 2 bad input, 5 memory, disk or device, 6 at work already, 75 stopped in
    time or by SIGUSR1, 129 terminal closed, 130 Ctrl-C, 143 SIGTERM; after the last four --resume goes on.
    """
    from tmepde.cli.sweep import Where
    from tmepde.cli.sweep import run as command

    where = Where(executor.value, workers, scheduler, interface, tuple(slurm or ()))
    options = {"resume": resume, "dry_run": dry_run, "only_create": create}
    _ends(command(config, out, set_ or [], where, width, **options))


@sweeps.command("status", epilog="[b]Example[/b]  tmepde sweep status out/sweep.zarr")
def sweep_status(out: SweepStore, json: Json = False) -> None:
    """How many scenarios are pending, ok, failed and diverged. Starts no JAX."""
    from tmepde.cli.sweep import status

    _ends(status(out, json))


@sweeps.command("retry", epilog="[b]Example[/b]  tmepde sweep retry out/sweep.zarr")
def sweep_retry(out: SweepStore) -> None:
    """Run again the batches with scenarios that failed."""
    from tmepde.cli.sweep import retry

    _ends(retry(out))


@sweeps.command("batch", epilog="[b]Example[/b]  tmepde sweep batch out/sweep.zarr 3 4")
def sweep_batch(
    out: SweepStore,
    index: Annotated[list[int] | None, typer.Argument(help="Numbers of batches.", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that are pending.")] = False,
    task: Annotated[int | None, typer.Option(help="Those of one task of an array.", min=0)] = None,
    per_task: Annotated[int, typer.Option(help="Batches of a task.", min=1)] = 1,
    grace: Annotated[float, typer.Option(help="Seconds that a batch has after a signal.", min=0.0)] = 8.0,
) -> None:
    """Run single batches in this process: what the tasks of a cluster call."""
    from tmepde.cli.sweep import batch, chosen

    _ends(batch(out, chosen(out, index or [], all_, task, per_task), grace))


@sweeps.command("report", epilog="[b]Example[/b]  tmepde sweep report out/sweep.zarr")
def sweep_report(
    out: SweepStore,
    page: Annotated[Path | None, typer.Option("--out", "-o", help="The page; default a.html of a.zarr.")] = None,
) -> None:
    """Best scenarios, main effects, interactions, synergy and maps as one HTML page; nothing is run again."""
    from tmepde.cli.report import report as command
    from tmepde.cli.target import page_of

    command(out, page or page_of(out))


def _ends(code: int) -> None:
    if code:
        raise typer.Exit(code)


Store = Annotated[Path, typer.Argument(metavar="STORE", help="A store of `tmepde run`.", show_default=False)]


@app.command(epilog="[b]Example[/b]  tmepde verify out/colon.zarr")
def verify(store: Store, json: Json = False) -> None:
    """Compare every chunk and checkpoint of a store with its checksum, and every document with its copy.

    Exit codes: 0 as written, 2 no store or one with links, 5 damaged.
    """
    from tmepde.cli.integrity import verify as command

    command(store, json)


@app.command(epilog="[b]Example[/b]  tmepde repair out/colon.zarr")
def repair(store: Store) -> None:
    """Cut a damaged store before its first damaged row, remove what killed runs left, and say what was lost.

    Exit codes: 0 as good as it can be, 2 no store, 5 what is lost cannot be had again.
    """
    from tmepde.cli.integrity import repair as command

    command(store)


@app.command(epilog="[b]Example[/b]  tmepde report out/colon.zarr -o out/colon.html")
def report(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store of a run or a sweep.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page; default a.html of a.zarr.")] = None,
) -> None:
    """Write one self-contained HTML page about a result.

    Exit codes: 0 written, 2 bad input or no rows, 5 damaged store.
    """
    from tmepde.cli.report import report as command
    from tmepde.cli.target import page_of

    command(store, out or page_of(store))


@app.command(epilog="[b]Example[/b]  tmepde export out/colon.zarr --to vti -o out/colon_vti --field oxygen --time last")
def export(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store of `tmepde run`.", show_default=False)],
    to: Annotated[Format, typer.Option("--to", help="The format.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A file (netcdf) or a folder (vti, ome-zarr) to write.", show_default=False),
    ],
    field: Annotated[list[str] | None, typer.Option("--field", help="Only this field; may be repeated.")] = None,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; may be repeated.")] = None,
    time: Annotated[
        list[str] | None, typer.Option("--time", help='Only this saved time, as "2 day" or last; may be repeated.')
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
) -> None:
    """Write a result for other programs: netCDF (CF), VTK images for ParaView, OME-Zarr for image viewers.

    Exit codes: 0 written, 2 bad input or no rows, 5 damaged store.
    """
    from tmepde.cli.export import export as command

    command(store, to.value, out, field or (), arm or (), time or (), overwrite)


@app.command(epilog="[b]Example[/b]  tmepde doctor --json")
def doctor(json: Json = False) -> None:
    """Devices, versions, memory, and whether a store can be written here."""
    from tmepde.cli.doctor import doctor as command

    command(json)


@app.command(epilog="[b]Example[/b]  tmepde bench w4 --peers")
def bench(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="w1, w2, w3, w4, w5, reference, milieu, gradient, batch, sweep, store, devices, gpu, gpu_models "
            "or all.",
            show_default=False,
        ),
    ],
    json: Json = False,
    peers: Annotated[bool, typer.Option("--peers", help=r"Other programs beside it (tmepde\[bench]).")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON there.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, to see that it runs.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Nothing extrapolated; takes hours.")] = False,
    cells: Annotated[int | None, typer.Option(help="Cells along an axis.", show_default=False)] = None,
    days: Annotated[float | None, typer.Option(help="Simulated days.", show_default=False)] = None,
    repeats: Annotated[int, typer.Option(help="Timings of which the best counts; more, if within a second.")] = 3,
    device: OnDevice = None,
) -> None:
    """Measure speed and accuracy, beside other programs and beside what the machine can do.

    Exit codes: 0 ok, 2 bad input, 5 the device is not there.
    """
    from tmepde.cli.bench import bench as command

    where = device.value if device else None
    sizes = {"cells": cells, "days": days, "repeats": repeats, "device": where}
    command(name, json, out, quick=quick, peers=peers, full=full, **sizes)
