"""The bundled colon section, and pictures of other sizes and colours."""

import socket

import numpy as np
import pytest
import skimage.data
import tifffile
from scipy import ndimage

from tmepde.region import histology, stains
from tmepde.region.glass import glass
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
        (RNG.integers(200, 255, (128, 128, 3), np.uint8), "noise without structure"),
        (np.clip(RNG.normal((240, 240, 245), 4, (128, 128, 3)), 0, 255).astype(np.uint8), "nothing but glass"),
        (np.clip(RNG.normal((220, 150, 190), 15, (128, 128, 3)), 0, 255).astype(np.uint8), "noise without structure"),
        (np.zeros((2, 100, 100, 3), np.uint8), "one picture, but 'array' holds 2 of them"),
        (np.full((100, 100, 3), -7), "from 0"),
        (np.full((100, 100, 3), True), "is bool. Divide"),
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


@pytest.mark.parametrize(("margin", "bright", "noise"), [(12, 250, 1.5), (94, 243, 2), (94, 255, 0), (200, 235, 3)])
def test_the_section_is_the_same_whatever_glass_surrounds_it(found, margin, bright, noise):
    """Thresholds were those of glass once half of the picture was glass, and all of it became stroma."""
    side = 512 + 2 * margin
    picture = np.random.default_rng(1).normal(bright, noise, (side, side, 3)).round().clip(0, 255) / 255
    within = (slice(margin, -margin),) * 2
    picture[within] = stains.read("ihc")
    labels = segment(picture).labels
    assert np.mean(labels[within] == found.labels) > 0.97
    tissue = np.isin(labels, (TUMOUR, STROMA))
    rim = tissue.sum() - tissue[within].sum()
    assert rim < 2 * 4 * 512  # two pixels all round


def test_uneven_light_a_white_fill_and_high_magnification_do_not_mislead_the_search_for_glass():
    rgb = stains.read("ihc")

    def share(picture):
        density = stains.unmix(picture)[2]
        return np.mean(glass(density, np.zeros(density.shape, bool)))

    around = np.pad(rgb, ((94, 94), (94, 94), (0, 0)), constant_values=0.95)
    outside = 1 - (512 / 700) ** 2
    assert share(around * np.linspace(0.91, 1.03, 700)[:, None]) == pytest.approx(outside, abs=0.03)
    filled = np.pad(around, ((60, 60), (60, 60), (0, 0)), constant_values=1.0)
    assert share(filled) == pytest.approx(1 - (512 / 820) ** 2, abs=0.03)
    magnified = np.clip(ndimage.zoom(rgb[150:406, 150:406], (4, 4, 1), order=1), 0, 1)
    assert share(rgb) == share(magnified) == 0  # the little that there is; pale stroma, flat at such a magnification


def test_what_is_transparent_is_outside_of_the_tissue():
    hidden = np.dstack([stains.read("ihc"), np.ones((512, 512))])
    hidden[:, :256, 3] = 0
    region = histology.from_image(hidden, pixel_size=0.5, cell_size=4.0)
    mask = np.asarray(region.grid.mask)
    assert not mask[:, :32].any() and mask[:, 32:].mean() > 0.9


def test_a_fourth_number_that_is_no_opacity_is_left_out(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    rgb = (stains.read("ihc") * 255).astype(np.uint8)
    four = np.dstack([rgb, np.zeros((512, 512), np.uint8)])
    for kind, bands in (("unspecified", 3), ("unassalpha", 4)):
        tifffile.imwrite(tmp_path / "a.tif", four[:500], photometric="rgb", extrasamples=[kind])
        if bands == 3:
            assert stains.read(tmp_path / "a.tif").shape == (500, 512, 3)
        else:
            with pytest.raises(ValueError, match="one colour only"):  # all of it is transparent
                stains.read(tmp_path / "a.tif")


def test_colours_that_are_not_light_are_refused(tmp_path):
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray((stains.read("ihc") * 255).astype(np.uint8)).convert("CMYK")
    for name in ("a.tif", "a.jpg"):
        picture.save(tmp_path / name)
        with pytest.raises(ValueError, match=f"must be RGB, but '.*{name}' is CMYK"):
            stains.read(tmp_path / name)


@pytest.mark.parametrize(("dtype", "factor"), [(np.int16, 1), (np.uint16, 16), (np.uint16, 257)])
def test_wide_integers_reach_as_far_as_their_camera(dtype, factor):
    rgb = np.rint(stains.read("ihc") * 255)
    assert np.allclose(stains.read((rgb * factor).astype(dtype)), rgb / 255, atol=0.005)


def test_a_pixel_size_that_gives_nuclei_of_a_millimetre_is_warned_of():
    with pytest.warns(UserWarning, match="nuclei of the picture measure 915 µm"):
        histology.from_image("ihc", pixel_size=50.0, cell_size=400.0)


def test_a_header_of_too_many_pixels_is_told_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(stains, "declared", lambda path: float("inf"))
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"at most 1.75e\+08 pixels, but '.*' has more. Crop"):
        stains.read(tmp_path / "a.png")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate"])
def test_compressed_tiffs_are_read(compression, tmp_path):
    """Scanners write LZW and JPEG; only Deflate was read."""
    from PIL import Image

    picture = skimage.data.immunohistochemistry()[:128, :128]
    Image.fromarray(picture).save(tmp_path / "a.tif", compression=compression)
    found = stains.read(tmp_path / "a.tif")
    assert np.abs(found - picture / 255.0).mean() < (0.03 if compression == "jpeg" else 1e-12)


def test_grey_pages_are_colours_only_where_the_file_calls_them_channels(tmp_path):
    """Three slices of a grey volume were taken for red, green and blue."""
    planes = np.moveaxis(skimage.data.immunohistochemistry()[:128, :128], -1, 0)
    tifffile.imwrite(tmp_path / "pages.tif", planes, photometric="minisblack")
    with pytest.raises(ValueError, match="holds 3 grey pages that nothing in it calls channels. Save it as RGB"):
        stains.read(tmp_path / "pages.tif")
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, photometric="minisblack", metadata={"axes": "CYX"})
    assert np.array_equal(stains.read(tmp_path / "a.ome.tif"), np.moveaxis(planes, 0, -1) / 255.0)
