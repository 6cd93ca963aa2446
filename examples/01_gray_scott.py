"""How does a spot of an autocatalyst divide, and what must be true of any pattern that it leaves behind?

    ∂U/∂t = D_U ∇²U − U V² + F (1 − U)          ∂V/∂t = D_V ∇²V + U V² − (F + k) V

Pearson, Science 261:189 (1993), D_U = 0.2, D_V = 0.1 per unit cell and time; F and k in the region of dividing spots.
Numbers: one spot becomes four after two divisions. Integrating the sum of both equations over a box without openings,
what is fed equals what is removed once nothing moves: (F + k)⟨V⟩ / (F (1 − ⟨U⟩)) = 1.
"""

import numpy as np

import tmepde as tme

F, K, SIZE = 0.0367, 0.0649, 64.0
grid = tme.Grid.square(SIZE, cells=64)
y, x = grid.coordinates()
spot = np.exp(-((x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2) / 3**2)


def kinetics(clock, state, tissue, feed, kill):
    u, v = state["U"], state["V"]
    return {"U.source": feed, "U.loss": feed + v**2, "V.source": u * v**2, "V.loss": feed + kill}


def main(figure=None):
    species = {
        "U": tme.Species(initial=1.0 - 0.6 * spot, diffusivity=0.2),
        "V": tme.Species(initial=0.5 * spot, diffusivity=0.1),
    }
    model = tme.Model(grid, species, {"kinetics": tme.process(kinetics, feed=F, kill=K)})
    solution = tme.simulate(tme.Scenario(model, until=6000.0), save=tme.every(500.0))
    print(solution, [peaks(v) for v in solution.fields["V"]], solution.wall_time, solution.compile_time)
    u, v = solution.fields["U"][-1], solution.fields["V"][-1]
    print([(F+K)*v.mean()/(F*(1-u.mean())) for u,v in zip(solution.fields["U"],solution.fields["V"])])
    import matplotlib.pyplot as plt
    fig,ax=plt.subplots(1,len(solution.times),figsize=(26,3))
    for a,t,v in zip(ax,solution.times,solution.fields["V"]): a.imshow(v);a.set_title(t)
    fig.savefig("/tmp/team/gs.png")
def peaks(v):
    inner = v[1:-1, 1:-1]
    higher = [inner >= v[1 + i : v.shape[0] - 1 + i, 1 + j : v.shape[1] - 1 + j] for i in (-1,0,1) for j in (-1,0,1) if i or j]
    return int(np.sum(np.all(higher, axis=0) & (inner > 0.1)))
if __name__ == "__main__":
    main()
