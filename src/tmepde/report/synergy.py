"""Do two treatments do more together than they would if neither knew of the other?

Effects E are fractions of what is there without treatment that a treatment removes (1: all of it, negative: harm).

Bliss (1939, Ann. Appl. Biol. 26:585): independent action leaves the product of what each leaves,

    E_B = E_a + E_b − E_a E_b ,     excess = E_ab − E_B         > 0 synergy, 0 independent, < 0 antagonism

Loewe (1953, Arzneimittelforschung 3:285; Greco, Bravo & Parsons 1995, Pharmacol. Rev. 47:331, eq. 9): an agent adds
nothing to itself but dose,

    I = a/D_a(E_ab) + b/D_b(E_ab)                               < 1 synergy, 1 additive, > 1 antagonism

with D(E) the dose that has the effect E alone. An agent combined with itself has I = 1. Assumptions: D is read from
the measured doses by linear interpolation, at the smallest dose that reaches E; an agent that alone does next to
nothing (below ``INERT``) has D = ∞; where E lies beyond what an agent that does something reaches alone, I is unknown
(NaN) and Bliss must do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: largest effect up to which an agent counts as inert by itself (assumption)
INERT = 1e-3


def effect(outcome: Any, untreated: Any) -> Any:
    """1 − y/y₀: the fraction removed; NaN where there is nothing without treatment."""
    outcome, untreated = np.asarray(outcome, float), np.asarray(untreated, float)
    some = untreated > 0
    return np.where(some, 1.0 - outcome / np.where(some, untreated, 1.0), np.nan)


def bliss_excess(first: Any, second: Any, both: Any) -> Any:
    """E_ab − (E_a + E_b − E_a E_b)."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    return np.asarray(both, float) - (first + second - first * second)


def dose_for(wanted: float, doses: Any, effects: Any) -> float:
    """D(E): the smallest dose with the effect ``wanted``; ∞ for an inert agent, NaN beyond what was measured.

    Args:
        doses: increasing, from 0 on.
        effects: of the agent alone at these doses.

    Raises:
        ValueError: if doses do not increase, or effects are not as many.
    """
    doses, effects = np.asarray(doses, float), np.asarray(effects, float)
    if doses.shape != effects.shape or doses.ndim != 1 or np.any(np.diff(doses) <= 0):
        raise ValueError(
            f"`doses` must increase and have one effect each, but {doses.tolist()} with {effects.tolist()} were given."
        )
    if not np.isfinite(wanted) or not np.all(np.isfinite(effects)):
        return float("nan")
    if np.max(np.abs(effects)) < INERT:
        return float("inf")
    for i in range(len(doses)):
        if effects[i] == wanted:
            return float(doses[i])
        if i and min(effects[i - 1], effects[i]) < wanted < max(effects[i - 1], effects[i]):
            share = (wanted - effects[i - 1]) / (effects[i] - effects[i - 1])
            return float(doses[i - 1] + share * (doses[i] - doses[i - 1]))
    return float("nan")


def loewe_index(first: float, second: float, wanted: float, alone: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """I = a/D_a(E) + b/D_b(E) of the doses ``first`` and ``second`` that together have the effect ``wanted``.

    Args:
        alone, other: (doses, effects) of either agent alone.
    """
    total = 0.0
    for dose, (doses, effects) in ((first, alone), (second, other)):
        needed = dose_for(wanted, doses, effects)
        total += dose / needed if needed else float("nan")
    return total


def surface(doses: tuple[Any, Any], outcome: Any) -> tuple[Any, Any, Any]:
    """Effects, Bliss excess and Loewe index of a table of outcomes by dose of two agents, each ``(first, second)``.

    The first row and column are those of dose 0, hence of the agents alone; excess and index are NaN there.

    Raises:
        ValueError: if a first dose is not 0, which leaves nothing to compare with.
    """
    first, second = (np.asarray(d, float) for d in doses)
    if first[0] != 0 or second[0] != 0:
        raise ValueError(f"Both `doses` must begin with 0, but they begin with {first[0]:g} and {second[0]:g}.")
    effects = effect(outcome, np.asarray(outcome, float)[0, 0])
    excess, index = np.full(effects.shape, np.nan), np.full(effects.shape, np.nan)
    for i in range(1, len(first)):
        for j in range(1, len(second)):
            excess[i, j] = bliss_excess(effects[i, 0], effects[0, j], effects[i, j])
            alone, other = (first, effects[:, 0]), (second, effects[0])
            index[i, j] = loewe_index(first[i], second[j], effects[i, j], alone, other)
    return effects, excess, index
