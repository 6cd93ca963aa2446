"""When: doses as an *amount over an interval*.

The one thing a schedule implements is how much of each dose has been delivered by a given time,

    fraction_i(t) ∈ [0, 1],     cumulative(t) = Σ_i amount_i · fraction_i(t),

so that what is delivered in a step is a difference of cumulative amounts: exact for every step size, and nothing is
stepped over. A rate sampled at the start of a step delivered 70 % or 0 % of a short dose in a prototype.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import concrete, given, number

#: doses of one course
MOST_DOSES = 1_000_000


class Clock(eqx.Module):
    """The time of one evaluation: ``base`` (h, start of the segment) + ``local`` (h, since then), in a step of
    ``step`` hours that began at local time ``start``.

    Time is kept in two parts because a float32 sum of many small steps drifts (1e7 × 1e-3 gave 9780).
    """

    base: Any
    local: Any
    start: Any
    step: Any

    @property
    def time(self) -> Any:
        """Hours since the start of the scenario."""
        return self.base + self.local

    def doses(self, schedule: Schedule) -> Any:
        """Amount of each dose that falls into this step, shape ``(n_doses,)``."""
        before = schedule.fraction(self.base, self.start)
        after = schedule.fraction(self.base, self.start + self.step)
        return schedule.amount * (after - before)

    def fractions(self, schedule: Schedule) -> Any:
        """Fraction of each dose that falls into this step, shape ``(n_doses,)``."""
        after = schedule.fraction(self.base, self.start + self.step)
        return after - schedule.fraction(self.base, self.start)

    def rate(self, schedule: Schedule) -> Any:
        """Mean rate of delivery over this step, amount per hour."""
        return jnp.sum(self.doses(schedule)) / self.step


def _broadcast(at: Any, amount: Any, over: Any) -> tuple[Any, ...]:
    arrays = [
        number("at", at, "h"),
        number("amount", amount, low=0.0),
        number("over", over, "h", above=0.0),
    ]
    n = max((a.shape[0] for a in arrays if a.ndim), default=1)
    for a in arrays:
        if a.ndim > 1 or (a.ndim == 1 and a.shape[0] not in (1, n)):
            raise ValueError(f"A schedule needs one value or {n} per quantity, but a shape {tuple(a.shape)} was given.")
    if n == 0:
        raise ValueError("`at` of a schedule must hold at least one time, but it is empty. Leave the therapy out.")

    def spread(a: Any) -> Any:
        return (jnp if isinstance(a, jax.Array) else np).broadcast_to(a, (n,))

    return tuple(spread(a) for a in arrays)


class Schedule(eqx.Module):
    """Doses ``amount`` given evenly ``over`` hours from time ``at`` (h), each a number or one value per dose.

    Use :func:`Infusion`, :func:`Bolus`, :func:`Continuous` or :func:`Course`.
    """

    at: Any
    amount: Any
    over: Any
    rest: Any = None

    def __init__(self, at: Any, amount: Any, over: Any):
        self.at, self.amount, self.over = _broadcast(at, amount, over)
        self.rest = None

    def cast(self, dtype: Any) -> Schedule:
        """In another precision; what float32 cannot hold of ``at`` (4 s after a year) is kept in ``rest``."""
        at = self.at.astype(dtype)
        rest = None
        if isinstance(self.at, np.ndarray) and at.dtype != self.at.dtype:
            rest = (self.at - at.astype(self.at.dtype)).astype(dtype)
        found = (at, self.amount.astype(dtype), self.over.astype(dtype), rest)
        return eqx.tree_at(lambda s: (s.at, s.amount, s.over, s.rest), self, found, is_leaf=lambda x: x is None)

    def since(self, base: Any) -> Any:
        """Start of each dose relative to ``base``; the difference is formed first to keep precision."""
        return self.at - base if self.rest is None else (self.at - base) + self.rest

    def fraction(self, base: Any, local: Any) -> Any:
        """Fraction of each dose delivered by time base + local."""
        return jnp.clip((local - self.since(base)) / self.over, 0.0, 1.0)

    def cumulative(self, time: Any) -> Any:
        """Total amount delivered by ``time`` (h)."""
        return jnp.sum(self.amount * self.fraction(time, 0.0))

    def total(self) -> Any:
        """Sum of all doses."""
        return self.amount.sum()

    def knots(self, base: Any) -> Any:
        """Times, relative to ``base``, at which the rate changes and on which the stepper must land."""
        start = self.since(base)
        return jnp.concatenate([start, start + self.over])


def Infusion(at: Any, amount: Any, over: Any) -> Schedule:  # noqa: N802 - reads as a noun in a plan
    """``amount`` given evenly over ``over`` hours from ``at`` hours; sequences give several infusions."""
    return Schedule(at, amount, over)


def Bolus(at: Any, amount: Any, over: Any = 1.0 / 60.0) -> Schedule:  # noqa: N802
    """A quick injection at ``at`` hours: an infusion over one minute, so that dose times have gradients."""
    return Schedule(at, amount, over)


def Continuous(rate: Any, start: Any, stop: Any) -> Schedule:  # noqa: N802
    """A constant ``rate`` per hour between ``start`` and ``stop`` (h)."""
    start, stop = number("start", start, "h"), number("stop", stop, "h")
    if isinstance(start, np.ndarray) and isinstance(stop, np.ndarray) and np.any(stop <= start):
        raise ValueError(f"`stop` must be later than `start` = {start} h, but {stop} h was given. Exchange them.")
    return Schedule(start, number("rate", rate, low=0.0) * (stop - start), stop - start)


def Course(start: Any, every: Any, doses: int, amount: Any, over: Any = 1.0 / 60.0) -> Schedule:  # noqa: N802
    """``doses`` equal doses of ``amount``, one ``every`` so many hours from ``start``."""
    known = isinstance(doses, int | np.integer) and not isinstance(doses, bool | np.timedelta64)
    if not known or not 1 <= doses <= MOST_DOSES:
        raise ValueError(
            f"`doses` must be a whole number from 1 to {MOST_DOSES}, but {given(doses)} was given. Write how many."
        )
    return Schedule(
        number("start", start, "h", single=True)
        + number("every", every, "h", above=0.0, single=True) * np.arange(doses),
        amount,
        over,
    )


def schedules(tree: Any) -> list[Schedule]:
    """All schedules inside a pytree."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, Schedule))
    return [leaf for leaf in leaves if isinstance(leaf, Schedule)]


def every(interval: Any, until: Any = None) -> dict[str, Any]:
    """Save times: one every ``interval`` hours (resolved against the length of the scenario)."""
    concrete("The interval of `every`", interval, until)
    last = None if until is None else float(number("until", until, "h", above=0.0, single=True))
    return {"every": float(number("every", interval, "h", above=0.0, single=True)), "until": last}
