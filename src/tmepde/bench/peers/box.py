"""w1 and w2 by others: Devito and JAX by explicit steps, scipy and jax-cfd by their transforms, py-pde."""

from __future__ import annotations

import numpy as np

from tmepde.bench.peers import Job, Result, clocked, extrapolated
from tmepde.bench.problems import DT_BOX, WIDTH, box, box_exact
from tmepde.bench.turns import turns

_STEPS = round(1.0 / DT_BOX)


def devito(n: int, job: Job) -> Result:
    """Explicit Euler in float32, all fields in one operator, halos mirrored."""
    import devito as dv

    from tmepde.bench.peers import devito_tools as tools

    problem = box(n, job.fields)
    grid = dv.Grid(shape=(n,) * 3, extent=(float(n - 1),) * 3, dtype=np.float32)
    source = tools.on(grid, "s", problem.source, time_steps=False)
    fields, updates, sides = [], [], []
    for i, (d, decay) in enumerate(zip(problem.diffusivity, problem.decay, strict=True)):
        u = tools.on(grid, f"u{i}", problem.initial)
        spread = sum(a + b for a, b in (tools.neighbours(u, k) for k in range(3))) - 6.0 * u
        updates.append(dv.Eq(u.forward, u + DT_BOX * (d / WIDTH**2 * spread - decay * u + source)))
        sides += tools.mirrored(u)
        fields.append(u)
    operator = dv.Operator(updates + sides)

    def reset() -> None:
        for u in fields:
            u.data[:] = problem.initial
            tools.fill_halo(u)

    reset()
    steps = job.timed(_STEPS, _STEPS)
    wall, compile_s = tools.run(operator, reset, steps, job.repeats)
    wall, note = extrapolated(wall, steps, _STEPS)
    found = np.stack([np.array(u.data[steps % 2]) for u in fields]) if steps == _STEPS else None
    return Result(wall, found, f"explicit, float32, {note}", compile_s)


def scipy_fft(n: int, job: Job) -> Result:
    """Exact in time by three cosine transforms of scipy.fft in float32 (only for a uniform D and λ)."""
    box(n, job.fields)  # the fields themselves are not timed
    wall, found = clocked(lambda: box_exact(n, job.fields, dtype=np.float32), job.repeats)
    return Result(wall, found, "exact in time, float32, one step; the rates of the modes are computed in the clock")


def jax_cfd(n: int, job: Job) -> Result:
    """jax-cfd's fast diagonalisation in float32: exp(tA) u + (e^(tA) − 1)/A s, one exact step."""
    import jax
    import jax.numpy as jnp
    from jax_cfd.base import fast_diagonalization

    problem = box(n, job.fields)
    line = np.diag(np.full(n - 1, 1.0), 1) + np.diag(np.full(n - 1, 1.0), -1)
    line = (line - np.diag(line.sum(0))) / WIDTH**2
    steps = []
    for d, decay in zip(problem.diffusivity, problem.decay, strict=True):

        def transform(function):  # type: ignore[no-untyped-def]
            return fast_diagonalization.transform(
                function,
                [d * line] * 3,  # noqa: B023
                dtype=np.float32,
                hermitian=True,
                circulant=False,
                implementation="matmul",
            )

        keep = transform(lambda v, c=decay: np.exp(v - c))
        gain = transform(lambda v, c=decay: np.expm1(v - c) / (v - c))
        steps.append((keep, gain))
    u, s = jnp.asarray(problem.initial, jnp.float32), jnp.asarray(problem.source, jnp.float32)
    with jax.default_matmul_precision("highest"):
        began, program = clocked(
            lambda: jax.jit(lambda u, s: jnp.stack([a(u) + b(s) for a, b in steps])).lower(u, s).compile(), 1
        )
    wall, found = clocked(lambda: program(u, s).block_until_ready(), max(job.repeats, 2))
    note = "exact in time, float32, one step; eigenvectors are computed outside the clock"
    return Result(wall, np.asarray(found), note, began)


def jax_by_hand(n: int, job: Job) -> Result:
    """The explicit step as one would write it in JAX: pad, slices, a loop in one program."""
    import jax
    import jax.numpy as jnp

    problem = box(n, job.fields)
    d = jnp.asarray(problem.diffusivity[:, None, None, None] / WIDTH**2, jnp.float32)
    decay = jnp.asarray(problem.decay[:, None, None, None], jnp.float32)
    source = jnp.asarray(problem.source, jnp.float32)
    start = jnp.broadcast_to(jnp.asarray(problem.initial, jnp.float32), (job.fields, n, n, n))

    def step(_, u):  # type: ignore[no-untyped-def]
        p = jnp.pad(u, [(0, 0)] + [(1, 1)] * 3, mode="edge")
        spread = -6.0 * u
        for k in (1, 2, 3):
            for shift in (0, 2):
                cut = tuple(slice(shift, shift + n) if j == k else slice(1, n + 1) for j in (1, 2, 3))
                spread = spread + p[(slice(None), *cut)]
        return u + jnp.float32(DT_BOX) * (d * spread - decay * u + source)

    steps = job.timed(_STEPS, _STEPS)
    compile_s, program = clocked(
        lambda: jax.jit(lambda u: jax.lax.fori_loop(0, steps, step, u)).lower(start).compile(), 1
    )
    wall, found = clocked(lambda: program(start).block_until_ready(), job.repeats)
    wall, note = extrapolated(wall, steps, _STEPS)
    return Result(wall, np.asarray(found) if steps == _STEPS else None, f"explicit, float32, {note}", compile_s)


def py_pde(n: int, job: Job) -> Result:
    """py-pde's explicit Euler stepper, compiled by numba, float64."""
    import pde

    problem = box(n, job.fields)
    grid = pde.CartesianGrid([[0.0, n * WIDTH]] * 3, [n] * 3)
    consts = {"s": pde.ScalarField(grid, problem.source), "d": problem.diffusivity[0], "c": problem.decay[0]}
    equation = pde.PDE({"u": "d * laplace(u) - c * u + s"}, bc={"derivative": 0}, consts=consts)
    steps = job.timed(_STEPS, 100)
    wall, found, compile_s = explicit_pde(equation, pde.ScalarField(grid, problem.initial), DT_BOX, steps, job)
    wall, note = extrapolated(wall, steps, _STEPS)
    return Result(wall, found.data[None] if steps == _STEPS else None, f"explicit, float64, {note}", compile_s)


def explicit_pde(equation, state, dt, steps, job):  # type: ignore[no-untyped-def]
    """Seconds of ``steps`` compiled steps of py-pde, the state after them, and the seconds of the compiler."""
    import pde

    solver = pde.EulerSolver(equation) if hasattr(pde, "EulerSolver") else pde.ExplicitSolver(equation)

    def prepare():  # type: ignore[no-untyped-def]
        stepper = solver.make_stepper(state, dt)
        stepper(state.copy(), 0.0, 2 * dt)
        return stepper

    compile_s, stepper = clocked(prepare, 1)
    best = float("inf")
    for _ in turns(job.repeats):
        found = state.copy()
        took, _ = clocked(lambda: stepper(found, 0.0, steps * dt), 1)  # noqa: B023
        best = min(best, took)
    return best, found, compile_s
