"""w4: oxygen on n³ cells for sixty minutes, tenfold uneven diffusivity with a slow, hungry ball inside.

The error is the largest relative L2 difference at t = 1, 5, 20, 60 min from our own float64 run at rtol 1e-6; in a
full run with peers, from Devito's explicit float64 program with 96,000 steps, which owes nothing to our code, and the
difference of the two references is stated. One unit of the library's clock stands for a minute. The last row is a grid
of twice as many cells along each axis, at the default tolerance; its error is that from float64 at rtol 1e-5, which on
64³ cells is right to 3e-6.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import tmepde as tme
from tmepde.bench.measure import call
from tmepde.bench.peers import Job, compare
from tmepde.bench.problems import DT, TIMES, WIDTH, oxygen, worst
from tmepde.bench.record import Options, Record

#: the default tolerance first: it is the headline
TOLERANCES = (1e-3, 3e-2, 1e-2, 3e-3, 1e-4, 1e-5)


def measure(name: str, options: Options) -> Record:
    """The default tolerance is the headline; ``rows`` hold the others; notes say what 0.5 % and 0.03 % cost."""
    n = options.size(64, 16)
    with jax.enable_x64(True):
        reference, _ = call(scenario(n), 1, save=TIMES, precision="f64", control=tme.StepControl(rtol=1e-6))
    exact, notes = reference.fields["o2"][1:], ["reference: our float64 run at rtol 1e-6"]
    if n == 64:
        notes[0] += "; Devito's 96,000 explicit steps in float64 differ from it by 1.4e-5 (--full --peers repeats that)"
    if options.full and options.peers:
        exact, notes = _independent(n, options, exact, notes)
    tolerances = TOLERANCES[:4] if options.quick else TOLERANCES
    rows = [_row(n, rtol, exact, options) for rtol in tolerances]
    for label, bound in (("0.5 %", 5e-3), ("0.03 %", 3e-4)):
        enough = [r for r in rows if r["error"] <= bound and r["ok"]]
        if enough:
            cheapest = min(enough, key=lambda r: r["wall_s"])
            notes.append(f"{label} or better in {cheapest['wall_s']:.3g} s, by rtol {cheapest['rtol']:g}")
    head = rows[0]
    if not options.cells and not options.quick:
        rows.append(_larger(2 * n, head, options))
        notes.append(
            f"{2 * n}³ cells at the default tolerance: {rows[-1]['ratio_to_headline']:.1f} times the seconds of {n}³, "
            f"{rows[-1]['wall_s']:.3g} s, error {rows[-1]['error']:.1e}, {rows[-1]['steps']} steps"
        )
    record = Record(
        name,
        f"oxygen, {n}³ cells, 60 minutes; largest relative L2 error at 1, 5, 20 and 60 min",
        "f32",
        n**3,
        head["wall_s"],
        head["compile_s"],
        head["error"],
        rows=rows,
        notes=[*notes, f"explicit programs take {round(TIMES[-1] / DT):,} steps"],
    )
    job = Job(quick=options.quick, full=options.full, repeats=options.repeats)
    record.compared(compare(name, n, job, options, lambda found: worst(found, exact)))
    if options.peers:
        record.notes.append("BioFVM, PhysiCell, exponax and jax-cfd cannot: they know one D per field")
    return record


def kinetics(clock: Any, state: Any, tissue: Any, V: Any, S: Any) -> dict[str, Any]:
    """S(38 − u) − Vu/(2.5 + u)."""
    return {"o2.source": S * 38.0, "o2.loss": S + V / (2.5 + state["o2"])}


def scenario(n: int) -> tme.Scenario:
    """The tissue as a model."""
    diffusivity, V, S = oxygen(n)
    species = {"o2": tme.Species(initial=38.0, diffusivity=diffusivity)}
    model = tme.Model(tme.Grid.cube(n * WIDTH, cells=n), species, {"uptake": tme.process(kinetics, V=V, S=S)})
    return tme.Scenario(model, until=TIMES[-1])


def _row(n: int, rtol: float, exact: np.ndarray, options: Options) -> dict[str, Any]:
    solution, row = call(scenario(n), options.repeats, save=TIMES, control=tme.StepControl(rtol=rtol))
    reached = solution.fields["o2"][1:]
    error = worst(reached, exact) if len(reached) == len(exact) else float("inf")
    return {"rtol": rtol, "error": error, **row}


def _larger(n: int, head: dict[str, Any], options: Options) -> dict[str, Any]:
    """The default tolerance on n³ cells, and how many times the headline's seconds it takes."""
    with jax.enable_x64(True):
        reference, _ = call(scenario(n), 0, save=TIMES, precision="f64", control=tme.StepControl(rtol=1e-5))
    row = _row(n, head["rtol"], reference.fields["o2"][1:], options)
    return {"cells_axis": n, **row, "ratio_to_headline": row["wall_s"] / head["wall_s"]}


def _independent(n: int, options: Options, ours: np.ndarray, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """Devito's float64 run as the reference, if Devito is there, and how far ours is from it."""
    kept: list[np.ndarray] = []

    def judge(found: np.ndarray) -> float:
        kept.append(found)
        return worst(ours, found)

    job = Job(full=True, repeats=1)
    found = compare("w4-reference", n, job, options, judge)["devito float64"]
    if not kept:
        return ours, [*notes, f"no explicit reference: {found['note']}"]
    differs = f"our float64 run at rtol 1e-6 differs by {found['error']:.1e}"
    return kept[0], [f"reference: Devito, {found['note']} ({found['wall_s']:.0f} s); {differs}"]
