"""Grids that a config can say: bodies of revolution, and tissue that an ellipsoid cuts out of a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tmepde import config
from tmepde.config.build import grid_of

RUN = '[run]\nuntil = "6 hour"\nsave = { every = "3 hour" }\n'


def loaded(grid: str, tissue: str = "") -> Any:
    return config.loads(f"schema = 1\n[grid]\n{grid}\n{tissue}\n{RUN}")


def refused(grid: str, tissue: str = "") -> str:
    with pytest.raises(config.ConfigError) as caught:
        loaded(grid, tissue).build()
    return str(caught.value)


CYLINDER = 'kind = "axisymmetric"\nheight = "600 um"\nradius = "200 um"\ncells = [12, 8]\n'


DISH = 'extent = ["100 um", "120 um"]\ncells = [10, 12]\n'


def test_a_body_of_revolution_has_its_volume_its_axis_and_its_nodule() -> None:
    build = loaded(CYLINDER, '[tissue]\nkind = "nodule"\nradius = "150 um"\ncenter = ["200 um", "0 um"]').build()
    grid, region = build.region.grid, build.region
    assert grid.axes == ("z", "r") and grid.shape == (12, 8)
    assert float(grid.volumes().sum()) == pytest.approx(np.pi * 200.0**2 * 600.0, rel=1e-12)
    z, r = grid.coordinates()
    assert np.array_equal(region.tumour == 1, np.hypot(z - 200, r) - 150 <= -0.5 * np.sqrt(50 * 25))
    assert loaded(CYLINDER + "periodic = true").build().scenario.model.grid.periodic == (True, False)


@pytest.mark.parametrize("symmetry", ["slab", "cylinder", "sphere"])
def test_a_nodule_on_a_radial_axis_begins_at_its_start(symmetry: str) -> None:
    """That of a slab lay in the middle of its axis."""
    radial = f'kind = "radial"\nradius = "400 um"\ncells = 8\nsymmetry = "{symmetry}"'
    region = loaded(radial, '[tissue]\nkind = "nodule"\nradius = "150 um"').build().region
    assert np.array_equal(region.tumour, [1, 1, 1, 0, 0, 0, 0, 0])


def test_a_cut_box_has_the_volume_of_the_ellipsoid() -> None:
    """Polygons between nodes err by (cell/radius)²/6, a tenth of a per cent here."""
    box = 'extent = ["200 um", "400 um"]\ncells = [20, 40]\n'
    disc = loaded(box + 'cut = { radius = "90 um", center = ["100 um", "150 um"] }').build().region.grid
    ellipse = loaded(box + 'cut = { radius = ["90 um", "180 um"] }').build().region.grid
    ball = loaded(CYLINDER + 'cut = { radius = "190 um" }').build().region.grid
    assert float(disc.volumes().sum()) == pytest.approx(np.pi * 90.0**2, rel=4e-3)
    assert float(ellipse.volumes().sum()) == pytest.approx(np.pi * 90.0 * 180.0, rel=4e-3)
    assert float(ball.volumes().sum()) == pytest.approx(4 / 3 * np.pi * 190.0**3, rel=3e-2)  # cells of 50 µm
    assert not np.asarray(disc.mask)[:, -1].any()


@pytest.mark.parametrize("radii", [("30 um", "20 um"), ("20 um", "20 um", "25 um"), ("10 um", "15 um", "20 um")])
def test_a_cut_body_of_few_cells_is_warned_of_with_what_it_loses(radii: tuple[str, ...]) -> None:
    """The share that is told is of the first order in (cell/radius)²; the next is a tenth of it here."""
    said = f"extent = {['100 um'] * len(radii)}\ncells = {[10] * len(radii)}\ncut = {{ radius = {list(radii)} }}"
    made = loaded(said.replace("'", '"'))
    told = next(text for text in made.warnings if "grid.cut" in text)
    volume = float(grid_of(made.grid).volumes().sum())
    axes = np.prod([float(r.split()[0]) for r in radii])
    lost = 100 * (1 - volume / ({2: np.pi, 3: 4 / 3 * np.pi}[len(radii)] * axes))
    assert float(told.split("about ")[1].split(" %")[0]) == pytest.approx(lost, rel=0.1)


@pytest.mark.parametrize(
    ("grid", "warned"),
    [
        (DISH + 'cut = { radius = "31 um" }', False),
        (DISH + 'cut = { radius = ["1 m", "20 um"] }', True),  # how much of it lies in the grid is not worked out
        (CYLINDER + 'cut = { radius = "90 um" }', True),
        ('extent = ["90 um"]\ncells = [9]\ncut = { radius = "10 um" }', False),  # the ends of an interval are exact
        ('extent = ["90 um"]\ncells = [1]\ncut = { radius = "50 um" }', False),  # nothing is cut
    ],
)
def test_a_cut_body_is_warned_of_where_it_has_an_edge_of_few_cells(grid: str, warned: bool) -> None:
    told = [text for text in loaded(grid).warnings if "grid.cut" in text]
    assert len(told) == warned and not any("%" in text for text in told)


def test_a_resolved_config_says_the_same_grid() -> None:
    grid = CYLINDER + 'inner = "10 um"\ncut = { radius = ["250 um", "150 um"] }'
    made = loaded(grid)
    again = config.loads(made.toml()).build().region.grid
    assert np.array_equal(made.build().region.grid.volumes(), again.volumes())


@pytest.mark.parametrize(
    ("grid", "tissue", "said"),
    [
        (CYLINDER.replace("[12, 8]", "[12]"), "", "must be two numbers (z, r)"),
        (CYLINDER + 'inner = "300 um"', "", "must be less than radius"),
        (CYLINDER.replace("12", "1" + "0" * 400), "", "`grid.cells[0]` must be less than or equal to 1000000000"),
        ('kind = "radial"\nradius = "1 mm"\ncells = 1' + "0" * 400, "", "`grid.cells` must be less than or equal to"),
        (CYLINDER + 'cut = { radius = ["1 um"] }', "", "must have 2 entries of radius"),
        (CYLINDER + 'cut = { radius = "90 um", center = ["700 um", "0 um"] }', "", "z = 700 um does not lie there"),
        (CYLINDER + 'cut = { radius = "49 um" }', "", "at least one cell along z (50 um), but 49 um was given"),
        (
            DISH + 'cut = { radius = ["45 um", "4.2 um"] }',
            "",
            "at least one cell along x (10 um), but 4.2 um was given",
        ),
        ('extent = ["90 um"]\ncells = [1]\ncut = { radius = "40 um" }', "", "one cell along x (90 um)"),
        (CYLINDER, '[tissue]\nkind = "nodule"\nradius = "9 um"\ncenter = ["9 um", "9 um"]', "must lie on the axis"),
        (CYLINDER, '[model.species.oxygen.boundary]\ny = { kind = "no_flux" }', "no side of this grid"),
    ],
)
def test_what_is_no_such_grid_is_refused(grid: str, tissue: str, said: str) -> None:
    assert said in refused(grid, tissue)
