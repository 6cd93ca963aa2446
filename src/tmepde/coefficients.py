"""The narrow waist. For every species u_k on the grid

    ∂u_k/∂t = ∇·(D_k ∇u_k − v_k u_k) + s_k − λ_k u_k ,     D ≥ 0, s ≥ 0, λ ≥ 0

Biology computes (D, v, s, λ) as functions of time, state and tissue; numerics sees nothing else. Loss is written as a
*rate*, so that it can be taken implicitly: positivity and step-independent steady states follow.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx

#: what may be written behind the dot of a target such as ``"oxygen.source"``
CHANNELS = ("diffusivity", "velocity", "source", "loss")


class Coefficients(eqx.Module):
    """D (µm²/h), v (µm/h on faces), s (unit/h) and λ (1/h) by species name; an absent entry means zero.

    D, s and λ are numbers or arrays of the grid's shape; v is one array of face velocities per axis (n_k + 1 along k).
    """

    diffusivity: dict[str, Any]
    velocity: dict[str, Any]
    source: dict[str, Any]
    loss: dict[str, Any]


class Tissue(eqx.Module):
    """The grid and the tissue quantities (``tissue["perfusion"]``) that processes read."""

    grid: Any
    quantities: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        try:
            return self.quantities[name]
        except KeyError:
            raise KeyError(unknown("tissue quantity", name, self.quantities)) from None


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a misspelt name, with the nearest valid ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}."


def add(total: dict[str, Any], terms: Mapping[str, Any]) -> None:
    """Add ``terms`` into ``total`` key by key; face tuples are added axis by axis."""
    for key, value in terms.items():
        if key not in total:
            total[key] = value
        elif isinstance(value, tuple):
            total[key] = tuple(a + b for a, b in zip(total[key], value, strict=True))
        else:
            total[key] = total[key] + value


def scale(total: dict[str, Any], key: str, factor: Any) -> None:
    """Multiply ``total[key]`` by ``factor``, axis by axis for face tuples (the factor must then be a number)."""
    value = total[key]
    total[key] = tuple(a * factor for a in value) if isinstance(value, tuple) else value * factor


def split(terms: Mapping[str, Any], species: Iterable[str]) -> Coefficients:
    """Sort dotted targets ``"species.channel"`` into :class:`Coefficients`; a misspelt target is an error."""
    names = set(species)
    out: dict[str, dict[str, Any]] = {channel: {} for channel in CHANNELS}
    for target, value in terms.items():
        name, _, channel = target.rpartition(".")
        if name not in names:
            raise KeyError(unknown("species", name or target, names) + f" (target {target!r})")
        if channel not in CHANNELS:
            raise KeyError(unknown("channel", channel, CHANNELS) + f" (target {target!r})")
        out[channel][name] = value
    return Coefficients(**out)
