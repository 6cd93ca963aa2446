"""How accurately, and how large a step: tolerances, the step-size controller, limits."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._arguments import as_number, not_a_number
from tmepde._types import is_traced

#: beyond it a step says little; explicit coupling and undershoots of the second stage are then of the size of the field
LOOSEST = 0.05
#: what the error estimate of a step can hold of round-off, in the unit of it, in a field of size 1
ROUND_OFF = 10.0
#: rtol at which a sharpened step is held to rtol itself: the loosest in common use, so that no step becomes longer
_ANCHOR = 1e-2
#: least power of dt that two refusals in a row are taken to show
_FLAT = 0.25
#: part of a run that a step may be as short as, whatever is said to be the shortest
_BRIEF = 1e-4


_NUMBERS = {
    "rtol": "",
    "dt": "hours",
    "first": "hours",
    "shortest": "hours",
    "longest": "hours",
    "courant": "",
    "horizon": "hours",
    "linear": "",
    "algebraic": "",
    "adjoint": "",
}


class StepControl(eqx.Module):
    """Main: ``rtol``, or ``dt`` for fixed steps. The rest is rarely needed.

    Args:
        rtol: wanted relative local error of a step; the global error follows it (measured in the tests). With a fixed
            `dt` it still sets how well the linear and quasi-steady equations of a step are solved.
        dt: fixed step in h (shortened to land on knots and save times); ``None``: adaptive.
        first: first step tried, h.
        shortest: below this, or a ten-thousandth of the run if that is less, the run ends with a named status, h.
        longest: largest step, h.
        courant: largest |v|·Δt/(w + 2D/|v|) of the explicit drift flux.
        horizon: a field that rises from nothing is judged by what it will be after this time (h), its own lifetime, or
            the run if that is shorter.
        linear: error allowed in a linear solve, as a fraction of the step tolerance.
        algebraic: the same for quasi-steady fields.
        adjoint: relative error allowed in the linear solves that carry derivatives, as a fraction of `rtol`.
        max_steps: attempted steps per save interval (static).
    """

    rtol: Any = eqx.field(converter=as_number, default=1e-3)
    dt: Any = eqx.field(converter=as_number, default=None)
    first: Any = eqx.field(converter=as_number, default=1e-2)
    shortest: Any = eqx.field(converter=as_number, default=1e-9)
    longest: Any = eqx.field(converter=as_number, default=24.0)
    courant: Any = eqx.field(converter=as_number, default=0.5)
    horizon: Any = eqx.field(converter=as_number, default=1.0)
    linear: Any = eqx.field(converter=as_number, default=0.02)
    algebraic: Any = eqx.field(converter=as_number, default=0.1)
    adjoint: Any = eqx.field(converter=as_number, default=1e-2)
    max_steps: int = eqx.field(static=True, default=10_000)

    @property
    def adaptive(self) -> bool:
        return self.dt is None

    def sharpened(self, power: float, floor: Any) -> StepControl:
        """With the step tolerance rtol (rtol/10⁻²)^power, for schemes whose estimate is of their own result.

        Errors of order p + 1 held to rtol add up to rtol^(p/(p + 1)); with power 1/p they add up in proportion to rtol.
        Fixed steps are left alone: there rtol only says how well the equations are solved.

        Args:
            floor: the least that round-off allows.
        """
        if not self.adaptive:
            return self
        rtol = jnp.asarray(self.rtol)
        wanted = rtol * jnp.minimum(1.0, (rtol / _ANCHOR) ** power)
        return eqx.tree_at(lambda c: c.rtol, self, jnp.maximum(wanted, jnp.minimum(rtol, floor)))

    def _problem(self, name: str) -> str | None:
        """Why a setting is not one number; ``None`` if it is."""
        value = getattr(self, name)
        if value is None and name != "dt":
            return "must be a number, but None was given. Leave it out"
        shape = np.shape(value) if isinstance(value, np.ndarray | jax.Array) else ()
        told = not_a_number(value)
        return told or (f"must be one number, but an array of shape {shape} was given. Write one" if shape else None)

    def problems(self, precision: str) -> list[str]:
        """Sentences for settings that cannot work; must be called outside ``jit``."""
        floor = {"f32": 1e-6, "f64": 1e-13}[precision]
        found = [f"`{name}` {problem}." for name in _NUMBERS if (problem := self._problem(name))]
        whole = isinstance(self.max_steps, int) and not isinstance(self.max_steps, bool)
        if not whole or self.max_steps < 1:
            found.append(f"`max_steps` must be a whole number of at least 1, but {self.max_steps!r} was given.")
        if found:
            return found
        if self.adaptive and not float(self.rtol) >= floor:
            found.append(
                f"`rtol` must be at least {floor:g} in {precision}, but {float(self.rtol):g} was given. "
                "Use precision='f64' for smaller errors."
            )
        if self.adaptive and float(self.rtol) > LOOSEST:
            found.append(
                f"`rtol` must be at most {LOOSEST:g}, but {float(self.rtol):g} was given. Looser steps can be unstable "
                "without their error estimate showing it."
            )
        for name, words in _NUMBERS.items():
            value = getattr(self, name)
            if name == "rtol" or value is None:
                continue
            if not 0 < float(value) < 1e30:
                found.append(f"`{name}` must be positive {words}, but {float(value):g} was given. Leave it out.")
        if not found and not float(self.shortest) <= float(self.longest):
            found.append(
                f"`shortest` must be at most `longest` = {float(self.longest):g} h, but {float(self.shortest):g} h was "
                "given. Exchange them."
            )
        return found

    def following(
        self, dt: Any, error: Any, accepted: Any, power: int = 2, before: Any = None, refused: Any = None
    ) -> Any:
        """Next step from the weighted error e (1 = just acceptable), bounded in its change.

        dt · 0.9 e^(−1/power), and after an accepted step no more than what the trend of the error allows (Gustafsson
        1994, ACM TOMS 20:496): dt · 0.9 e^(−1/power) · (dt/dt₋) (e₋/e)^(1/power), with the accepted step dt₋ and its
        error e₋ before this one. Where the error keeps rising (a field that runs out) the first rule alone is refused
        at every second step.

        After two refusals in a row the power is the one that they show, ln(e₋/e)/ln(dt₋/dt), if that is less: a jump
        of a fast field errs by dt, or by the same whatever dt is, until steps resolve it.

        Args:
            power: that of dt in the error estimate, one more than the order of the embedded solution.
            before: (dt₋, e₋), zeros where there is none since the last knot; ``None``: no trend.
            refused: (dt₋, e₋) of the attempt before, zeros where that was accepted or gave no error; ``None``: so.
        """
        safe = jnp.where(jnp.isfinite(error), jnp.maximum(error, 1e-8), 1e8)
        shown: Any = power
        if refused is not None:
            last, size = refused
            again = ~jnp.asarray(accepted) & (last > dt) & (size > 0) & jnp.isfinite(error)
            fall = jnp.log(jnp.where(again, size / safe, 1.0))
            shown = jnp.where(again, jnp.clip(fall / jnp.log(jnp.where(again, last / dt, 2.0)), _FLAT, power), power)
        wish = 0.9 * safe ** (-1.0 / shown)
        if before is not None:
            last, size = before
            known = accepted & (last > 0)
            trend = dt / jnp.where(known, last, 1.0) * (jnp.maximum(size, 1e-2) / safe) ** (1.0 / power)
            wish = jnp.where(known, wish * jnp.clip(trend, 0.2, 1.0), wish)
        least = jnp.where(jnp.isfinite(error), 0.02, 0.2)  # a solver that gave up says nothing about the size
        factor = jnp.clip(wish, least, jnp.where(accepted, 4.0, 0.9))
        return jnp.clip(dt * factor, 0.0, self.longest)


def shortened(control: StepControl, longest: Any, dtype: Any) -> StepControl:
    """``control`` with steps of ``longest`` hours at most; fixed ones are left alone."""
    if not control.adaptive or longest is None or (isinstance(longest, float) and longest == float("inf")):
        return control
    numpy: Any = jnp if is_traced((control, longest)) else np
    limits = [numpy.asarray(numpy.minimum(getattr(control, n), longest), dtype) for n in ("first", "longest")]
    return eqx.tree_at(lambda c: (c.first, c.longest), control, limits)


def ending(control: StepControl, until: Any, dtype: Any) -> StepControl:
    """``control`` for a run that ends after ``until`` hours: what a field would be later is no measure of it, and steps
    may be as short as a run of a few microseconds needs."""
    numpy: Any = jnp if is_traced((control, until)) else np
    limits = [numpy.minimum(control.horizon, until), numpy.minimum(control.shortest, _BRIEF * until)]
    limits = [numpy.asarray(limit, dtype) for limit in limits]
    limits = [jax.lax.stop_gradient(limit) if numpy is jnp else limit for limit in limits]
    return eqx.tree_at(lambda c: (c.horizon, c.shortest), control, limits)


def over(change: Any, scale: Any) -> Any:
    """``change/scale``, 0 where the scale is 0 (cells outside the tissue). NaN stays NaN."""
    return jnp.where(scale == 0, 0.0, change / jnp.where(scale == 0, 1.0, scale))
