"""w4 by others: sixty minutes of oxygen. Explicit programs take 96,000 steps of 6.25e-4 min."""

from __future__ import annotations

import numpy as np

from tmepde.bench.peers import Job, Result, clocked, extrapolated
from tmepde.bench.problems import DT, TIMES, WIDTH, face_rates, oxygen

_STEPS = round(TIMES[-1] / DT)


def devito(n: int, job: Job) -> Result:
    """Explicit Euler in float32 with face coefficients of the user's own."""
    return explicit_devito(n, job, np.float32)


def devito_float64(n: int, job: Job) -> Result:
    """The same in float64: the reference of this workload."""
    return explicit_devito(n, job, np.float64)


def explicit_devito(n: int, job: Job, dtype: type) -> Result:
    """The explicit program in either precision."""
    import devito as dv

    from tmepde.bench.peers import devito_tools as tools

    problem = oxygen(n)
    grid = dv.Grid(shape=(n,) * 3, extent=(float(n - 1),) * 3, dtype=dtype)
    u = tools.on(grid, "u", np.full((n,) * 3, 38.0))
    supply = tools.on(grid, "s", DT * problem.supply, time_steps=False)
    uptake = tools.on(grid, "v", DT * problem.uptake, time_steps=False)
    total = 0.0
    for k, rate in enumerate(face_rates(problem.diffusivity)):
        # entry i holds the face below cell i; the one below cell 0 and, in the halo, that above the last are closed
        lower = np.insert(DT * rate, 0, 0.0, axis=k)
        g = tools.on(grid, f"g{'xyz'[k]}", lower, time_steps=False)
        above = [d + 1 if j == k else d for j, d in enumerate(grid.dimensions)]
        low, high = tools.neighbours(u, k)
        total = total + g * (low - u) + g[tuple(above)] * (high - u)
    operator = dv.Operator([dv.Eq(u.forward, u + total + supply * (38.0 - u) - uptake * u / (2.5 + u))])

    def reset() -> None:
        u.data[:] = 38.0

    reset()
    steps = job.timed(_STEPS, 2000)
    if steps < _STEPS:
        wall, compile_s = tools.run(operator, reset, steps, job.repeats)
        wall, note = extrapolated(wall, steps, _STEPS)
        return Result(wall, None, f"explicit, {np.dtype(dtype).name}, {note}", compile_s)
    _, compile_s = tools.run(operator, reset, 1, 1)
    kept, wall, done = [], 0.0, 0
    reset()
    for t in TIMES:
        until = round(t / DT)
        took, _ = clocked(lambda: operator.apply(time_m=done, time_M=until - 1), 1)  # noqa: B023
        wall, done = wall + took, until
        kept.append(np.array(u.data[until % 2]))
    return Result(wall, np.stack(kept), f"explicit, {np.dtype(dtype).name}, {_STEPS} steps", compile_s)


def scipy_cg(n: int, job: Job) -> Result:
    """Twenty lines of scipy: implicit Euler of 0.125 min, uptake rate lagged, Jacobi-CG to 1e-6, float64."""
    dt = 1.0 if job.quick else 0.125
    wall, found = clocked(lambda: _implicit(n, dt), 1)
    return Result(wall, found, f"implicit Euler, steps of {dt:g} min, float64")


def _implicit(n: int, dt: float) -> np.ndarray:
    import scipy.sparse as sp
    from scipy.sparse.linalg import cg

    problem = oxygen(n)
    index, total = np.arange(n**3).reshape((n,) * 3), sp.csr_matrix((n**3,) * 2)
    for k, rate in enumerate(face_rates(problem.diffusivity)):
        a, b = (np.take(index, range(*r), axis=k).ravel() for r in ((0, n - 1), (1, n)))
        g = rate.ravel()
        total = total + sp.coo_matrix((np.r_[g, g, -g, -g], (np.r_[a, b, a, b], np.r_[a, b, b, a])), total.shape)
    u, kept = np.full(n**3, 38.0), []
    V, S = problem.uptake.ravel(), problem.supply.ravel()
    for step in range(1, round(TIMES[-1] / dt) + 1):
        rate = 1 / dt + S + V / (2.5 + u)
        matrix = (total + sp.diags_array(rate)).tocsr()
        u, _ = cg(matrix, u / dt + S * 38.0, x0=u, rtol=1e-6, M=sp.diags_array(1 / matrix.diagonal()))
        if step * dt in TIMES:
            kept.append(u.reshape((n,) * 3))
    return np.stack(kept)


def jax_by_hand(n: int, job: Job) -> Result:
    """Explicit Euler in float32 as one would write it in JAX: one padded state, slices, face arrays."""
    import jax
    import jax.numpy as jnp

    problem = oxygen(n)
    faces = []
    for k, rate in enumerate(face_rates(problem.diffusivity)):
        wide = np.pad(DT * rate, [(1, 1) if j == k else (0, 0) for j in range(3)])
        faces.append(jnp.asarray(wide, jnp.float32))
    S, V = (jnp.asarray(DT * a, jnp.float32) for a in (problem.supply, problem.uptake))

    def step(_, u):  # type: ignore[no-untyped-def]
        new = u + S * (38.0 - u) - V * u / (2.5 + u)
        for k, phi in enumerate(faces):
            p = jnp.pad(u, [(1, 1) if j == k else (0, 0) for j in range(3)])
            cut = lambda a, i, m: jax.lax.slice_in_dim(a, i, i + m, axis=k)  # noqa: B023, E731
            new = new + cut(phi, 0, n) * (cut(p, 0, n) - u) + cut(phi, 1, n) * (cut(p, 2, n) - u)
        return new

    start = jnp.full((n,) * 3, 38.0, jnp.float32)
    steps = job.timed(_STEPS, 2000)
    loop = jax.jit(lambda u, m: jax.lax.fori_loop(0, m, step, u))
    compile_s, program = clocked(lambda: loop.lower(start, 1).compile(), 1)
    if steps < _STEPS:
        wall, _ = clocked(lambda: program(start, steps).block_until_ready(), job.repeats)
        wall, note = extrapolated(wall, steps, _STEPS)
        return Result(wall, None, f"explicit, float32, {note}", compile_s)
    kept, u, wall, done = [], start, 0.0, 0
    for t in TIMES:
        count = round(t / DT) - done
        took, u = clocked(lambda: program(u, count).block_until_ready(), 1)  # noqa: B023
        wall, done = wall + took, done + count
        kept.append(np.asarray(u))
    return Result(wall, np.stack(kept), f"explicit, float32, {_STEPS} steps", compile_s)


def fipy(n: int, job: Job) -> Result:
    """FiPy's implicit terms in steps of 0.125 min with scipy's solvers, one sweep a step."""
    from fipy import CellVariable, DiffusionTerm, Grid3D, ImplicitSourceTerm, TransientTerm
    from fipy.solvers.scipy import LinearPCGSolver

    problem, dt, total = oxygen(n), 0.125, 480
    mesh = Grid3D(nx=n, ny=n, nz=n, dx=WIDTH, dy=WIDTH, dz=WIDTH)
    as_cells = [np.transpose(a).ravel(order="C") for a in problem]  # FiPy counts x fastest
    d, V, S = (CellVariable(mesh=mesh, value=a) for a in as_cells)
    u = CellVariable(mesh=mesh, value=38.0, hasOld=True)
    rate = S + V / (2.5 + u.old)
    equation = TransientTerm() == DiffusionTerm(coeff=d.harmonicFaceValue) + S * 38.0 - ImplicitSourceTerm(coeff=rate)
    solver = LinearPCGSolver(tolerance=1e-6, iterations=1000)

    def steps(count):  # type: ignore[no-untyped-def]
        for _ in range(count):
            u.updateOld()
            equation.solve(var=u, dt=dt, solver=solver)

    compile_s, _ = clocked(lambda: steps(1), 1)
    u.setValue(38.0)
    count = total if job.full else 3
    if count < total:
        wall, _ = clocked(lambda: steps(count), 1)
        wall, note = extrapolated(wall, count, total)
        return Result(wall, None, f"implicit Euler, float64, {note}", compile_s)
    kept, wall, done = [], 0.0, 0
    for t in TIMES:
        until = round(t / dt)
        took, _ = clocked(lambda: steps(until - done), 1)  # noqa: B023
        wall, done = wall + took, until
        kept.append(np.transpose(np.array(u.value).reshape((n,) * 3)))
    return Result(wall, np.stack(kept), f"implicit Euler, float64, {total} steps", compile_s)


def py_pde(n: int, job: Job) -> Result:
    """py-pde: ∇·(D∇u) as D∇²u + ∇D·∇u, explicit Euler compiled by numba, float64; a different discretisation."""
    import pde

    from tmepde.bench.peers.box import explicit_pde

    problem = oxygen(n)
    grid = pde.CartesianGrid([[0.0, n * WIDTH]] * 3, [n] * 3)
    consts = {k: pde.ScalarField(grid, a) for k, a in zip("dws", problem, strict=True)}
    text = "d * laplace(u) + inner(gradient(d), gradient(u)) + s * (38 - u) - w * u / (2.5 + u)"
    equation = pde.PDE({"u": text}, bc={"derivative": 0}, consts=consts)
    steps = job.timed(_STEPS, 30)
    state = pde.ScalarField(grid, np.full((n,) * 3, 38.0))
    wall, _, compile_s = explicit_pde(equation, state, DT, steps, job)
    wall, note = extrapolated(wall, steps, _STEPS)
    return Result(wall, None, f"explicit, float64, {note}; D∇²u + ∇D·∇u, not conservative, so no error", compile_s)
