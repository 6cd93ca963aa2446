"""The page: figures and tables in the order in which a reader asks, in one file that needs nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
import xarray as xr

from tmepde.report import curves, maps, style, tables
from tmepde.report.measures import DESERT, INFLAMED, NEAR, SECTION, Arm, arms
from tmepde.report.sweep_measures import is_sweep
from tmepde.report.sweep_page import open_sweep, render_sweep

_GENERATOR = '<meta name="generator" content="tmepde">'
#: fields shown open; the others are folded
OPEN_FIELDS = 6


def write_report(
    store: str | os.PathLike[str] | xr.Dataset, output: str | os.PathLike[str], overwrite: bool = False
) -> Path:
    """Write the report of a store (or of a dataset already open) to the HTML file ``output`` and return its path.

    Args:
        store: what ``tmepde run`` or a sweep wrote.
        output: ends in ``.html``; parent folders are made.
        overwrite: replace whatever file is there. An earlier report is replaced in any case: it can be made again.

    Raises:
        FileExistsError: if ``output`` is something else than an earlier report and may not be replaced.
        StoreError: if ``store`` is not a complete store of tmepde, or holds no rows.
    """
    target = Path(output)
    if target.is_dir():
        raise FileExistsError(
            f"`output` must be a file name, but {target} is a directory. Write {target / 'report.html'}."
        )
    if target.exists() and not (overwrite or _is_report(target)):
        raise FileExistsError(
            f"`output` must not be another file, but {target} is no report of tmepde. Choose another name."
        )
    if not isinstance(store, xr.Dataset):
        store = _open(store)
    text = render_sweep(store) if is_sweep(store) else render(store)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
    except OSError as error:  # a full disk names no file
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _open(path: str | os.PathLike[str]) -> xr.Dataset:
    """The store of a run, or of a sweep, which has no end to be checked for."""
    from tmepde.io.store import open_rows

    try:
        attributes = json.loads((Path(path) / "zarr.json").read_text("utf-8")).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        attributes = {}
    return open_sweep(path) if attributes.get("tmepde_kind") == "sweep" else open_rows(path)


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return _GENERATOR.encode() in file.read(600)


def render(dataset: xr.Dataset) -> str:
    """The report as HTML text."""
    _check(dataset)
    shown = arms(dataset)
    known = any(arm.of_a_tumour for arm in shown.values())
    results = tables.key_results(dataset, shown) + _reading() if known else ""
    with style.figures():
        series = curves.observables(dataset, shown)
        sections = [
            ("results", "What came out", _lead(shown) + (results or _means(dataset, shown))),
            ("tissue", "Tissue", maps.tissue(dataset) + _tissue_note(dataset)),
            ("time", "Over time", curves.overview(dataset, shown)),
            ("infiltration", "Infiltration", _infiltration(dataset, shown)),
            ("fields", "Fields", _fields(dataset, shown)),
            ("observables", "Observables", _folded("All stored time series", series) if known else series),
            ("conservation", "What was conserved", _conserved(dataset, shown)),
            ("parameters", "Parameters", tables.parameters(dataset)),
            ("configuration", "Configuration", _configuration(dataset)),
        ]
    title = escape(str(dataset.attrs.get("title", "tmepde simulation")))
    css = resources.files("tmepde.report").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{name}">{text}</a>' for name, text, body in sections if body)
    body = "".join(f'<section id="{name}"><h2>{text}</h2>{inner}</section>' for name, text, inner in sections if inner)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{_GENERATOR}'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{css}</style></head>\n<body><header><h1>{title}</h1>{_subtitle(shown)}{tables.facts(dataset)}</header>"
        f"<nav>{links}</nav>\n<main>{body}</main></body></html>\n"
    )


def _check(dataset: xr.Dataset) -> None:
    missing = [name for name in ("time", "cell_volume") if name not in dataset.variables]
    if missing:
        raise ValueError(
            f"`dataset` must be one that tmepde wrote, but it has no {' and no '.join(missing)}. "
            "Open the store with `open_store`."
        )
    if dataset.sizes["time"] == 0:
        raise ValueError("`dataset` must hold at least one time, but it has none.")


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{body}</details>" if body else ""


def _subtitle(shown: Mapping[str, Arm]) -> str:
    days = next(iter(shown.values())).days
    many = len(shown)
    names = f"{many} arms" if many > 1 else "one arm"
    return f"<p>{names}, {days[-1] - days[0]:.4g} simulated days, {len(days)} saved times</p>"


def _lead(shown: Mapping[str, Arm]) -> str:
    """One sentence that ranks the arms, and one for each that did not finish."""
    burdens = {name: arm.burden(arm.last) for name, arm in shown.items()}
    known = {name: value for name, value in burdens.items() if not np.isnan(value)}
    told = {name: f"<b>{tables.number(value)}</b> × the start" for name, value in known.items()}
    words = ""
    if len(set(told.values())) == 1:
        words = f"Tumour burden at the end is {next(iter(told.values()))}{' in every arm' if len(told) > 1 else ''}."
    elif told:
        low, high = min(known, key=lambda k: known[k]), max(known, key=lambda k: known[k])
        words = f"Tumour burden at the end ranges from {told[low]} ({escape(low)}) to {told[high]} ({escape(high)})."
    for name, arm in shown.items():
        if arm.last < len(arm.days) - 1 or not tables.finished(arm.dataset):
            message = escape(str(arm.dataset["message"].values)) if "message" in arm.dataset else ""
            stopped = f"{escape(name)} stopped at day {tables.number(arm.days[arm.last])}."
            words += f' <span class="warn">{stopped}</span> {message}'
    return f'<p class="lead">{words}</p>' if words else ""


def _reading() -> str:
    return (
        '<p class="note">Hypoxic: part of the nest volume below the given pO₂. Infiltration depth: mean depth below '
        "the margin of the CAR-T cells inside the nests; in brackets that of cells spread evenly over them. "
        f"Call at the end (limits assumed): <i>desert</i> below {DESERT:.0f} CAR-T/mm³ in the nests and the stroma "
        f"within {NEAR:.0f} µm of them, otherwise <i>inflamed</i> where the density in the nests is at least "
        f"{INFLAMED:g} of that in this stroma, <i>excluded</i> where it is less.</p>"
    )


def _means(dataset: xr.Dataset, shown: Mapping[str, Arm]) -> str:
    names = maps.field_names(dataset)
    return tables.fields(dataset, shown, names) if names else ""


def _tissue_note(dataset: xr.Dataset) -> str:
    volume = dataset["cell_volume"].values.astype(float)
    if "region_tumour" not in dataset or volume.sum() <= 0:
        return ""
    nest = float(np.sum(volume * np.nan_to_num(dataset["region_tumour"].values)) / volume.sum())
    outside = float((dataset["mask"].values == 0).mean())
    words = f"Nests are {nest:.0%} of the tissue volume. "
    if outside:
        words += f"{outside:.0%} of the grid is outside the tissue (lumen, vessel, background): no flux. "
    if "z" in dataset.dims and "r" not in dataset.dims:
        words += "The slice runs through the middle of z, seen with y upwards. "
    return f'<p class="note">{words}</p>'


def _infiltration(dataset: xr.Dataset, shown: Mapping[str, Arm]) -> str:
    figure = curves.infiltration(dataset, shown)
    text = ""
    if figure:
        text = figure + (
            '<p class="note">Mean density of all CAR-T cells (effector and exhausted) at a given distance; brown: '
            "inside the nests, by the margin at the start. "
            f"10³ cells/mm³ are about {1e3 * SECTION:.0f} nuclei/mm² of a 4 µm section.</p>"
        )
    if "z" in dataset.dims and "r" not in dataset.dims:
        text += curves.radial(dataset, shown)
    return text


def _fields(dataset: xr.Dataset, shown: Mapping[str, Arm]) -> str:
    names = maps.field_names(dataset)
    parts = [f"<h3>{escape(_title(dataset, n))}</h3>" + maps.field(dataset, shown, n) for n in names[:OPEN_FIELDS]]
    parts += [_folded(_title(dataset, n), maps.field(dataset, shown, n)) for n in names[OPEN_FIELDS:]]
    if not parts or all(dataset.sizes[axis] == 1 for axis in maps.space(dataset)):  # one cell: the time series say it
        return ""
    note = "Rows are times, columns are arms" if len(maps.space(dataset)) > 1 else "Columns are arms"
    note += "; one colour scale per field"
    if "region_margin_distance" in dataset:
        line = "white line" if len(maps.space(dataset)) > 1 else "dashed line"
        note += f"; {line}: the tumour margin at the start"
    return f'<p class="note">{note}.</p>' + "".join(parts)


def _title(dataset: xr.Dataset, name: str) -> str:
    return str(dataset[name].attrs.get("long_name", name))


def _conserved(dataset: xr.Dataset, shown: Mapping[str, Arm]) -> str:
    return (
        '<p class="note">For each species: what is missing from final = initial + produced + inflow − lost − killed, '
        "relative to the sum of what was there, was produced and came in. Zero is exact.</p>"
        + tables.budgets(dataset, shown)
    )


def _configuration(dataset: xr.Dataset) -> str:
    config = dataset.attrs.get("config")
    if not config:
        return "<p>The store holds no configuration: it was made in Python.</p>"
    digest = escape(str(dataset.attrs.get("config_hash", "")))
    return (
        f'<p class="note">With every default written out. SHA-256 <code>{digest}</code></p>'
        f"<details><summary>Resolved configuration</summary><pre>{escape(str(config))}</pre></details>"
    )
