"""``tmepde new``: copy a template."""

from __future__ import annotations

from pathlib import Path

from tmepde.cli.exits import BAD_INPUT, Stop
from tmepde.cli.target import word
from tmepde.config.errors import suggest
from tmepde.io.durable import atomic_write


def templates() -> dict[str, Path]:
    """Templates by name: the configs that come with the package, or those of the source tree it runs from."""
    import tmepde

    package = Path(tmepde.__file__).parent
    folder = next((f for f in (package / "configs", package.parents[1] / "configs") if f.is_dir()), None)
    return {} if folder is None else {p.stem: p for p in sorted(folder.glob("*.toml"))}


def new(template: str, folder: Path) -> None:
    """Write ``folder/template.toml`` and say what to do next."""
    known = templates()
    if template not in known:
        raise Stop(BAD_INPUT, f"There is no template {template!r}. {suggest(template, known)}")
    target = folder / f"{template}.toml"
    if folder.exists() and not folder.is_dir():
        raise Stop(BAD_INPUT, f"{folder} must be a folder, but it is a file. Choose another place.")
    if target.exists():
        raise Stop(BAD_INPUT, f"{target} exists already and is not replaced. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(target, known[template].read_bytes())  # whole or not at all: what is there is never replaced
    print(f"{target}\nNext: tmepde check {word(target)}")
