"""The narrow waist. For every species u_k on the grid

    ∂u_k/∂t = ∇·(D_k ∇u_k − (v_k + w_k) u_k) + s_k − λ_k u_k ,     D ≥ 0, s ≥ 0, λ ≥ 0

v is a drift of the species' own (taxis, crowding), w the ``flow`` of a medium that carries it: a linear term, which
steppers can take implicitly. Biology computes (D, v, w, s, λ) as functions of time, state and tissue; numerics sees
nothing else. Loss is written as a *rate*, so that it can be taken implicitly: positivity and step-independent steady
states follow.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

#: what may be written behind the dot of a target such as ``"oxygen.source"``
CHANNELS = ("diffusivity", "velocity", "flow", "source", "loss")
#: a loss by which cells die: added to their loss, and told to the processes that follow from it
DEATH = "death"
#: the part of a death rate that is by CAR-T cells: told to the processes that follow, it adds to nothing
LYSIS = "lysis"


class Coefficients(eqx.Module):
    """D (µm²/h), v and w (µm/h on faces), s (unit/h) and λ (1/h) by species name; an absent entry means zero.

    s and λ are numbers or arrays of the grid's shape; v and w one array of face velocities per axis (n_k + 1 along k).
    D is a number or array, a tuple of one per axis, or a tuple of rows of a symmetric tensor; isotropic terms add to
    its diagonal, and a factor multiplies all entries.
    """

    diffusivity: dict[str, Any]
    velocity: dict[str, Any]
    flow: dict[str, Any]
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
    """Add ``terms`` into ``total`` key by key; tuples entry by entry, plain diffusivities to the diagonal of others."""
    for key, value in terms.items():
        total[key] = _sum(total[key], value) if key in total else value


def _sum(a: Any, b: Any) -> Any:
    if _depth(a) < _depth(b):
        a, b = b, a
    if _depth(a) == 0:
        return a + b
    if _depth(a) == _depth(b):
        return tuple(_sum(x, y) for x, y in zip(a, b, strict=True))
    per_axis = b if isinstance(b, tuple) else (b,) * len(a)
    if _depth(a) == 1:
        return tuple(x + y for x, y in zip(a, per_axis, strict=True))
    return tuple(tuple(x + per_axis[i] if i == j else x for j, x in enumerate(row)) for i, row in enumerate(a))


def _depth(value: Any) -> int:
    return 1 + _depth(value[0]) if isinstance(value, tuple) else 0


def times(value: Any, factor: Any) -> Any:
    """``factor`` times every entry."""
    return tuple(times(v, factor) for v in value) if isinstance(value, tuple) else value * factor


def answered(who: str, ask: Callable[[], Any], grid: Any, kinds: Mapping[str, str], state: Mapping[str, Any]) -> Any:
    """What ``ask()`` returns, with shapes that fit; ``who`` is asked, ``kinds`` are those of the species.

    Raises:
        KeyError: where it reads a species that there is not.
        TypeError: where it returns no mapping of targets, what is no real number, or velocities that are no tuple, or
            branches on values.
        ValueError: for a shape that does not fit the grid.
    """
    terms = _asked(who, ask, state)
    if not isinstance(terms, Mapping):
        given = type(terms).__name__
        raise TypeError(f"{who} must return a mapping such as {{'u.source': 1.0}}, but {given} was returned.")
    for target, value in terms.items():
        _check_term(who, target, value, grid, kinds)
    return terms


def effects_of(who: str, ask: Callable[[], Any], grid: Any, kinds: Mapping[str, str], state: Mapping[str, Any]) -> Any:
    """The :class:`~tmepde.interventions.base.Effects` that ``ask()`` returns, with shapes that fit.

    Raises:
        KeyError, TypeError, ValueError: as of :func:`answered`.
    """
    effects = _asked(who, ask, state)
    parts = {part: getattr(effects, part, None) for part in ("scale", "add", "hazard")}
    for part, terms in parts.items():
        if not isinstance(terms, Mapping):
            given = type(effects if part == "scale" else terms).__name__
            raise TypeError(
                f"{who} must return Effects(scale={{…}}, add={{…}}, hazard={{…}}), but {given} was returned."
            )
        for target, value in terms.items():
            velocity = target.rpartition(".")[2] in ("velocity", "flow")
            if part == "hazard" or (part == "scale" and velocity):
                _check_numbers(f"{who}: `{part}` of `{target}`", value)
                wide = part == "hazard" and kinds.get(target) != "compartment"
                _check_shape(f"{who}: `{part}` of `{target}`", value, grid.shape if wide else ())
            else:
                _check_term(f"{who}: `{part}`", target, value, grid, kinds)
    return effects


def _asked(who: str, ask: Callable[[], Any], state: Mapping[str, Any]) -> Any:
    """``ask()``, its errors in terms of what ``who`` has written."""
    try:
        return ask()
    except KeyError as error:
        key = error.args[0] if len(error.args) == 1 else None
        if not isinstance(key, str) or not key.isidentifier() or key in state:
            raise
        raise KeyError(f"{unknown('species', key, state)} ({who} reads it)") from error
    except jax.errors.TracerBoolConversionError as error:
        raise TypeError(
            f"{who} must not branch on values, which are not known when it is compiled, but it does. "
            "Write jnp.where(condition, a, b) for `if`, and & for `and`."
        ) from error


def _check_term(who: str, target: str, value: Any, grid: Any, kinds: Mapping[str, str]) -> None:
    """A coefficient or tissue quantity."""
    label = f"{who}: `{target}`"
    _check_numbers(label, value)
    name, _, channel = target.rpartition(".")
    if name in kinds and channel in ("velocity", "flow"):
        _check_faces(label, value, grid)
    elif not isinstance(value, tuple) and (name in kinds or not name):
        _check_shape(label, value, () if kinds.get(name) == "compartment" else grid.shape)


def _check_shape(label: str, value: Any, shape: tuple[int, ...]) -> None:
    if not _fits(jnp.shape(value), shape):
        wanted = f"be a number or have shape {shape}" if shape else "be a number"
        raise ValueError(f"{label} must {wanted}, but has shape {jnp.shape(value)}.")


def _check_numbers(label: str, value: Any) -> None:
    """Real numbers only: the imaginary part of others would be dropped."""
    for entry in jax.tree.leaves(value, is_leaf=lambda x: x is None):
        kind = np.dtype(getattr(entry, "dtype", None) or np.asarray(entry).dtype)
        if not any(jnp.issubdtype(kind, one) for one in (jnp.floating, jnp.integer, jnp.bool_)):
            given = f"numbers of type {kind}" if hasattr(entry, "dtype") else repr(entry)
            raise TypeError(f"{label} must be real numbers, but {given} was given. Return floats.")


def _check_faces(label: str, value: Any, grid: Any) -> None:
    wanted = [tuple(n + (j == k) for j, n in enumerate(grid.shape)) for k in range(len(grid.shape))]
    if not isinstance(value, tuple | list) or len(value) != len(wanted):
        given = f"{len(value)} entries" if isinstance(value, tuple | list) else f"one of shape {jnp.shape(value)}"
        raise TypeError(
            f"{label} must be a tuple of face arrays, one per axis, of shapes {wanted}, but {given} was given. "
            "Use `tmepde.operators.gradient` or `face_mean`."
        )
    for k, (face, full) in enumerate(zip(value, wanted, strict=True)):
        shape = jnp.shape(face)
        if len(shape) != len(full) or shape[k] != full[k] or not _fits(shape, full):
            raise ValueError(
                f"{label} must have shape {full} (on the faces) along axis {k}, but has {shape}. "
                "Use `tmepde.operators.face_mean` or `gradient`, or add an entry."
            )


def _fits(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Whether the one broadcasts to the other without making it larger."""
    return len(shape) <= len(full) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(full), strict=False))


def scale(total: dict[str, Any], key: str, factor: Any) -> None:
    """Multiply ``total[key]`` by ``factor``, entry by entry (for face velocities the factor must be a number)."""
    total[key] = times(total[key], factor)


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
