"""What is said where no steady state was found, or one at which nothing stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tmepde._results import Status
from tmepde._types import State
from tmepde.steady.continuation import instant, root_mean_square
from tmepde.steppers import SemiDiscrete
from tmepde.steppers.semidiscrete import Evaluation


def unstable(rate: complex) -> str:
    """Of a steady state with a mode that grows, or oscillates for ever."""
    if rate.real < 1e-6 * abs(rate.imag):
        return (
            "The steady state found is not reached: small deviations from it neither grow nor die away, but oscillate "
            f"with a period of {2 * np.pi / abs(rate.imag):.3g} h. `simulate` shows how."
        )
    turns = f", oscillating with a period of {2 * np.pi / abs(rate.imag):.3g} h" if rate.imag else ""
    return (
        f"The steady state found is unstable: small deviations grow at {rate.real:.3g} per hour{turns}, so that "
        "nothing stays there. `simulate` shows where it goes."
    )


def failed(problem: SemiDiscrete, status: Status, state: State, time: Any, steps: int) -> str:
    """Names the field that changes most where no steady state was found, and what may be the reason."""
    here = problem.evaluate(instant(time), state)
    changes = {}
    for name in problem.dynamic:
        size = float(root_mean_square(problem, state[name]))
        change = float(root_mean_square(problem, here.tendency[name]))
        changes[name] = change / size if size > 0 else change
    odd = [n for n in problem.dynamic if not np.isfinite(changes[n])]
    worst = odd[0] if odd else max(changes, key=lambda n: changes[n])
    if status == Status.not_finite and (odd or _bounded(state)):
        return (
            f"No steady state was found: after {steps} steps `{worst}` becomes infinite or NaN however short the step; "
            "the last finite state is kept. Look for a rate law that divides by zero or takes a root or logarithm of "
            "nothing, or for a blow-up."
        )
    return (
        f"No steady state was found: `{worst}` still changes by {changes[worst]:.2g} of itself per hour. "
        f"{_reason(problem, status, here, worst, state)}"
    )


def _bounded(state: State) -> bool:
    return all(float(np.max(np.abs(np.asarray(u)))) < 1e30 for u in state.values())


def _reason(problem: SemiDiscrete, status: Status, here: Evaluation, name: str, state: State) -> str:
    """Why ``name`` may not settle, and what to do."""
    made = float(problem.total(abs(here.rates.gain(name))))
    lost = float(problem.total(abs(here.rates.rate(name) * state[name])))
    if made > 0 and lost == 0:
        return (
            "It has a source, but neither a loss nor an open side: with closed sides and no loss it grows for ever. It "
            "needs a loss or an open side."
        )
    if status == Status.not_finite:
        return "It grows for ever, faster than it is lost. Look for production without a bound."
    if status == Status.solver:
        return "The linear equations of a step were not solved however short it was. Look for a rate law with a jump."
    if status == Status.step_too_small:
        return "However short the step, it goes astray. Look for a blow-up or a rate law with a jump."
    if made == 0 and lost == 0:
        return "Nothing makes or removes it; it is only moved. Raise `limit`, or see with `simulate` if it settles."
    return "Raise `limit`, or see with `simulate` whether it settles, grows for ever or oscillates."
