"""Label images become regions: every format, every number of axes, exact averages, refusals with a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tmepde import config
from tmepde.region.labels import from_file

#: 1 tumour, 2 stroma, 0 outside; odd sizes, a hole, and a bridge one cell wide
LABELS = np.array(
    [
        [0, 2, 2, 2, 2, 0, 2],
        [2, 2, 1, 1, 2, 0, 2],
        [2, 1, 1, 0, 1, 2, 2],
        [2, 2, 1, 1, 2, 0, 2],
        [0, 2, 2, 2, 2, 0, 2],
    ],
    np.uint8,
)


def saved(tmp_path: Path, labels: Any, name: str, **options: Any) -> Path:
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, labels)
    elif ".nii" in name:
        nibabel = pytest.importorskip("nibabel")
        image = nibabel.Nifti1Image(np.asarray(labels).T, np.diag([*options["zooms"], 1.0]))
        image.header.set_xyzt_units(options.get("unit", "mm"))
        nibabel.save(image, path)
    else:
        imsave = pytest.importorskip("skimage.io").imsave
        imsave(path, labels, check_contrast=False)
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.png", "a.tif"])
def test_every_format_holds_the_same_region(tmp_path: Path, name: str) -> None:
    region = from_file(saved(tmp_path, LABELS, name), pixel_size=10.0)
    assert region.grid.shape == (5, 7) and np.allclose(region.grid.widths[1], 10.0)
    assert np.array_equal(region.tumour, LABELS == 1) and np.array_equal(region.stroma, LABELS == 2)
    assert np.array_equal(region.grid.mask, LABELS > 0)


def test_a_nifti_volume_is_turned_to_z_y_x_and_brings_its_size(tmp_path: Path) -> None:
    volume = np.stack([LABELS, np.where(LABELS == 1, 2, LABELS)]).astype(np.int16)  # (z, y, x)
    region = from_file(saved(tmp_path, volume, "a.nii.gz", zooms=(0.01, 0.02, 0.05)))
    assert region.grid.shape == (2, 5, 7)
    assert [float(w[0]) for w in region.grid.widths] == pytest.approx([50.0, 20.0, 10.0], rel=1e-6)
    assert np.array_equal(region.tumour, volume == 1)
    flat = from_file(saved(tmp_path, volume[:1].astype(np.float32), "b.nii", zooms=(5, 5, 9), unit="micron"))
    assert flat.grid.shape == (5, 7) and float(flat.grid.widths[0][0]) == 5.0  # one voxel thick: a section


def test_a_nifti_volume_that_states_two_sizes_of_a_voxel_is_refused(tmp_path: Path) -> None:
    """Volumes were wrong by the ratio, silently."""
    nibabel = pytest.importorskip("nibabel")
    volume = np.stack([LABELS] * 2).astype(np.int16)
    image = nibabel.load(saved(tmp_path, volume, "a.nii", zooms=(0.01, 0.02, 0.05)))
    image.header["pixdim"][1] = 1.0
    nibabel.save(nibabel.Nifti1Image(volume.T, None, image.header), tmp_path / "two.nii")  # sform as it was
    turned = np.eye(4)
    turned[:3, :3] = 0.01 * np.array([[0.6, 0.8, 0], [0, 0, 1], [-0.8, 0.6, 0]])
    nibabel.save(nibabel.Nifti1Image(volume.T, turned), tmp_path / "turned.nii")
    sheared = np.diag([0.01, 0.01, 0.01, 1.0])
    sheared[0, 1] = 0.01
    nibabel.save(nibabel.Nifti1Image(volume.T, sheared), tmp_path / "sheared.nii")
    with pytest.raises(ValueError, match=r"1 × 0.02 × 0.05 by pixdim and of 0.01 × 0.02 × 0.05 by its affine. Give"):
        from_file(tmp_path / "two.nii")
    with pytest.raises(ValueError, match="'sheared.nii' are sheared by its affine. Resample it"):
        from_file(tmp_path / "sheared.nii")
    for name, given in (("two.nii", 10.0), ("sheared.nii", 10.0), ("turned.nii", None)):
        assert float(from_file(tmp_path / name, given).grid.widths[0][0]) == pytest.approx(10.0, rel=1e-6)


def test_boolean_masks_lines_and_other_numbers(tmp_path: Path) -> None:
    line = from_file(saved(tmp_path, np.array([True, False, True, True]), "a.npy"), 5.0)
    assert line.grid.shape == (4,) and list(line.tumour) == [1, 0, 1, 1] and list(line.stroma) == [0, 0, 0, 0]
    black = from_file(saved(tmp_path, 255 * (LABELS == 1), "b.npy"), 5.0, None, {"tumour": 255, "stroma": 0})
    assert black.tumour.sum() == (LABELS == 1).sum() and black.grid.mask.all()


def test_coarser_cells_hold_exact_shares(tmp_path: Path) -> None:
    """Tumour and tissue of the whole image are kept where every cell is tissue, whatever the ratio of sizes."""
    rng = np.random.default_rng(1)
    labels = rng.integers(1, 3, (12, 18))
    region = from_file(saved(tmp_path, labels, "a.npy"), 2.0, (3.0, 4.5))
    assert region.grid.shape == (8, 8)
    assert np.sum(region.grid.volumes() * region.tumour) == pytest.approx(4.0 * np.sum(labels == 1), rel=1e-12)
    assert np.allclose(region.tumour + region.stroma, 1.0)
    halves = from_file(saved(tmp_path, np.repeat(LABELS, 2, 0).repeat(2, 1), "b.npy"), 5.0, 10.0)
    assert np.array_equal(halves.tumour, LABELS == 1) and np.array_equal(halves.grid.mask, LABELS > 0)


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        (LABELS * 0.5, {"pixel_size": 1.0}, "fractions or NaN"),
        (np.full((3, 3), np.nan), {"pixel_size": 1.0}, "fractions or NaN"),
        (LABELS[None, None], {"pixel_size": 1.0}, "1, 2 or 3 axes"),
        (LABELS + 6, {"pixel_size": 1.0}, "Labels in the file: 6, 7, 8"),
        (LABELS, {}, "only NIfTI volumes state it"),
        (LABELS, {"pixel_size": 1.0, "classes": {"tumour": 1.5}}, "whole numbers, but 'tumour' has 1.5"),
        (LABELS, {"pixel_size": 1.0, "classes": {"tumour": 1, "stroma": ["2"]}}, "whole numbers, but 'stroma' has"),
        (LABELS, {"pixel_size": 1.0, "classes": {"tumour": [], "stroma": 2}}, "name a label of 'tumour'"),
        (
            LABELS,
            {"pixel_size": 1.0, "classes": {"tumour": 42, "stroma": 2}},
            "none has 42.*Labels in the file: 0, 1, 2",
        ),
        (LABELS, {"pixel_size": -1.0}, "positive lengths"),
        (LABELS, {"pixel_size": (1.0, 2.0, 3.0)}, "1 or 2 positive lengths"),
        (LABELS, {"pixel_size": 2.0, "cell_size": 1.0}, "at least the size of a pixel"),
        (LABELS, {"pixel_size": 1.0, "cell_size": 9.0}, "1 to"),
        (np.array(["a"]), {"pixel_size": 1.0}, "whole numbers"),
        (np.array([{}]), {"pixel_size": 1.0}, "readable"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, labels: Any, options: Any, said: str) -> None:
    path = saved(tmp_path, labels, "a.npy")
    with pytest.raises(ValueError, match=said):
        from_file(path, **options)


def test_labels_that_no_pixel_has_are_warned_of(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = saved(tmp_path, LABELS, "a.npy")
    from_file(path, 1.0)  # the usual ones need not all be there
    from_file(path, 1.0, None, {"tumour": 1, "stroma": 2})
    assert not recwarn.list
    with pytest.warns(UserWarning, match="gives 'stroma' a label that no pixel has: 9. Labels in the file: 0, 1, 2"):
        from_file(path, 1.0, None, {"tumour": 1, "stroma": [2, 9]})


def test_broken_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.npy", "a.png", "a.nii", "a.doc"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match="`file` must"):
            from_file(tmp_path / name, 1.0)


def test_pictures_with_more_numbers_a_pixel_are_no_volumes(tmp_path: Path) -> None:
    """A grey picture with transparency, or saved as RGB, was read as a volume of two or three layers."""
    image = pytest.importorskip("PIL.Image")
    layers = {"LA": [LABELS, np.full_like(LABELS, 255)], "RGB": [LABELS] * 3, "RGBA": [LABELS] * 4}
    for mode, bands in layers.items():
        for ending in ("png", "tif"):
            path = tmp_path / f"{mode}.{ending}"
            image.fromarray(np.stack(bands, -1), mode).save(path)
            assert np.array_equal(from_file(path, 10.0).tumour, LABELS == 1), path
    for ending in ("png", "tif"):
        image.fromarray(np.stack([LABELS, 0 * LABELS, LABELS], -1), "RGB").save(tmp_path / f"c.{ending}")
        with pytest.raises(ValueError, match=f"must be grey, one number a pixel, but 'c.{ending}' has colours"):
            from_file(tmp_path / f"c.{ending}", 10.0)
    pages = [image.fromarray(LABELS), image.fromarray(LABELS[:3])]
    pages[0].save(tmp_path / "d.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="must have pages of one size"):
        from_file(tmp_path / "d.tif", 10.0)
    pages[0].save(tmp_path / "e.tif", save_all=True, append_images=[pages[0]] * 2)
    assert from_file(tmp_path / "e.tif", 10.0).grid.shape == (3, 5, 7)  # was turned round: taken for colours
    palette = image.fromarray(LABELS, "P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [0] * 759)
    palette.save(tmp_path / "f.png")
    assert np.array_equal(from_file(tmp_path / "f.png", 10.0).tumour, LABELS == 1)  # its indices
    pages[0].save(tmp_path / "g.png", save_all=True, append_images=[image.fromarray(2 * LABELS)])
    with pytest.raises(ValueError, match="must hold one picture, but 'g.png' holds 2"):
        from_file(tmp_path / "g.png", 10.0)


@pytest.mark.filterwarnings("error")
def test_archives_half_precision_and_labels_of_two_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", LABELS)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="must hold one array, but 'a.npy' is an archive"):
        from_file(tmp_path / "a.npy", 10.0)
    half = saved(tmp_path, LABELS.astype(np.float16), "b.npy")
    assert np.array_equal(from_file(half, 10.0).tumour, LABELS == 1)
    with pytest.raises(ValueError, match="must give each label one meaning, but 1 has two"):
        from_file(half, 10.0, None, {"tumour": 1, "stroma": [1, 2]})


CONFIG = """\
schema = 1
[tissue]
kind = "labels"
file = "mask.npy"
pixel_size = "20 um"
classes = { tumour = 1, stroma = [2, 3] }
[run]
until = "1 hour"
"""


def test_a_config_takes_a_label_image(tmp_path: Path) -> None:
    saved(tmp_path, LABELS, "mask.npy")
    (tmp_path / "a.toml").write_text(CONFIG)
    loaded = config.load(tmp_path / "a.toml")
    assert config.loads(loaded.toml(), folder=str(tmp_path)) == loaded
    build = loaded.build()
    assert build.scenario.model.grid.shape == (5, 7) and np.array_equal(build.region.tumour, LABELS == 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mask.npy", "none.npy", "`tissue.file` must be a file of labels"),
        ('pixel_size = "20 um"\n', "", "`tissue.pixel_size` must be given"),
        ("tumour = 1", "tumor = 1", "`tissue.classes` names 'tumor'"),
        ("tumour = 1, ", "", "`tissue.classes` must say which labels are tumour"),
        ("tumour = 1, ", "tumour = [], ", "`tissue.classes` must name a label of tumour"),
        (
            "tumour = 1",
            'tumour = "1"',
            '1 problem:\n  `tissue.classes.tumour` must be a whole number or a list of them, but "1"',
        ),
        (
            "tumour = 1",
            "tumour = [true]",
            "`tissue.classes.tumour` must be a whole number or a list of them, but [True]",
        ),
        ('"20 um"', "20", "`tissue.pixel_size` must have a unit"),
        ("[run]", '[grid]\nextent = ["1 mm"]\ncells = [9]\n[run]', "`grid` must be left out"),
    ],
)
def test_a_config_refuses_what_does_not_fit(tmp_path: Path, old: str, new: str, said: str) -> None:
    saved(tmp_path, LABELS, "mask.npy")
    with pytest.raises(config.ConfigError) as refused:
        config.loads(CONFIG.replace(old, new), folder=str(tmp_path))
    assert said in str(refused.value)
