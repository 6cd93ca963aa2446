"""Names that a field can have in a dataset and on a disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

#: variables that every dataset has, besides its axes and their bounds
TAKEN = frozenset(
    "scenario time species bound mask cell_volume species_unit status message wall_time compile_time "
    "n_steps n_rejected n_solver_iterations mass_balance_error arm replicate members".split()
)
_BEGINNINGS = ("region_", "budget_")
#: bytes of a name: it is that of a folder too, and of files with more to their name
LONGEST = 150


def reserved(name: str, axes: Sequence[str]) -> bool:
    """Whether a dataset on ``axes`` has a variable of its own of this name."""
    own = name in TAKEN or name in axes or name.removesuffix("_bounds") in axes
    return own or name.startswith(_BEGINNINGS)


def check_fields(names: Iterable[str], axes: Sequence[str], observables: Iterable[str] = ()) -> None:
    """Refuse species whose fields could not be stored.

    Raises:
        ValueError: for the first name that a dataset uses itself, or that is no name of a folder.
    """
    for name in names:
        if name.startswith("obs_") and name[4:] in observables:
            raise ValueError(
                f"Species must have names that results do not use themselves, but {name!r} is what the observable "
                f"{name[4:]!r} may be called. Rename it."
            )
        if reserved(name, axes):
            raise ValueError(
                f"Species must have names that results do not use themselves, but {name!r} is one of these (time, "
                "axes, status, …). Rename it."
            )
        if "/" in name or "\\" in name or name.startswith(".") or not name.isprintable() or name.strip() != name:
            raise ValueError(
                f"Species must have names that are names of folders too, but {name!r} has a slash, a leading dot, or "
                "characters that cannot be seen. Rename it."
            )
        if (size := len(os.fsencode(name))) > LONGEST:
            raise ValueError(f"Species must have names of at most {LONGEST} bytes, but {name[:40]!r}… has {size}.")
