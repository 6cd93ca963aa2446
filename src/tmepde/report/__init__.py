"""A self-contained HTML report, made from a store alone: xarray and matplotlib, neither jax nor the model."""

from __future__ import annotations

from typing import Any

__all__ = ["render", "write_report"]


def __getattr__(name: str) -> Any:
    """Import on first use: matplotlib and xarray take seconds."""
    if name in __all__:
        from tmepde.report import page

        return getattr(page, name)
    raise AttributeError(f"module 'tmepde.report' has no attribute {name!r}")
