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

from tmepde._types import as_number


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


def _broadcast(at: Any, *others: Any) -> tuple[Any, ...]:
    arrays = [as_number(v) for v in (at, *others)]
    n = max((a.shape[0] for a in arrays if a.ndim), default=1)
    for a in arrays:
        if a.ndim > 1 or (a.ndim == 1 and a.shape[0] not in (1, n)):
            raise ValueError(f"A schedule needs one value or {n} per quantity, but a shape {tuple(a.shape)} was given.")

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
        for name, value in (("at", self.at), ("amount", self.amount), ("over", self.over)):
            if isinstance(value, np.ndarray) and not np.all(np.isfinite(value)):
                raise ValueError(f"`{name}` of a schedule must be finite, but {value} was given.")
        if isinstance(self.amount, np.ndarray) and np.any(self.amount < 0):
            raise ValueError(f"`amount` of a dose must not be negative, but {self.amount} was given.")
        if isinstance(self.over, np.ndarray) and np.any(self.over <= 0):
            raise ValueError(f"`over` must be a positive duration in hours, but {self.over} was given.")

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
    start, stop = as_number(start), as_number(stop)
    return Schedule(start, as_number(rate) * (stop - start), stop - start)


def Course(start: Any, every: Any, doses: int, amount: Any, over: Any = 1.0 / 60.0) -> Schedule:  # noqa: N802
    """``doses`` equal doses of ``amount``, one ``every`` so many hours from ``start``."""
    return Schedule(as_number(start) + as_number(every) * np.arange(doses, dtype=float), amount, over)


def schedules(tree: Any) -> list[Schedule]:
    """All schedules inside a pytree."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, Schedule))
    return [leaf for leaf in leaves if isinstance(leaf, Schedule)]


def every(interval: Any, until: Any = None) -> dict[str, Any]:
    """Save times: one every ``interval`` hours (resolved against the length of the scenario)."""
    return {"every": float(interval), "until": None if until is None else float(until)}
