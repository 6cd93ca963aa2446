"""Regions: shapes, labels, distances; on every kind of grid."""

import jax
import numpy as np
import pytest

from tmepde.grid import Grid
from tmepde.region import Region
from tmepde.region.distance import signed_distance

GRIDS = {
    "line": Grid.line(400.0, 40),
    "square": Grid.square(400.0, 40),
    "cube": Grid.cube(400.0, 20),
    "sphere": Grid.radial(400.0, 40),
    "cylinder": Grid.radial(400.0, 40, symmetry="cylinder"),
}
MEASURE = {
    "line": 200.0,
    "square": np.pi * 1e4,
    "cube": 4e6 / 3 * np.pi,
    "sphere": 4e6 / 3 * np.pi,
    "cylinder": np.pi * 1e4,
}


@pytest.mark.parametrize("name", GRIDS)
def test_nodule_has_the_volume_of_a_ball(name):
    grid = GRIDS[name]
    region = Region.nodule(grid, radius=100.0)
    volume = float(np.sum(np.asarray(grid.volumes()) * region.tumour))
    relative_width = 400.0 / grid.shape[0] / 100.0  # the margin is smeared over one cell: an error of second order
    assert volume == pytest.approx(MEASURE[name], rel=0.5 * relative_width**2 + 1e-12)
    assert np.allclose(region.tumour + region.stroma, 1.0)
    assert region.margin_distance[region.tumour > 0.99].max() < 0 < region.margin_distance[region.tumour < 0.01].min()


@pytest.mark.filterwarnings("ignore:`radius` is")
@pytest.mark.parametrize("radius", [1.0, 10.0, 60.0, 75.0, 100.0, 320.0])
@pytest.mark.parametrize(("symmetry", "inner"), [("sphere", 0.0), ("sphere", 0.5), ("cylinder", 0.0), ("line", 0.0)])
def test_a_nodule_on_one_axis_has_its_exact_volume_whatever_its_radius(symmetry, inner, radius):
    """Cells got their share of length: a ball of 1 µm filled 2 % of a cell of 50 µm, 2500 times too much."""
    grid = Grid.line(800.0, 17) if symmetry == "line" else Grid.radial(800.0, 16, symmetry, inner)
    exact = {"sphere": 4 / 3 * np.pi * (radius**3 - inner**3), "cylinder": np.pi * radius**2, "line": 2 * radius}
    volume = np.sum(np.asarray(grid.volumes()) * Region.nodule(grid, radius).tumour)
    assert volume == pytest.approx(exact[symmetry], rel=1e-10)


@pytest.mark.parametrize("name", GRIDS)
def test_a_nodule_of_less_than_a_cell_is_warned_of(name, recwarn):
    width = 400.0 / GRIDS[name].shape[0]
    Region.nodule(GRIDS[name], radius=width)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=f"`radius` is {0.9 * width:g} µm, less than a cell of {width:g} µm"):
        Region.nodule(GRIDS[name], radius=0.9 * width)


@pytest.mark.parametrize("name", GRIDS)
def test_uniform_is_tumour_everywhere_and_has_no_margin(name):
    region = Region.uniform(GRIDS[name])
    assert np.all(region.tumour == 1) and np.all(region.stroma == 0) and np.all(region.vessels == 1)
    assert np.all(region.margin_distance <= -400.0)


def test_arrays_are_float64_on_the_host():
    region = Region.nodule(GRIDS["square"], radius=50.0)
    for leaf in (region.tumour, region.stroma, region.vessels, region.nuclei, region.margin_distance):
        assert isinstance(leaf, np.ndarray) and leaf.dtype == np.float64
    assert jax.tree.structure(jax.tree.map(lambda x: x, region)) == jax.tree.structure(region)
    assert "tumour nests" in repr(region)


def test_nodule_respects_mask_and_center():
    mask = np.ones((40, 40), bool)
    mask[:, :10] = False
    region = Region.nodule(Grid.square(400.0, 40, mask=mask), radius=60.0, center=(100.0, 300.0))
    assert np.all(region.tumour[~mask] == 0) and np.all(region.stroma[~mask] == 0)
    assert region.tumour[9, 30] == 1 and region.tumour[30, 9] == 0


@pytest.mark.parametrize("name", ["line", "square", "cube"])
def test_labels_give_the_same_region_as_the_shape(name):
    grid = GRIDS[name]
    nodule = Region.nodule(grid, radius=110.0)
    region = Region.from_labels(grid, (nodule.tumour > 0.5).astype(int) + 1, {"tumour": 2, "stroma": 1})
    width = 400.0 / grid.shape[0]
    assert np.abs(region.margin_distance - nodule.margin_distance).max() < width
    assert region.vessels[region.stroma > 0].mean() == pytest.approx(1.0)
    assert not region.vessels[region.tumour > 0].any()


def test_other_labels_are_masked_out_and_vessels_count_as_vascular_stroma():
    labels = np.ones((40, 40), int)
    labels[:20], labels[30, 30], labels[:, :3] = 2, 3, 0
    region = Region.from_labels(GRIDS["square"], labels, {"tumour": 2, "stroma": 1, "vessel": 3})
    assert not np.asarray(region.grid.mask)[:, :3].any()
    assert region.vessels[30, 30] == pytest.approx(4 * region.vessels[30, 20])


@pytest.mark.parametrize("unequal", [False, True])
def test_distance_is_exact_to_half_a_cell_on_unequal_cells_too(unequal):
    widths = np.where(np.arange(40) % 2 == 0, 5.0, 15.0) if unequal else np.full(40, 10.0)
    centers = np.cumsum(widths) - widths / 2
    inside = np.broadcast_to(centers[:, None] < 200.0, (40, 40))
    distance = signed_distance(inside, ~inside, [centers, centers])
    assert np.abs(distance - (centers[:, None] - 200.0)).max() <= 7.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda g: Region.nodule(g, radius=-1.0), "must be positive"),
        (lambda g: Region.nodule(g, radius=np.nan), "must be finite"),
        (lambda g: Region.nodule(g, radius=0.1, center=(0.0, 0.0)), "reach a cell"),
        (lambda g: Region.nodule(g, radius=50.0, center=(1.0,)), "one per axis"),
        (lambda g: Region.nodule(g, radius=50.0, center=(1.0, 900.0)), "in the domain"),
        (lambda g: Region.nodule(Grid.radial(10.0, 4), radius=5.0, center=(0.0,)), "no meaning"),
        (lambda g: Region.from_labels(g, np.ones((3, 3), int), {"tumour": 1}), "grid's shape"),
        (lambda g: Region.from_labels(g, np.ones((40, 40)), {"tumour": 1}), "integers"),
        (lambda g: Region.from_labels(g, np.ones((40, 40), int), {"tumor": 1}), "must name the labels"),
        (lambda g: Region.from_labels(g, np.ones((40, 40), int), {"tumour": 5}), "contain tissue"),
    ],
)
def test_bad_arguments_are_explained(make, words):
    with pytest.raises(ValueError, match=words):
        make(GRIDS["square"])


def test_arrays_must_fit_the_grid_and_be_finite():
    good = np.ones((4,))
    grid = Grid.line(4.0, 4)
    with pytest.raises(ValueError, match="shape"):
        Region(grid, np.ones(3), good, good, good, good)
    with pytest.raises(ValueError, match="finite"):
        Region(grid, good, good, good, good, good * np.inf)
    with pytest.raises(ValueError, match="negative"):
        Region(grid, -good, good, good, good, good)
