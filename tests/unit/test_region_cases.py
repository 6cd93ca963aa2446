"""Tissues of the case studies: vessels of a retina, a brain with a cavity, and culture without vessels."""

import importlib.util
import socket

import numpy as np
import pytest
from scipy import ndimage

import tmepde as tme
from tmepde.cli.exits import ENVIRONMENT, guarded
from tmepde.region import Region
from tmepde.region.brain import TISSUE, Maps, brain_mni, read_maps
from tmepde.region.retina import CROP, network, retina

MM = 1000.0


@pytest.fixture(scope="module")
def vessels():
    return network()


def test_vessels_are_where_the_retina_shows_them(vessels):
    row0, row1, column0, column1 = CROP
    field = vessels[row0:row1, column0:column1]
    for place in [(100, 440), (550, 480), (165, 140), (680, 530), (400, 170)]:  # read off the picture, row and column
        assert ndimage.binary_dilation(field, iterations=6)[place], place
    assert not field[330:430, 260:400].any()  # the fovea is avascular
    assert not vessels[:100, :100].any()  # outside of the round field
    assert 0.04 < field.mean() < 0.08


def test_retina_needs_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    assert network().shape == (1411, 1411)


def test_retina_region_keeps_the_vessels_and_their_mean(vessels):
    region = retina(pixel_size=2.0, cell_size=24.0, radius=450.0)
    assert region.grid.shape == (64, 64)
    assert region.vessels.mean() == pytest.approx(1.0)
    row0, row1, column0, column1 = CROP
    blocks = vessels[row0:row1, column0:column1].reshape(64, 12, 64, 12).mean(axis=(1, 3))
    assert np.allclose(region.vessels * blocks.mean(), blocks)
    area = region.tumour.sum() * 24.0**2
    assert area == pytest.approx(np.pi * 450.0**2, rel=0.01)
    assert np.array_equal(region.tumour + region.stroma, np.ones((64, 64)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pixel_size": 0.0}, "pixel_size"),
        ({"cell_size": 1.0}, "at least `pixel_size`"),
        ({"cell_size": 500.0}, "at least 4 cells"),
        ({"crop": (640, 740, 640, 760)}, "must show vessels"),
        ({"radius": -1.0}, "radius"),
    ],
)
def test_bad_settings_of_the_retina_are_explained(options, words):
    with pytest.raises(ValueError, match=words):
        retina(**{"pixel_size": 2.0, "cell_size": 24.0, "radius": 300.0, **options})


def test_no_vessels_in_culture():
    region = Region.nodule(tme.Grid.radial(600.0, 30), 300.0, vessels=0.0)
    assert not region.vessels.any() and region.tumour.any()
    model = tme.library.solid_tumour(region=region)
    assert not np.asarray(model.species["vessel_surface"].initial).any()
    with pytest.raises(ValueError, match="`vessels` must be at least 0"):
        Region.nodule(tme.Grid.radial(600.0, 30), 300.0, vessels=-1.0)


# -- a brain, on maps made up for the purpose ----------------------------------------------------------------------


def made_up(n=20):
    """White matter for x < 0, grey for x > 0, nothing below z = −6 mm."""
    white = np.zeros((n, n, n))
    white[4:, :, : n // 2] = 1.0
    grey = np.zeros((n, n, n))
    grey[4:, :, n // 2 :] = 1.0
    return Maps(grey, white, (-0.5 * n * MM,) * 3)


BLOCK = dict(voxel_size=2 * MM, extent=(20 * MM,) * 3, center=(0.0, 0.0, 0.0), radius=5 * MM)


def test_white_matter_conducts_by_the_contrast_and_csf_is_left_out():
    region = brain_mni(**BLOCK, contrast=8.0, maps=made_up())
    mask = np.asarray(region.grid.mask)
    assert region.grid.shape == (10, 10, 10) and [float(o) for o in region.grid.origin] == [-10 * MM] * 3
    assert not mask[:2].any() and mask[2:].all()
    assert np.all(region.motility[2:, :, :5] == 1.0) and np.all(region.motility[2:, :, 5:] == 1 / 8)
    ratio = region.vessels[5, 5, 2] / region.vessels[5, 5, 7]
    assert ratio == pytest.approx(0.5) and region.vessels[mask].mean() == pytest.approx(1.0)
    model = tme.library.solid_tumour(region=region, tumour_motility=100.0)
    assert np.array_equal(np.asarray(model.species["tumour"].diffusivity), 100.0 * region.motility)
    assert np.array_equal(np.asarray(model.tissue["region_motility"]), region.motility)


def test_cavity_is_no_tissue_and_the_tumour_around_it_fades():
    region = brain_mni(**BLOCK, cavity_radius=4 * MM, infiltration=3 * MM, maps=made_up())
    mask = np.asarray(region.grid.mask)
    z, y, x = region.grid.coordinates()
    from_middle = np.sqrt(np.asarray(x) ** 2 + np.asarray(y) ** 2 + np.asarray(z) ** 2)
    assert not mask[from_middle < 4 * MM].any()
    outside = mask & (from_middle > 6.1 * MM)  # half a voxel beyond the edge of the ball
    assert np.allclose(region.tumour[outside], np.exp(-(from_middle[outside] - 5 * MM) / (3 * MM)))
    assert np.allclose((region.tumour + region.stroma)[mask], 1.0) and not region.tumour[~mask].any()


def test_tumour_crosses_white_matter_faster_than_grey():
    region = brain_mni(**BLOCK, contrast=10.0, maps=made_up())
    model = tme.library.solid_tumour(region=region, tumour_motility=5400.0)
    spreading = tme.Model(model.grid, {"tumour": model.species["tumour"]})
    end = tme.simulate(tme.Scenario(spreading, until=30 * 24.0), save=[30 * 24.0])
    cells = np.asarray(end.fields["tumour"])[-1]
    first = np.asarray(model.species["tumour"].initial)
    gained = np.clip(cells - first, 0, None)
    assert gained[..., :5].sum() > 3 * gained[..., 5:].sum()
    assert cells.sum() == pytest.approx(first.sum(), rel=1e-4)  # the voxels are equal: nothing is lost


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"voxel_size": 500.0}, "at least 1000"),
        ({"extent": (20 * MM, 20 * MM)}, "3 entries"),
        ({"center": (0.0, 0.0, 9 * MM)}, "inside the maps, x from -10 to 10 mm"),
        ({"extent": (4 * MM,) * 3, "center": (-8 * MM, 0.0, 0.0)}, "in the brain"),
        ({"radius": 0.0}, "radius"),
        ({"contrast": 0.5}, "contrast"),
        ({"cavity_radius": 8 * MM}, "leave tumour beside the cavity"),
    ],
)
def test_bad_settings_of_the_brain_are_explained(options, words):
    with pytest.raises(ValueError, match=words):
        brain_mni(**{**BLOCK, **options}, maps=made_up())


def test_missing_package_is_named_with_its_remedy(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nilearn" else found(name))
    with pytest.raises(ImportError, match=r"needs nilearn .*pip install 'tmepde\[image\]'"):
        read_maps()
    with pytest.raises(SystemExit) as ended:  # on the command line: a sentence and a code, no traceback
        guarded(read_maps)
    assert ended.value.code == ENVIRONMENT
    assert "pip install 'tmepde[image]'" in capsys.readouterr().err


@pytest.mark.skipif(
    not all(importlib.util.find_spec(p) for p in ("nilearn", "nibabel")),
    reason="needs nilearn and nibabel for the maps",
)
def test_mni_maps_show_a_brain():
    maps = read_maps()
    assert maps.grey.shape == (189, 233, 197) and maps.origin == (-72.5 * MM, -134.5 * MM, -98.5 * MM)

    def at(values, z, y, x):
        return values[z + 72, y + 134, x + 98]

    assert at(maps.white, 24, -10, 26) > 0.9  # corona radiata
    assert at(maps.grey, 8, -16, 8) > 0.3  # thalamus
    assert at(maps.grey + maps.white, 12, 18, 8) < TISSUE  # frontal horn of the lateral ventricle
    litres = (maps.grey + maps.white).sum() * 1e-6
    assert 1.0 < litres < 2.0
    assert np.allclose(maps.white, maps.white[:, :, ::-1])  # the symmetric template
