"""``Config``: a whole config file, checked. Nothing here starts JAX; :meth:`Config.build` does."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, PrivateAttr, ValidationError

from tmepde._sources import digests
from tmepde.config.agreement import BUNDLED, disagreements
from tmepde.config.errors import ConfigError, Problem, suggest
from tmepde.config.modules import files_of, intervention_section, model_section, of_library
from tmepde.config.plausible import warnings_of
from tmepde.config.schema import GRIDS, TISSUES, Run
from tmepde.config.section import Section, by_kind, dotted, problems_of, shown
from tmepde.config.sweep import Sweep
from tmepde.config.sweep import problems as sweep_problems

SCHEMA = 1
#: arms of one config
MOST_ARMS = 10_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Config(Section):
    """A config with every quantity in internal units. The keys are the keys of the file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: str = "unnamed"
    description: str = ""
    grid: Annotated[Any, PlainValidator(by_kind(GRIDS, default="box"))] = None
    tissue: Annotated[Any, PlainValidator(by_kind(TISSUES))] = None
    model: Any = None
    interventions: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, Any] = Field(default_factory=dict)
    run: Run
    sweep: Any = None
    _folder: str = PrivateAttr(default=".")
    _allowed: bool = PrivateAttr(default=False)
    _source: str = PrivateAttr(default="")
    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.table() == other.table()

    def __hash__(self) -> int:
        return hash(self.toml())

    @property
    def folder(self) -> str:
        """Where the file lies; files that it names are looked up from there."""
        return self._folder

    @property
    def allowed(self) -> bool:
        """Whether it was loaded with leave to run the Python files that it names."""
        return self._allowed

    def table(self) -> dict[str, Any]:
        """The resolved config as plain tables."""
        out = {"schema": SCHEMA, **super().table()}
        del out["schema_"]
        return out | {"arms": {name: list(members) for name, members in self.all_arms.items()}}

    @property
    def given(self) -> dict[str, Any]:
        """The tables as they were read, without defaults: what a change is made in. A preset fills what is not given,
        so that in the resolved tables another one would change nothing."""
        return copy.deepcopy(self._given)

    def toml(self) -> str:
        """The resolved config as TOML text: every default written out; loading it gives an equal config."""
        import tomli_w

        return tomli_w.dumps(self.table())

    def build(self) -> Any:
        """The Python objects of this config (imports JAX): a :class:`~tmepde.config.build.Build`.

        Raises:
            ConfigError: where they refuse what the config alone could not know, or code that it names raises.
        """
        from tmepde.config.build import build
        from tmepde.config.trial import signs, trial

        try:
            built = build(self)
            if files := tuple(self.code_files.values()):
                trial(built.scenario, files)
                for told in signs(built.scenario, files):
                    warnings.warn(told, stacklevel=2)
        except ConfigError as error:
            raise ConfigError(error.problems, self._source) from error.__cause__
        return built

    @property
    def code_files(self) -> dict[str, Path]:
        """Each Python file that the config names (``kind = "mine.py:Therapy"``) and those beside it that it imports, by
        name; of a module that is named (``"package.module:Therapy"``) the same within its package."""
        kinds = {one.kind for one in (self.model, *self.interventions.values()) if one is not None}
        return files_of(kinds, Path(self._folder))

    @property
    def code(self) -> dict[str, str]:
        """SHA-256 of each of :attr:`code_files`."""
        return digests(self.code_files)

    @property
    def pictures(self) -> dict[str, str]:
        """SHA-256 of each picture or label image that tissue is made from, by its name; empty without one."""
        keys = ("tissue.file", "tissue.image")
        named = [getattr(self.tissue, key.partition(".")[2], None) for key in keys]
        named += [value for key, value in (self.sweep.values() if self.sweep is not None else ()) if key in keys]
        return digests({name: Path(self._folder) / name for name in named if name not in (None, BUNDLED)})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is legal but surprising."""
        return tuple(_warnings(self))

    @property
    def all_arms(self) -> dict[str, tuple[str, ...]]:
        """The arms; without any in the file, one with every intervention."""
        return {k: tuple(v) for k, v in self.arms.items()} or {self.name: tuple(self.interventions)}


_SECTIONS = tuple("schema" if name == "schema_" else name for name in Config.model_fields)


def validate(raw: Mapping[str, Any], source: str = "", folder: str = ".", code: bool = False) -> Config:
    """A :class:`Config` from plain tables; all problems at once.

    Args:
        raw: what a TOML reader returns.
        source: named in messages.
        folder: where files that the config names are looked up.
        code: whether the config may name Python files and modules, which are then run.

    Raises:
        ConfigError: with every problem found.
    """
    version = _version_problem(raw)
    if version:
        raise ConfigError([version], source)
    problems = [
        Problem(dotted((key,)), f"is not a known section or key. {suggest(key, _SECTIONS)}")
        for key in raw
        if key not in _SECTIONS
    ]
    parts: dict[str, Any] = {"schema_": SCHEMA}
    for key, read in _READERS.items():
        if key in raw or key in ("model", "run"):
            given = raw.get(key, {})
            value, found = read(given, key, folder, code) if key in _RUNS_CODE else read(given, key, folder)
            problems += found
            if not found:
                parts[key] = value
    problems += disagreements(raw, parts, folder)
    if parts.get("sweep") is not None and not problems:
        arms = parts.get("arms") or {parts.get("name", "unnamed"): ()}
        problems += sweep_problems(raw, parts["sweep"], arms, lambda tables: validate(tables, folder=folder, code=code))
    if problems:
        raise ConfigError(problems, source)
    if "tissue" not in parts and of_library(parts["model"]):
        parts["tissue"] = _default_tissue(parts["grid"])
    config = Config.model_construct(_fields_set=set(parts), **parts)
    config._folder, config._allowed, config._source = folder, code, source
    config._given = copy.deepcopy(dict(raw))
    return config


def _version_problem(raw: Mapping[str, Any]) -> Problem | None:
    if "schema" not in raw:
        return Problem("schema", f"must be given, but is missing. Write schema = {SCHEMA} on the first line.")
    given = raw["schema"]
    if isinstance(given, int) and not isinstance(given, bool) and given == SCHEMA:
        return None
    newer = isinstance(given, int) and given > SCHEMA
    remedy = "Install a newer tmepde, or rewrite the file." if newer else f"Write schema = {SCHEMA}."
    return Problem("schema", f"must be {SCHEMA}, but {shown(given)} was given. {remedy}")


def _default_tissue(grid: Any) -> Any:
    """A round nodule of 0.4 of the smallest extent."""
    smallest = grid.radius if grid.kind == "radial" else min(grid.extent)
    return TISSUES["nodule"].model_validate({"radius": f"{0.4 * smallest!r} um"})


Read = tuple[Any, list[Problem]]


def _with(validator: Any, value: Any, *path: str) -> Read:
    try:
        return validator(value), []
    except ValidationError as error:
        return None, problems_of(error, *path)
    except ValueError as error:  # a pydantic custom error raised outside of a model
        return None, [Problem(dotted(path), str(error))]


def _text(value: Any, key: str, folder: str) -> Read:
    if isinstance(value, str):
        problem = _unreadable(value, lines=key == "description")
        return value, [Problem(key, problem)] if problem else []
    return None, [Problem(key, f"must be text in quotes, but {shown(value)} was given. Write quotes around it.")]


def _unreadable(text: str, lines: bool = False, most: int = 2000) -> str | None:
    """Names go into files, tables and terminals: not blank, no control characters, no more than a page."""
    if not lines and not text.strip():
        return "must not be blank. Write a few words."
    if len(text) > most:
        return f"must have at most {most} characters, but has {len(text)}. Shorten it."
    if any(not c.isprintable() and not (lines and c in "\n\t") for c in text):
        return f"must not contain control characters, but {shown(text)} does. Remove them."
    return None


def _interventions(value: Any, key: str, folder: str, code: bool) -> Read:
    if not isinstance(value, Mapping):
        return None, [Problem(key, f"must be a table, but {shown(value)} was given. Write [interventions.NAME].")]
    made, problems = {}, []
    for name, table in value.items():
        if not _NAME.fullmatch(name) or len(name) > 200:
            message = "must be a name of at most 200 letters, digits, _ and -, a letter first. Rename it."
            problems.append(Problem(dotted((key, name)), message))
        made[name], found = _with(lambda t: intervention_section(t, folder, code), table, key, name)
        problems += found
    return made, problems


def _arms(value: Any, key: str, folder: str) -> Read:
    if not isinstance(value, Mapping) or not value:
        return None, [Problem(key, f'must name an arm, but {shown(value)} was given. Write "CAR-T" = ["car_t"].')]
    problems = []
    if len(value) > MOST_ARMS:
        return None, [Problem(key, f"must name at most {MOST_ARMS} arms, but {len(value)} are given. Split the file.")]
    for name, members in value.items():
        path = dotted((key, name))
        if unreadable := _unreadable(name, most=200):
            problems.append(Problem(path, unreadable))
        if not isinstance(members, list) or not all(isinstance(m, str) for m in members):
            message = f'must be a list of intervention names, but {shown(members)} was given. Write ["NAME", …].'
            problems.append(Problem(path, message))
        elif len(set(members)) < len(members):
            problems.append(Problem(path, "must name each intervention once. Drop the repeated one."))
    return {k: tuple(v) if isinstance(v, list) else () for k, v in value.items()}, problems


_READERS: dict[str, Any] = {
    "name": _text,
    "description": _text,
    "grid": lambda v, k, _: _with(by_kind(GRIDS, default="box"), v, k),
    "tissue": lambda v, k, _: _with(by_kind(TISSUES), v, k),
    "model": lambda v, k, folder, code: _with(lambda t: model_section(t, folder, code), v, k),
    "interventions": _interventions,
    "arms": _arms,
    "run": lambda v, k, _: _with(Run.model_validate, v, k),
    "sweep": lambda v, k, _: _with(Sweep.model_validate, v, k),
}


#: sections that may name Python files
_RUNS_CODE = ("interventions", "model")


def _warnings(config: Config) -> list[str]:
    found = []
    until = config.run.until
    for name, section in config.interventions.items():
        for key in type(section).model_fields:
            dose = getattr(section, key)
            if not hasattr(dose, "ends"):
                continue
            if dose.begins() >= until:
                found.append(
                    f"`interventions.{name}.{key}` begins at {dose.begins():g} h, after the run stops at {until:g} h. "
                    "Nothing of it is given."
                )
            elif dose.ends() >= until:
                found.append(
                    f"`interventions.{name}.{key}` ends at {dose.ends():g} h, after the run stops at {until:g} h. "
                    "Doses after that are not given."
                )
            elif dose.stops() > until * (1 + 1e-9):
                found.append(
                    f"`interventions.{name}.{key}` goes on until {dose.stops():g} h, but the run stops at "
                    f"{until:g} h. Only the part before is given."
                )
    used = {member for members in config.arms.values() for member in members}
    if config.arms:
        found += [f"`interventions.{n}` is in no arm and has no effect." for n in config.interventions if n not in used]
    return found + warnings_of(config)
