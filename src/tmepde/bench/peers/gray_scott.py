"""w3 by others: explicit Euler steps of 1 on n² cells, ``job.steps`` of them."""

from __future__ import annotations

import numpy as np

from tmepde.bench.peers import Job, Result, clocked, extrapolated
from tmepde.bench.problems import gray_scott, gray_scott_steps


def devito(n: int, job: Job) -> Result:
    """Float32, both fields in one operator, halos mirrored."""
    import devito as dv

    from tmepde.bench.peers import devito_tools as tools

    g = gray_scott(n)
    grid = dv.Grid(shape=(n, n), extent=(float(n - 1),) * 2, dtype=np.float32)
    u, v = tools.on(grid, "u", g.u), tools.on(grid, "v", g.v)

    def spread(f):  # type: ignore[no-untyped-def]
        return sum(a + b for a, b in (tools.neighbours(f, k) for k in range(2))) - 4.0 * f

    reaction = u * v * v
    updates = [
        dv.Eq(u.forward, u + g.du * spread(u) - reaction + g.feed * (1.0 - u)),
        dv.Eq(v.forward, v + g.dv * spread(v) + reaction - (g.feed + g.kill) * v),
    ]
    operator = dv.Operator(updates + tools.mirrored(u) + tools.mirrored(v))

    def reset() -> None:
        for f, values in ((u, g.u), (v, g.v)):
            f.data[:] = values
            tools.fill_halo(f)

    reset()
    wall, compile_s = tools.run(operator, reset, job.steps, job.repeats)
    found = np.stack([np.array(f.data[job.steps % 2]) for f in (u, v)])
    return Result(wall, found, "float32", compile_s)


def by_numpy(n: int, job: Job) -> Result:
    """Float32 slices of padded arrays; a tenth of the steps timed."""
    steps = job.timed(job.steps, max(10, job.steps // 10))
    wall, found = clocked(lambda: gray_scott_steps(n, steps, np.float32), 2)
    wall, note = extrapolated(wall, steps, job.steps)
    return Result(wall, found if steps == job.steps else None, f"float32, {note}")


def _tendency(n: int):  # type: ignore[no-untyped-def]
    import jax.numpy as jnp

    g = gray_scott(n)
    diffusivity = jnp.asarray([g.du, g.dv], jnp.float32)[:, None, None]

    def tendency(y):  # type: ignore[no-untyped-def]
        p = jnp.pad(y, ((0, 0), (1, 1), (1, 1)), mode="edge")
        spread = p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:] - 4.0 * y
        u, v = y
        reaction = u * v * v
        change = jnp.stack([g.feed * (1.0 - u) - reaction, reaction - (g.feed + g.kill) * v])
        return diffusivity * spread + change

    return tendency, jnp.asarray(np.stack([g.u, g.v]), jnp.float32)


def jax_by_hand(n: int, job: Job) -> Result:
    """As one would write it in JAX: pad, slices, a loop in one program."""
    import jax

    tendency, start = _tendency(n)
    loop = jax.jit(lambda y: jax.lax.fori_loop(0, job.steps, lambda _, y: y + tendency(y), y))
    compile_s, program = clocked(lambda: loop.lower(start).compile(), 1)
    wall, found = clocked(lambda: program(start).block_until_ready(), job.repeats)
    return Result(wall, np.asarray(found), "float32", compile_s)


def diffrax(n: int, job: Job) -> Result:
    """diffrax.Euler with fixed steps."""
    import diffrax as dfx
    import jax

    tendency, start = _tendency(n)
    term = dfx.ODETerm(lambda t, y, args: tendency(y))

    def solve(y):  # type: ignore[no-untyped-def]
        end = float(job.steps)
        run = dfx.diffeqsolve(term, dfx.Euler(), 0.0, end, 1.0, y, max_steps=job.steps + 8, adjoint=dfx.ForwardMode())
        return run.ys[0]

    compile_s, program = clocked(lambda: jax.jit(solve).lower(start).compile(), 1)
    wall, found = clocked(lambda: program(start).block_until_ready(), job.repeats)
    return Result(wall, np.asarray(found), "float32, Euler", compile_s)


def py_pde(n: int, job: Job) -> Result:
    """py-pde's explicit Euler stepper, compiled by numba, float64; a tenth of the steps timed."""
    import pde

    from tmepde.bench.peers.box import explicit_pde

    g = gray_scott(n)
    grid = pde.CartesianGrid([[0.0, float(n)]] * 2, [n] * 2)
    text = {
        "u": "du * laplace(u) - u * v**2 + f * (1 - u)",
        "v": "dv * laplace(v) + u * v**2 - (f + k) * v",
    }
    consts = {"du": g.du, "dv": g.dv, "f": g.feed, "k": g.kill}
    equation = pde.PDE(text, bc={"derivative": 0}, consts=consts)
    state = pde.FieldCollection([pde.ScalarField(grid, g.u), pde.ScalarField(grid, g.v)])
    steps = job.timed(job.steps, max(10, job.steps // 10))
    wall, found, compile_s = explicit_pde(equation, state, 1.0, steps, job)
    wall, note = extrapolated(wall, steps, job.steps)
    return Result(wall, found.data if steps == job.steps else None, f"float64, {note}", compile_s)
