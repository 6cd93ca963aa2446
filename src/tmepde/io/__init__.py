"""From solutions to labelled datasets, with their provenance, to a store on disk and back."""

from __future__ import annotations

from typing import Any

_HOMES = {
    "to_dataset": "dataset",
    "combine_arms": "dataset",
    "write_store": "store",
    "open_store": "store",
    "StoreError": "root",
    "StoreWriter": "stream",
    "verify": "integrity",
    "repair": "integrity",
}

__all__ = ["StoreError", "StoreWriter", "combine_arms", "open_store", "repair", "to_dataset", "verify", "write_store"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``tmepde.io`` itself starts neither xarray nor zarr."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"tmepde.io.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tmepde.io' has no attribute {name!r}")
