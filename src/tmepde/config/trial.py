"""The code that a config names, tried before a run: what its author got wrong is a problem of the config.

The equations are evaluated once, in shapes alone, which takes as long as reading them.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tmepde.config.errors import ConfigError, Problem

_PACKAGE = str(Path(__file__).resolve().parents[1])


def attempt(path: str, make: Callable[[], Any], files: Collection[Path] = ()) -> Any:
    """What ``make()`` returns; a refusal becomes a problem at ``path``.

    Args:
        files: of code that is not ours: whatever it raises is a refusal, and is told with its file and line.

    Raises:
        ConfigError: for what the objects refuse.
    """
    try:
        return make()
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        if not files and not isinstance(error, ValueError | KeyError | FileNotFoundError):
            raise
        raise ConfigError([Problem(path, f"was refused: {told_of(error, files)}")]) from error


def trial(scenario: Any, files: Collection[Path]) -> None:
    """Evaluate the rates of every species and all log-kill once, without numbers.

    Raises:
        ConfigError: for whatever that raises.
    """
    import jax
    import jax.numpy as jnp

    from tmepde.schedule import Clock
    from tmepde.steppers import SemiDiscrete

    def rates(clock: Any, state: Any) -> Any:
        problem = SemiDiscrete(scenario.system)
        return problem.reaction(tuple(state), clock, state), scenario.system.hazards(clock, state)

    def shapes() -> Any:
        state = jax.eval_shape(lambda: scenario.system.initial_state(jnp.float32))
        number = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.eval_shape(rates, Clock(number, number, number, number), state)

    attempt("model", shapes, files)


def signs(scenario: Any, files: Collection[Path]) -> list[str]:
    """Warnings about coefficients and log-kill that are negative at the start, where the equations ask for D, s, λ ≥ 0.

    Takes a compilation of the rates: for models and therapies that are not ours.

    Raises:
        ConfigError: for whatever they raise.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from tmepde.schedule import Clock
    from tmepde.steppers import SemiDiscrete

    species = scenario.system.species
    state = {n: jnp.asarray(u) for n, u in scenario.system.initial_state(jnp.float32).items()}
    clock = Clock(*(jnp.asarray(x, jnp.float32) for x in (0.0, 0.0, 0.0, 1e-3)))

    @jax.jit
    def rates(clock: Any, state: Any) -> Any:
        found = SemiDiscrete(scenario.system).reaction(tuple(state), clock, state)
        rates = {"diffusivity": found.coefficients.diffusivity, "source": found.source, "loss": found.loss}
        return rates | {"hazard": scenario.system.hazards(clock, state)}

    told = []
    for channel, by_name in attempt("model", lambda: rates(clock, state), files).items():
        for name, value in by_name.items():
            least = float(np.min([np.min(x) for x in jax.tree.leaves(value)] or [0.0]))  # NaN where there is one
            signed = channel == "source" and species[name].signed or _depth(value) == 2
            if np.isnan(least) or (least < 0 and not signed):
                told.append(
                    f"`{name}.{channel}` is {least:.3g} at the start, but must be a number and not negative: the "
                    "equations are ∂u/∂t = ∇·(D∇u − vu) + s − λu with D, s, λ ≥ 0. Write what is taken away as a loss "
                    "rate λ."
                )
    return told


def _depth(value: Any) -> int:
    return 1 + _depth(value[0]) if isinstance(value, tuple) else 0


def told_of(error: BaseException, files: Collection[Path]) -> str:
    """The error in a sentence, with the last line of ``files`` that it went through."""
    frames, passed = traceback.extract_tb(error.__traceback__), went_through(error, files)
    lines = [f"{Path(frame.filename).name}, line {frame.lineno}" for frame in passed]
    # the text of a KeyError is its argument in quotes; that of an OSError more than its first argument, a number
    said = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    text = " ".join(said.splitlines()[:1]).strip()
    if frames and frames[-1].filename.startswith(_PACKAGE) or not lines:
        return f"{text} ({lines[-1]})" if lines else text
    return f"{lines[-1]}: {type(error).__name__}: {text}".rstrip(".: ") + ". Correct it."


def went_through(error: BaseException, files: Collection[Path]) -> list[traceback.FrameSummary]:
    """The frames of ``files`` that the error passed on its way."""
    known = {str(path) for path in files}
    return [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in known]
