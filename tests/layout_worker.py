"""Runs on one device and on many, compared; started by ``test_layout.py``, which says how many devices there are."""

from __future__ import annotations

import json
import sys

import jax
import numpy as np

CELLS = ((24, 40), (40, 27), (40,), (16, 8, 6))


def build(shape, uneven=True, mask=False, periodic=False, kind="transported", drift=False):
    import tmepde as tme

    index = np.indices(shape)
    inside = sum((x - n / 2 + 0.5) ** 2 / (0.45 * n) ** 2 for x, n in zip(index, shape, strict=True)) < 1
    grid = tme.Grid.box([10.0 * n for n in shape], shape, mask=inside if mask else None, periodic=periodic)
    first, last = grid.coordinates()[0] + 0 * index[0], grid.coordinates()[-1] + 0 * index[0]
    d = 50.0 * (1.0 + 0.9 * np.sin(last / 40.0)) if uneven else 50.0

    def rates(clock, state, tissue):
        found = {"u.loss": 0.1 + state["u"], "u.source": 0.3 + 0.1 * state["p"], "p.loss": 0.3}
        found |= {"w.source": state["u"], "w.loss": 0.5, "l.source": state["w"], "l.loss": 0.2}
        return found | ({"u.velocity": tme.operators.taxis_velocity(grid, state["w"], 30.0)} if drift else {})

    species = {
        "u": tme.Species(1.0 + 0.5 * np.sin(first / 30.0), d),
        "w": tme.Species(0.2, 0.4 * d, kind=kind),
        "l": tme.Species(0.0, kind="local"),
        "p": tme.Species(1.0, kind="compartment"),
    }
    return tme.Scenario(tme.Model(grid, species, [tme.process(rates)]), until=0.5)


def compare(scenario, devices, **options):
    import tmepde as tme

    with jax.default_device(jax.local_devices()[0]):
        one = tme.simulate(scenario, precision="f64", **options)
    many = tme.simulate(scenario, precision="f64", devices=devices, **options)
    assert one.ok and many.ok, (one.message, many.message)
    size = {n: np.max(np.abs(u)) or 1.0 for n, u in one.fields.items()}  # a field may be zero
    worst = max(np.max(np.abs(one.fields[n] - many.fields[n])) / size[n] for n in one.fields)
    return {"difference": float(worst), "steps": [int(s.statistics["steps"]) for s in (one, many)]}


def cases(which):
    import tmepde as tme

    plane, uneven, line, box = CELLS
    if which == "quick":
        return {
            "multigrid": (build(plane), {}),
            "fast diagonal": (build(plane, uneven=False), {"stepper": tme.Rosenbrock2()}),
            "line": (build(line), {}),
        }
    steppers = {
        "rosenbrock2": tme.Rosenbrock2(),
        "rosenbrock3": tme.Rosenbrock3(),
        "newton": tme.NewtonKrylov(),
        "backward": tme.BackwardEuler(),
        "euler": tme.ExplicitEuler(),
        "chebyshev": tme.RungeKuttaChebyshev(),
    }
    found = {name: (build(plane), {"stepper": s}) for name, s in steppers.items()}
    found |= {f"{name}, one D": (build(plane, uneven=False), {"stepper": s}) for name, s in steppers.items()}
    linear = build(plane, uneven=False)
    calm = tme.process(lambda clock, state, tissue: {f"{n}.loss": 0.1 for n in ("u", "w", "l", "p")})
    linear = tme.Scenario(tme.Model(linear.model.grid, linear.model.species, [calm]), until=0.5)
    found["exponential"] = (linear, {"stepper": tme.Exponential2()})
    for solver in ("multigrid", "jacobi"):
        found[solver] = (build(uneven), {"solver": solver})
        found[f"{solver}, box"] = (build(box), {"solver": solver})
    found["fast diagonal, box"] = (build(box, uneven=False), {"solver": "fast_diagonal", "stepper": tme.Rosenbrock2()})
    found["direct"] = (build(line), {"solver": "direct"})
    found["ring"] = (build(line, periodic=True), {})
    found["torus"] = (build(plane, periodic=True), {})
    found["torus, fast"] = (build(plane, uneven=False, periodic=True), {"stepper": tme.Rosenbrock2()})
    found["mask"] = (build(uneven, mask=True), {})
    found["taxis"] = (build(plane, drift=True), {})
    found["balance"] = (build(plane, kind="quasi_steady"), {})
    found["observables, rows"] = (build(plane), {"save": [0.1, 0.3, 0.5]})
    return found


def compare_batch(devices):
    """Five members on all devices against one after the other."""
    import tmepde as tme

    base = build((12, 10))
    rates = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    start = np.asarray(base.model.species["u"].initial)
    members = [base.replace("model.species.u.initial", r * start) for r in rates]
    many = tme.simulate_batch(members, precision="f64", devices=devices)
    with jax.default_device(jax.local_devices()[0]):
        ones = [tme.simulate(m, precision="f64") for m in members]
    worst = max(
        np.max(np.abs(a.fields[n] - b.fields[n])) / np.max(np.abs(a.fields[n]))
        for a, b in zip(ones, many, strict=True)
        for n in a.fields
    )
    steps = [[int(s.statistics["steps"]) for s in runs] for runs in (ones, many)]
    return {"difference": float(worst), "steps": steps}


def main(which, *rest):
    jax.config.update("jax_enable_x64", True)
    if which == "process":
        address, count, rank = rest
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, int(count), int(rank))
        chosen = {k: v for k, v in cases("quick").items() if k != "line"}
    else:
        chosen = cases(which)
    from tmepde import layout

    layout.GATHERED = 64  # so that coarse levels of these small grids lie in parts too
    found = {}
    for name, (scenario, options) in chosen.items():
        found[name] = compare(scenario, "all", **options)
        print(name, found[name], file=sys.stderr, flush=True)
    print(json.dumps({**found, "batch": compare_batch("all")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
