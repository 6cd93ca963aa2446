"""Rows about oxygen from measured vessel networks: V11, V12."""

from __future__ import annotations

from collections.abc import Iterator

from validation.row import Check, not_yet, row

_SOURCE = "Secomb et al. 2004 Ann. Biomed. Eng. 32:1519, GreensV4 (networks non-commercial, not shipped)"


@row("V11", "Oxygen from the R3230Ac network, 104 segments", _SOURCE)
def tumour_network() -> Iterator[Check]:
    yield from not_yet("mean PO2")


@row("V12", "Oxygen from the low-density network", _SOURCE)
def low_density_network() -> Iterator[Check]:
    yield from not_yet("mean PO2")
