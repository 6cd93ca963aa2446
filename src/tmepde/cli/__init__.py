"""The command line: ``tmepde new | list | check | run | report | export | doctor | bench``.

Only typer and the standard library are imported until a command runs; jax and xarray not before the input proved good.
"""

from __future__ import annotations


def main() -> None:
    """Entry point; exits with the codes of :mod:`tmepde.cli.exits`."""
    from tmepde.cli import interrupts

    interrupts.listen()  # before anything that takes time
    try:
        from tmepde.cli.app import app
        from tmepde.cli.exits import guarded
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    guarded(app)


__all__ = ["main"]
