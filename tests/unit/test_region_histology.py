"""The bundled colon section, and pictures of other sizes and colours."""

import socket

import numpy as np
import pytest
from scipy import ndimage

from tmepde.region import histology, stains
from tmepde.region.segmentation import BACKGROUND, STROMA, TUMOUR, VESSEL, segment


@pytest.fixture(scope="module")
def found():
    return segment(stains.read("ihc"))


@pytest.fixture(scope="module")
def region():
    return histology.colon_ihc(pixel_size=0.9, cell_size=3.6)


def test_bundled_picture_needs_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    assert stains.read("ihc").shape == (512, 512, 3)


def test_classes_are_where_a_pathologist_sees_them(found):
    at = {  # row, column read off the picture
        TUMOUR: [(120, 100), (400, 315), (230, 420), (420, 100), (320, 100), (10, 250)],
        STROMA: [(280, 200), (400, 200), (100, 490), (330, 420), (200, 280), (480, 480)],
        BACKGROUND: [(350, 20), (120, 335), (170, 365), (480, 10)],
        VESSEL: [(430, 445)],
    }
    for label, places in at.items():
        for place in places:
            assert found.labels[place] == label, (label, place)


def test_there_is_no_speckle(found):
    for label in (TUMOUR, STROMA, BACKGROUND, VESSEL):
        pieces, count = ndimage.label(found.labels == label, structure=np.ones((3, 3)))
        assert 1 <= count <= 8
        assert np.bincount(pieces.ravel())[1:].min() > 50


def test_nuclear_diameter_gives_the_stated_pixel_size(found):
    assert histology.NUCLEUS / found.nucleus == pytest.approx(histology.PIXEL_SIZE, abs=0.01)


def test_region_is_consistent(region):
    mask = np.asarray(region.grid.mask)
    assert region.grid.shape == (128, 128)
    assert 0.9 < mask.mean() < 0.98 and ndimage.label(mask)[1] == 1
    assert np.allclose((region.tumour + region.stroma)[mask], 1.0)
    assert not (region.tumour + region.stroma + region.vessels + region.nuclei)[~mask].any()
    assert np.average(region.nuclei, weights=region.tumour) == pytest.approx(1.0)
    assert np.sum(region.vessels) / np.sum(region.stroma) == pytest.approx(1.0)
    assert np.all(region.margin_distance[region.tumour == 1] <= 0)
    assert np.all(region.margin_distance[mask & (region.stroma == 1)] >= 0)
    assert region.nuclei.max() < 3 and region.vessels.max() < 5


def test_segmentation_is_deterministic_and_free_of_the_pixel_size(region):
    again = histology.colon_ihc(pixel_size=0.45, cell_size=1.8)
    assert np.array_equal(region.tumour, again.tumour)
    assert np.allclose(region.margin_distance, 2 * again.margin_distance)


def test_block_average_keeps_area():
    weights = histology.overlap(100, 27, 3.7)
    assert np.allclose(weights.sum(axis=1), 1.0)
    assert np.allclose(weights.sum(axis=0)[:99], 1 / 3.7)


def test_magnified_cropped_and_dim_pictures_give_the_same_tissue(found):
    rgb = stains.read("ihc")
    big = np.clip(ndimage.zoom(rgb, (1.6, 1.6, 1), order=1), 0, 1)
    labels = segment(big).labels
    small = labels[np.ix_(*(np.minimum((np.arange(512) * n / 512).astype(int), n - 1) for n in labels.shape))]
    assert np.mean(small == found.labels) > 0.93
    dim = segment(rgb * 0.85).labels
    assert np.mean(dim == found.labels) > 0.93
    part = segment(stains.cropped(rgb, (150, 512, 100, 512))).labels
    assert np.mean(part == found.labels[150:, 100:]) > 0.9


def test_small_pieces_are_left_out():
    mask = np.zeros((30, 30), bool)
    mask[:20], mask[25, 25], mask[5, 5] = True, True, False
    kept = histology.connected(mask)
    assert not kept[25, 25] and kept[5, 5]


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("no/such/file.png", "is not a file"),
        (np.zeros((100, 100)), "must be RGB"),
        (np.zeros((20, 200, 3), np.uint8), "at least 64"),
        (np.full((100, 100, 3), 250, np.uint8), "one colour"),
        (np.full((100, 100, 3), 7.0), "0…1"),
        (RNG.integers(200, 255, (128, 128, 3), np.uint8), "image"),
        (np.tile(np.linspace(0, 1, 128)[:, None, None], (1, 128, 3)), "image"),
    ],
)
def test_pictures_without_tissue_are_explained(image, words):
    with pytest.raises(ValueError, match=words):
        histology.from_image(image, pixel_size=1.0, cell_size=4.0)


def test_a_file_that_is_no_picture_is_explained(tmp_path):
    path = tmp_path / "not a picture.png"
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="could not be read"):
        histology.from_image(path, pixel_size=1.0, cell_size=4.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pixel_size": 0.0, "cell_size": 4.0}, "pixel_size"),
        ({"pixel_size": 1.0, "cell_size": -4.0}, "cell_size"),
        ({"pixel_size": 4.0, "cell_size": 1.0}, "at least `pixel_size`"),
        ({"pixel_size": 1.0, "cell_size": 400.0}, "at least 4 cells"),
        ({"pixel_size": 1.0, "cell_size": 4.0, "crop": (0, 600, 0, 100)}, "inside"),
        ({"pixel_size": 1.0, "cell_size": 4.0, "crop": (0, 100)}, "four whole numbers"),
        ({"pixel_size": 1.0, "cell_size": 4.0, "crop": (0, 20, 0, 100)}, "64 pixels"),
    ],
)
def test_bad_settings_are_explained(options, words):
    with pytest.raises(ValueError, match=words):
        histology.from_image("ihc", **options)


def test_a_picture_with_alpha_from_a_file_is_read(tmp_path):
    from skimage.io import imsave

    rgba = np.dstack([(stains.read("ihc") * 255).astype(np.uint8), np.full((512, 512), 255, np.uint8)])
    imsave(tmp_path / "colon é.png", rgba)
    region = histology.from_image(str(tmp_path / "colon é.png"), pixel_size=0.9, cell_size=7.2)
    assert region.grid.shape == (64, 64)
