"""Where a result came from: versions, commit, device, precision, configuration, and the sources of its numbers."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import platform
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

#: attributes with the SHA-256 of each Python file that a config leads to, and of each picture that it names
CODE, PICTURES = "code_sha256", "picture_sha256"
PACKAGES = ("jax", "equinox", "numpy", "xarray", "zarr")


def provenance(dataset: Any = None, config_text: str | None = None) -> dict[str, str]:
    """Attributes for a dataset: versions, commit, device, precision (of the fields), config and its hash, history."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {f"{name}_version": version(name) for name in PACKAGES}
    found |= {
        "tmepde_version": version("tmepde"),
        "python_version": platform.python_version(),
        "git_commit": git_commit(),
        "device": device(),
        "precision": _precision(dataset),
        "platform": platform.platform(terse=True),
        "created": now,
        "history": f"{now} written by tmepde {version('tmepde')}",
    }
    if config_text is not None:
        found |= {"config": config_text, "config_hash": config_hash(config_text)}
    return found


def config_hash(text: str) -> str:
    """SHA-256 of the configuration text with line ends made alike."""
    return hashlib.sha256(text.replace("\r\n", "\n").strip().encode()).hexdigest()


def inputs(config: Any) -> dict[str, str]:
    """Attributes that say which files besides itself a config was made of; without any, none."""
    found = {CODE: config.code, PICTURES: config.pictures}
    return {name: json.dumps(files) for name, files in found.items() if files}


def edited(attributes: Mapping[str, Any], config: Any) -> str:
    """What the files that a config names or leads to have become since a store was begun; empty if nothing.

    Args:
        attributes: of the store.
        config: the one that is to go on with it.
    """
    for label, attribute, now in (("code", CODE, config.code), ("picture", PICTURES, config.pictures)):
        before = json.loads(attributes.get(attribute, "{}"))
        names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if names:
            return (
                f"must go on with the {label} it was begun with, but {', '.join(names)} was edited since. "
                "Take back the change, or choose another output."
            )
    return ""


def version(package: str) -> str:
    """The installed version, or ``"not installed"``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def git_commit() -> str:
    """Commit of the source tree that is running, with ``+changes`` if it was edited; ``"unknown"`` outside git."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=5, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() not in here.parents or not git("ls-files", __file__):
            return "unknown"  # installed inside somebody else's repository
        commit = git("rev-parse", "--short=12", "HEAD")
        edited = git("status", "--porcelain", "--untracked-files=no", "--", str(here.parent))
        return commit + ("+changes" if edited else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def device() -> str:
    """The device JAX computes on, if JAX is running at all."""
    jax = sys.modules.get("jax")
    if jax is None:
        return "none"
    try:
        first = jax.devices()[0]
        return f"{first.platform} ({first.device_kind})" if first.device_kind != first.platform else str(first.platform)
    except RuntimeError:
        return "unknown"


def _precision(dataset: Any) -> str:
    kinds = {} if dataset is None else {v.dtype for v in dataset.data_vars.values() if v.ndim > 1 and "time" in v.dims}
    if np.dtype(np.float64) in kinds:
        return "f64"
    return "f32" if np.dtype(np.float32) in kinds else "unknown"


def documented_parameters(scenario: Any, config_text: str | None = None) -> dict[str, str]:
    """JSON texts: ``parameters`` (path, value, unit, meaning, source, status) and ``references`` (source → paths).

    Numbers of the model as a whole (initial tissue, diffusivities) are no part of a scenario any more once its fields
    are built from them; they are taken from the resolved configuration, where there is one.
    """
    rows: list[dict[str, Any]] = _model_rows(config_text)
    for name, module in scenario.model.processes.items():
        rows += _rows(f"model.processes.{name}", module)
    for name, module in (getattr(scenario, "interventions", None) or {}).items():
        rows += _rows(f"interventions.{name}", module)
    references: dict[str, list[str]] = {}
    for row in rows:
        if row["ref"]:
            references.setdefault(row["ref"], []).append(row["path"])
    return {"parameters": _json(rows), "references": _json(references)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _model_rows(config_text: str | None) -> list[dict[str, Any]]:
    """One row per number of ``[model]``, documented by the class that builds it."""
    from tmepde.library import BUILDERS
    from tmepde.parameter import parameters

    try:
        section = tomllib.loads(config_text or "").get("model", {})
    except tomllib.TOMLDecodeError:
        return []
    builder = BUILDERS.get(section.get("kind", "")) if isinstance(section, dict) else None
    declared = parameters(builder) if builder is not None else {}
    rows = []
    for name, one in declared.items():
        if name in section:
            row = {"path": f"model.{name}", "value": _stated(section[name]), "unit": one.unit, "doc": one.doc}
            rows.append(row | {"ref": one.ref, "status": one.status})
    return rows


def _stated(value: Any) -> Any:
    """``"60 um"`` of a resolved configuration, which writes every quantity in its declared unit, as 60."""
    try:
        return float(str(value).split()[0])
    except (ValueError, IndexError):
        return str(value)


def merged_parameters(texts: dict[str, str]) -> str:
    """``parameters`` of several scenarios in one: a value that differs becomes ``{scenario: value}``."""
    tables = {name: {row["path"]: row for row in json.loads(text)} for name, text in texts.items()}
    paths = list(dict.fromkeys(path for table in tables.values() for path in table))
    rows = []
    for path in paths:
        found = {name: table[path] for name, table in tables.items() if path in table}
        row = dict(next(iter(found.values())))
        values = {name: one["value"] for name, one in found.items()}
        if any(value != row["value"] for value in values.values()):
            row["value"] = values
        rows.append(row)
    return _json(rows)


def _rows(path: str, module: Any) -> list[dict[str, Any]]:
    """One row per number declared with ``param``, in nested modules too (a dose inside a therapy, say)."""
    from tmepde.parameter import parameters

    if not dataclasses.is_dataclass(module) or isinstance(module, type):
        return []
    declared = parameters(type(module))
    rows = []
    for field in dataclasses.fields(module):
        value = getattr(module, field.name, None)
        if value is None:
            continue
        if field.name in declared:
            one = declared[field.name]
            row = {"path": f"{path}.{field.name}", "value": _plain(value), "unit": one.unit, "doc": one.doc}
            rows.append(row | {"ref": one.ref, "status": one.status})
        elif dataclasses.is_dataclass(value):
            rows += _rows(f"{path}.{field.name}", value)
        elif isinstance(value, dict):
            for key, item in value.items():
                rows += _rows(f"{path}.{field.name}.{key}", item)
    return rows


def _plain(value: Any) -> Any:
    """A JSON number or short list; large arrays are described, not copied."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        return str(value)
    if not np.all(np.isfinite(array)):
        return str(array.tolist()) if array.size <= 8 else f"array {array.shape} with values that are not finite"
    if array.size <= 8:
        return array.tolist()
    return f"array {' × '.join(map(str, array.shape))}, {array.min():.4g} to {array.max():.4g}"
