"""Exports are read back by other means: scipy for netCDF, an XML parser for VTK images, zarr for OME-NGFF."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import synthetic
import xarray as xr
import zarr

from tmepde.grid import Grid
from tmepde.io import combine_arms, open_store, to_dataset, write_store
from tmepde.io.export import export
from tmepde.io.export.netcdf import udunits
from tmepde.io.export.place import placed
from tmepde.io.lock import Lock, LockedError
from tmepde.region import Region


def _masked() -> Region:
    mask = np.ones((20, 24), bool)
    mask[:4, :6] = False
    return Region.nodule(Grid.box((400.0, 480.0), (20, 24), mask=mask), radius=150.0)


def _axisymmetric() -> Region:
    return Region.nodule(Grid.axisymmetric(400.0, 200.0, (20, 10)), radius=120.0)


REGIONS = {"2-D": _masked, "3-D": lambda: synthetic.ball(8), "radial": synthetic.shell, "z, r": _axisymmetric}


@pytest.fixture(scope="module", params=REGIONS)
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """A store with four arms, on every kind of grid, opened from the disk."""
    region = REGIONS[request.param]()
    made = combine_arms(synthetic.arms(region), region=region, config_text=synthetic.CONFIG, name="made up")
    return open_store(write_store(made, tmp_path_factory.mktemp("stores") / "a.zarr"))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    region = _masked()
    made = combine_arms(synthetic.arms(region), region=region, config_text=synthetic.CONFIG, name="made up")
    return open_store(write_store(made, tmp_path_factory.mktemp("stores") / "a.zarr"))


# -- netCDF -----------------------------------------------------------------------------------------------------------


def test_netcdf_holds_every_value_and_attribute(dataset: xr.Dataset, tmp_path: Path) -> None:
    path = export(dataset, tmp_path / "a.nc", "netcdf")
    back = xr.open_dataset(path, engine="scipy", decode_times=False)
    assert set(back.variables) == set(dataset.variables)
    for name, variable in dataset.variables.items():
        if variable.dtype.kind in "OUT":
            assert back[name].values.astype(str).tolist() == variable.values.astype(str).tolist(), name
        else:
            np.testing.assert_array_equal(back[name].values, variable.values, err_msg=str(name))
        assert back[name].dims == variable.dims
        for key, value in variable.attrs.items():
            if not (str(name).endswith("_bounds") and key == "units"):  # CF: bounds share those of their coordinate
                kept = "tmepde_units" if key == "units" and "tmepde_units" in back[name].attrs else key
                np.testing.assert_array_equal(back[name].attrs[kept], value)
    assert back.attrs["Conventions"].startswith("CF-") and back.attrs["config"] == dataset.attrs["config"]


def test_netcdf_is_classic_with_64_bit_offsets_and_marks_missing_values(plane: xr.Dataset, tmp_path: Path) -> None:
    from scipy.io import netcdf_file

    path = export(plane, tmp_path / "a.nc", "netcdf", fields=["oxygen"])
    assert path.read_bytes()[:4] == b"CDF\x02"
    with netcdf_file(path, mmap=False) as file:
        oxygen = file.variables["oxygen"]
        assert oxygen.units == b"mmHg" and np.isnan(oxygen._FillValue)
        assert np.isnan(oxygen[:]).any() and "tumour" not in file.variables
        assert file.variables["x"].bounds == b"x_bounds"


def test_units_of_netcdf_are_those_of_udunits(plane: xr.Dataset, tmp_path: Path) -> None:
    """It knows no cells and no nM: iris, cf-units and others dropped the units, or refused the file."""
    back = xr.open_dataset(export(plane, tmp_path / "a.nc", "netcdf"), engine="scipy", decode_times=False)
    assert back["tumour"].attrs["units"] == "1/mm3" and back["tumour"].attrs["tmepde_units"] == "cells/mm3"
    assert "tmepde_units" not in back["oxygen"].attrs and "units" not in back["budget_lost"].attrs
    for unit, known in (
        ("nM", "(nmol/L)"),
        ("1/(uM h)", "1/((umol/L) h)"),
        ("cells/uL", "1/uL"),
        ("molecules/cell/s", "1/1/s"),
        ("mM", "(mmol/L)"),
        ("mm", "mm"),
        ("MPa", "MPa"),
        ("celsius", "celsius"),
    ):
        assert udunits(unit) == known


def test_netcdf_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    big = np.broadcast_to(np.float32(0), (1, 2**29))
    data = xr.Dataset({"u": (("time", "x"), big)}, coords={"time": [0.0]})
    with pytest.raises(ValueError, match="`u` must be below 2 GiB .* --field"):
        export(data, tmp_path / "a.nc", "netcdf")
    assert list(tmp_path.iterdir()) == []


# -- VTK --------------------------------------------------------------------------------------------------------------


def read_vti(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Cell arrays and the attributes of the image, by an XML parser and the published layout of appended data."""
    content = path.read_bytes()
    head, _, tail = content.partition(b'<AppendedData encoding="raw">_')
    root = ElementTree.fromstring(head + b"</VTKFile>")
    assert root.attrib["byte_order"] == "LittleEndian" and root.attrib["header_type"] == "UInt64"
    image = root.find("ImageData")
    assert image is not None
    cells = [int(b) - int(a) for a, b in np.reshape(image.attrib["WholeExtent"].split(), (3, 2))]
    arrays = {}
    for array in image.iterfind("./Piece/CellData/DataArray"):
        start = int(array.attrib["offset"])
        size = int(np.frombuffer(tail, "<u8", 1, start)[0])
        kind = {"Float32": "<f4", "Float64": "<f8", "Int8": "i1"}[array.attrib["type"]]
        values = np.frombuffer(tail, kind, size // np.dtype(kind).itemsize, start + 8)
        arrays[array.attrib["Name"]] = values.reshape(cells[::-1])  # x runs fastest
    time = image.find("./FieldData/DataArray")
    assert time is not None and time.attrib["Name"] == "TimeValue"
    return arrays, {**image.attrib, "time": str(time.text)}


def test_vti_images_hold_every_field_arm_and_time(dataset: xr.Dataset, tmp_path: Path) -> None:
    folder = export(dataset, tmp_path / "images", "vti", times=[0.0, 336.0])
    told = json.loads((folder / "fields.json").read_text())
    assert list(told["arms"]) == [str(n) for n in dataset["scenario"].values]
    assert told["fields"]["oxygen"]["units"] == "mmHg"
    for index, series in enumerate(told["arms"].values()):
        listed = ElementTree.parse(folder / series).findall("./Collection/DataSet")
        assert [float(d.attrib["timestep"]) for d in listed] == [0.0, 336.0]
        for k, row in zip((0, dataset.sizes["time"] - 1), listed, strict=True):
            arrays, image = read_vti(folder / row.attrib["file"])
            assert float(image["time"]) == dataset["time"].values[k]
            for name in ("oxygen", "tumour", "mask"):
                wanted = dataset[name].isel(
                    {d: i for d, i in (("scenario", index), ("time", k)) if d in dataset[name].dims}
                )
                np.testing.assert_array_equal(arrays[name].ravel(), wanted.values.ravel())


def test_vti_places_the_cells_in_micrometres(plane: xr.Dataset, tmp_path: Path) -> None:
    folder = export(plane, tmp_path / "images", "vti", fields=["oxygen"], arms=["CAR-T"], times=[0.0])
    _, image = read_vti(folder / "CAR-T" / "000000.vti")
    assert image["WholeExtent"] == "0 24 0 20 0 1"
    origin, spacing = (np.array(image[k].split(), float) for k in ("Origin", "Spacing"))
    np.testing.assert_allclose(origin[0] + (np.arange(24) + 0.5) * spacing[0], plane["x"].values)
    np.testing.assert_allclose(origin[1] + (np.arange(20) + 0.5) * spacing[1], plane["y"].values)
    arrays, _ = read_vti(folder / "CAR-T" / "000000.vti")
    assert np.isnan(arrays["oxygen"][0, :4, :6]).all() and not np.isnan(arrays["oxygen"][0, 4:]).any()
    assert "tumour" not in arrays


def test_names_of_arms_become_safe_file_names(plane: xr.Dataset, tmp_path: Path) -> None:
    odd = ["../../up", "a/b", "a b", '"<x>"']
    renamed = plane.assign_coords(scenario=odd)
    folder = export(renamed, tmp_path / "images", "vti", fields=["oxygen"], times=[0.0])
    told = json.loads((folder / "fields.json").read_text())["arms"]
    assert list(told) == odd
    assert {p.name for p in tmp_path.iterdir()} == {"images"}
    for series in told.values():
        assert (folder / series).resolve().parent == folder.resolve() and ElementTree.parse(folder / series)


def test_unequal_cells_are_refused_as_images(tmp_path: Path) -> None:
    region = Region.uniform(Grid([np.array([1.0, 2.0, 4.0, 8.0] * 3)]))
    data = to_dataset(synthetic.solution(region, 1.0, 0.3, 0.0), region)
    for to in ("vti", "ome-zarr"):
        with pytest.raises(ValueError, match="`x` must have equal cells .* Export to netcdf"):
            export(data, tmp_path / "x", to)
    assert list(tmp_path.iterdir()) == []


# -- OME-NGFF ---------------------------------------------------------------------------------------------------------


def test_ome_zarr_holds_every_field_arm_and_time(dataset: xr.Dataset, tmp_path: Path) -> None:
    folder = export(dataset, tmp_path / "a.ome.zarr", "ome-zarr", fields=["oxygen", "tumour"])
    root = zarr.open_group(str(folder), mode="r")
    assert root.attrs["ome"] == {"version": "0.5", "bioformats2raw.layout": 3}
    assert root["OME"].attrs["ome"]["series"] == ["0", "1", "2", "3"]
    assert list(root.attrs["tmepde"]["arms"].values()) == [str(n) for n in dataset["scenario"].values]
    for index in range(4):
        image = root[str(index)]
        (scales,) = image.attrs["ome"]["multiscales"]
        axes = scales["axes"]
        assert [a["type"] for a in axes[:2]] == ["time", "channel"] and axes[0]["unit"] == "hour"
        assert 2 <= len(axes[2:]) <= 3 and all(a["unit"] == "micrometer" for a in axes[2:])
        array = image[scales["datasets"][0]["path"]]
        assert array.metadata.dimension_names == tuple(a["name"] for a in axes)
        labels = [c["label"] for c in image.attrs["ome"]["omero"]["channels"]]
        assert array.shape[:2] == (dataset.sizes["time"], len(labels))
        channel = labels.index("oxygen (mmHg)")
        wanted = dataset["oxygen"].isel(scenario=index).values
        np.testing.assert_array_equal(array[:, channel].reshape(wanted.shape), wanted)


def test_ome_zarr_places_pixels_in_micrometres_and_hours(plane: xr.Dataset, tmp_path: Path) -> None:
    folder = export(plane, tmp_path / "a", "ome-zarr", fields=["oxygen"], arms=["CAR-T"])
    root = zarr.open_group(str(folder), mode="r")
    (scales,) = root.attrs["ome"]["multiscales"]
    scale, shift = (t[t["type"]] for t in scales["datasets"][0]["coordinateTransformations"])
    names = [a["name"] for a in scales["axes"]]
    assert names == ["t", "c", "y", "x"] and len(scale) == len(shift) == 4
    for axis, source in ((0, "time"), (2, "y"), (3, "x")):
        values = plane[source].values
        np.testing.assert_allclose(shift[axis] + scale[axis] * np.arange(len(values)), values, rtol=1e-9)


def test_ome_pyramids_keep_means_and_places(tmp_path: Path) -> None:
    region = Region.uniform(Grid.box((600.0, 517.0), (300, 257)))
    rng = np.random.default_rng(0)
    data = to_dataset(synthetic.solution(region, 1.0, 0.3, 0.0, times=[0.0, 1.0, 5.0]), region)[["oxygen", "mask"]]
    values = rng.random(data["oxygen"].shape).astype(np.float32)
    values[:, :40, :40] = np.nan
    data["oxygen"] = (data["oxygen"].dims, values, data["oxygen"].attrs)
    data = data.assign_coords(
        {f"{a}_bounds": to_dataset(synthetic.solution(region, 1.0, 0.3, 0.0), region)[f"{a}_bounds"] for a in "yx"}
    )
    root = zarr.open_group(str(export(data, tmp_path / "a", "ome-zarr")), mode="r")
    (scales,) = root.attrs["ome"]["multiscales"]
    levels = [root[d["path"]] for d in scales["datasets"]]
    assert [level.shape[2:] for level in levels] == [(300, 257), (150, 129), (75, 65)]
    assert "unit" not in scales["axes"][0]  # the saved times are not even
    assert root.attrs["tmepde"]["time_h"] == [0.0, 1.0, 5.0]
    blocks = values[1, :, :256].reshape(150, 2, 128, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(levels[1][1, 0][:, :128], blocks, rtol=1e-5)  # NaN where all four are outside
    for level, entry in enumerate(scales["datasets"]):
        scale, shift = (t[t["type"]] for t in entry["coordinateTransformations"])
        first = 2.0 * 2**level / 2  # cells of 2 um: the centre of the first block
        assert shift[2] == pytest.approx(first) and scale[2] == pytest.approx(2.0 * 2**level)


# -- what is refused, and what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["netcdf", "vti", "ome-zarr"])
def test_nothing_is_replaced_unasked_and_nothing_foreign_ever(plane: xr.Dataset, tmp_path: Path, to: str) -> None:
    target = tmp_path / "out"
    export(plane, target, to, fields=["oxygen"], times=[0.0])
    with pytest.raises(FileExistsError, match="--overwrite"):
        export(plane, target, to, fields=["tumour"], times=[0.0])
    export(plane, target, to, fields=["tumour"], times=[0.0], overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_text("x")
    letter = tmp_path / "letter.txt"
    letter.write_text("x")
    for foreign in (photos, letter):
        with pytest.raises(FileExistsError, match="never replaced"):
            export(plane, foreign, to, overwrite=True)
    assert (photos / "a.jpg").exists() and letter.read_text() == "x"


@pytest.mark.parametrize("to", ["vti", "ome-zarr"])
@pytest.mark.parametrize("arms", [(), ("CAR-T",)])
@pytest.mark.parametrize("name", ["notes.txt", "precious.zarr/zarr.json", "0/mine.vti", "link"])
def test_an_export_that_holds_something_else_is_never_replaced(
    plane: xr.Dataset, tmp_path: Path, to: str, arms: tuple[str, ...], name: str
) -> None:
    """A folder was taken for an export by one file in it, and went with all that had been put there."""
    target = tmp_path / "out"
    export(plane, target, to, fields=["oxygen"], times=[0.0], arms=arms)
    export(plane, target, to, fields=["oxygen"], times=[0.0], arms=arms, overwrite=True)
    mine = target / name
    mine.parent.mkdir(exist_ok=True)
    mine.symlink_to(tmp_path) if name == "link" else mine.write_text("x")
    with pytest.raises(FileExistsError, match=rf"holds '{name.split('/')[0]}.*, which no {to} export writes"):
        export(plane, target, to, fields=["oxygen"], times=[0.0], overwrite=True)
    assert mine.is_symlink() or mine.read_text() == "x"


def test_files_of_other_software_are_never_replaced(plane: xr.Dataset, tmp_path: Path) -> None:
    """Any netCDF file, any folder with a fields.json, any OME-Zarr was taken for an export of ours."""
    other = xr.Dataset({"u": ("x", [1.0])})
    other.to_netcdf(tmp_path / "a", engine="scipy")
    (tmp_path / "cut").write_bytes(b"CDF\x02old")
    for folder, file, text in (
        ("b", "fields.json", "{}"),
        ("c", "fields.json", '["written_by"]'),
        ("d", "zarr.json", '{"attributes": {"ome": {}}}'),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(text)
    for name, to in (("a", "netcdf"), ("cut", "netcdf"), ("b", "vti"), ("c", "vti"), ("d", "ome-zarr")):
        with pytest.raises(FileExistsError, match="never replaced"):
            export(plane, tmp_path / name, to, overwrite=True)
    assert len(list(tmp_path.rglob("*"))) == 8
    bare = plane.assign_attrs({})
    bare.attrs = {}
    export(bare, tmp_path / "bare.nc", "netcdf", fields=["oxygen"])
    export(bare, tmp_path / "bare.nc", "netcdf", fields=["oxygen"], overwrite=True)


def test_times_are_exported_once_and_in_order(plane: xr.Dataset, tmp_path: Path) -> None:
    path = export(plane, tmp_path / "a.nc", "netcdf", fields=["oxygen"], times=[336.0, 0.0, 336.0])
    back = xr.open_dataset(path, engine="scipy", decode_times=False)
    assert back["time"].values.tolist() == [0.0, 336.0]


@pytest.mark.parametrize("to", ["netcdf", "vti"])
def test_what_a_killed_export_left_goes_with_the_next(plane: xr.Dataset, tmp_path: Path, to: str) -> None:
    """It lay beside the target for ever, under a hidden name, as large as the export."""
    left = tmp_path / ".out.partial-0123abcd"
    left.write_text("half") if to == "netcdf" else left.mkdir()
    other = tmp_path / ".out2.partial-0123abcd"
    other.write_text("of another target")
    with Lock(tmp_path / "out"), pytest.raises(LockedError, match="is being written by process"):
        export(plane, tmp_path / "out", to, fields=["oxygen"], times=[0.0])
    assert left.exists()
    export(plane, tmp_path / "out", to, fields=["oxygen"], times=[0.0])
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, "out"]


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.nc"
    xr.Dataset({"u": ("x", [1.0])}, attrs={"tmepde_version": "1"}).to_netcdf(target, engine="scipy")
    before = target.read_bytes()
    with pytest.raises(OSError, match="full"), placed(target, "netcdf", True) as partial:
        partial.write_bytes(b"half")
        raise OSError("disk full")
    assert target.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.nc"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fields": ["oxigen"]}, "Did you mean 'oxygen'"),
        ({"arms": ["CART"]}, "Did you mean 'CAR-T'"),
        ({"times": [1.0]}, "Near it: 0"),
        ({"times": [float("nan")]}, "must be a saved time"),
        ({"fields": ["car_t_plasma"]}, "at least one field in space"),
    ],
)
def test_what_is_not_there_is_named(plane: xr.Dataset, tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        export(plane, tmp_path / "out", "vti", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_of_other_software_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have the dimension `time`"):
        export(xr.Dataset({"a": ("b", [1.0])}), tmp_path / "out", "netcdf")
    with pytest.raises(ValueError, match="`to` must be one of netcdf, vti, ome-zarr"):
        export(xr.Dataset(), tmp_path / "out", "hdf4")


def test_the_command_exports_a_part(
    plane: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from tmepde.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tmepde", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    store = write_store(plane, tmp_path / "a.zarr")
    out = tmp_path / "part.nc"
    first = ("export", store, "--to", "netcdf", "-o", out, "--field", "oxygen", "--arm", "CAR-T")
    code, said, _ = run(*first, "--time", "0 day", "--time", "last")
    assert code == 0 and said.strip() == str(out)
    back = xr.open_dataset(out, engine="scipy", decode_times=False)
    assert back["oxygen"].shape == (1, 2, 20, 24) and back["time"].values.tolist() == [0.0, 336.0]
    assert run(*first)[0] == 2  # it exists
    assert run("export", store, "--to", "vti", "-o", store / "inside")[0] == 2
    around = tmp_path / "around"
    assert run("export", store, "--to", "vti", "-o", around, "--time", "last")[0] == 0
    inside = store.rename(around / "a.zarr")
    code, _, said = run("export", inside, "--to", "vti", "-o", around, "--overwrite")
    assert code == 2 and "holds the store" in said  # it was deleted, with exit code 0
    inside.rename(store)
    shutil.rmtree(around)
    assert run("export", tmp_path / "no.zarr", "--to", "vti", "-o", out)[0] == 2
    code, _, said = run(*first, "--time", "3", "--overwrite")
    assert code == 2 and "`--time` must have a unit" in said
    assert run("export", store, "--to", "hdf4", "-o", out)[0] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "part.nc"]
