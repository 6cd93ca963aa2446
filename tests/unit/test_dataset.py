"""Dataset conventions, provenance, and the store on disk."""

import json
import subprocess
import sys

import numpy as np
import pytest
import synthetic
import xarray as xr

from tmepde.io import StoreError, combine_arms, open_store, to_dataset, write_store
from tmepde.io import provenance as provenance_module

REGIONS = {"square": synthetic.disc, "cube": synthetic.ball, "sphere": synthetic.shell}
AXES = {"square": ("y", "x"), "cube": ("z", "y", "x"), "sphere": ("r",)}


def masked_disc():
    from tmepde.grid import Grid
    from tmepde.region import Region

    mask = np.ones((24, 24), bool)
    mask[:4, :6] = False
    return Region.nodule(Grid.square(480.0, 24, mask=mask), radius=150.0)


@pytest.fixture(scope="module")
def dataset():
    region = masked_disc()
    return combine_arms(synthetic.arms(region), region=region, config_text=synthetic.CONFIG, name="made up")


@pytest.mark.parametrize("name", REGIONS)
def test_dimensions_follow_the_grid(name):
    region = REGIONS[name]()
    single = to_dataset(synthetic.solution(region, 1.0, 0.3, 0.0), region)
    assert single["oxygen"].dims == ("time", *AXES[name])
    assert "scenario" not in single.dims
    both = combine_arms(
        {"a": synthetic.solution(region, 1.0, 0.3, 0.0), "b": synthetic.solution(region, 0.0, 0.0, 0.0)}
    )
    assert both["oxygen"].dims == ("scenario", "time", *AXES[name])
    assert both["car_t_plasma"].dims == ("scenario", "time")
    assert both["mask"].dims == AXES[name]


def test_every_variable_has_units_and_a_name(dataset):
    for name, variable in dataset.variables.items():
        assert variable.attrs.get("long_name"), name
        assert variable.attrs.get("units"), name
    assert dataset["oxygen"].attrs["units"] == "mmHg"
    assert dataset["oxygen"].attrs["valid_min"] == 0
    assert dataset["oxygen"].attrs["cell_methods"] == "time: point area: mean"
    assert dataset["time"].attrs["units"] == "h" and dataset["time"].attrs["axis"] == "T"
    assert dataset["x"].attrs["axis"] == "X" and dataset["x"].attrs["bounds"] == "x_bounds"
    assert np.allclose(dataset["x_bounds"][:, 1] - dataset["x_bounds"][:, 0], 20.0)


def test_fields_are_nan_outside_the_tissue_only(dataset):
    outside = dataset["mask"] == 0
    assert bool(dataset["oxygen"].where(outside, drop=True).isnull().all())
    assert bool(dataset["oxygen"].where(~outside, 0.0).notnull().all())
    assert dataset["oxygen"].dtype == np.float32


def test_sphere_volumes_are_those_of_shells():
    region = synthetic.shell()
    dataset = to_dataset(synthetic.solution(region, 1.0, 0.3, 0.0), region)
    assert float(dataset["cell_volume"].sum()) == pytest.approx(4 / 3 * np.pi * 800.0**3)
    assert dataset["cell_volume"].attrs["units"] == "um3"


def test_outcome_and_budgets_are_per_scenario_and_species(dataset):
    assert dataset["status"].dims == ("scenario",) and set(dataset["status"].values) == {"done"}
    assert dataset["n_steps"].dims == ("scenario",)
    assert dataset["mass_balance_error"].dims == ("scenario", "species")
    assert float(dataset["mass_balance_error"].sel(scenario="CAR-T", species="tumour")) == pytest.approx(3.1e-6)


def test_observable_named_like_a_field_gets_a_prefix():
    region = synthetic.disc()
    solution = synthetic.solution(region, 1.0, 0.3, 0.0)
    solution.observables["oxygen"] = np.zeros(len(solution.times))
    dataset = to_dataset(solution, region)
    assert dataset["obs_oxygen"].dims == ("time",) and dataset["burden"].attrs["units"] == "cells"


def test_arm_that_stopped_early_is_padded_with_nan():
    region = synthetic.disc()
    full = synthetic.solution(region, 1.0, 0.3, 0.0, times=[0, 24, 48])
    early = synthetic.solution(region, 1.0, 0.3, 0.0, times=[0, 24])
    dataset = combine_arms({"full": full, "early": early})
    assert dataset.sizes["time"] == 3
    assert bool(dataset["oxygen"].sel(scenario="early", time=48).isnull().all())
    assert bool(dataset["oxygen"].sel(scenario="full", time=48).notnull().all())


def test_no_arms_and_unlike_grids_are_explained():
    with pytest.raises(ValueError, match="at least one arm"):
        combine_arms({})
    with pytest.raises(ValueError, match="share one grid"):
        combine_arms(
            {
                "a": synthetic.solution(synthetic.disc(24), 1.0, 0.3, 0.0),
                "b": synthetic.solution(synthetic.disc(12), 1.0, 0.3, 0.0),
            }
        )


def test_parameters_and_references_are_inside(dataset):
    rows = {row["path"]: row for row in json.loads(dataset.attrs["parameters"])}
    assert rows["model.processes.oxygen_uptake.half"] == {
        "path": "model.processes.oxygen_uptake.half",
        "value": 1.0,
        "unit": "mmHg",
        "doc": "half-uptake pressure",
        "ref": "Casciari 1992",
        "status": "seen",
    }
    strengths = rows["interventions.car_t.strength"]["value"]
    assert strengths["no therapy"] == 0.0 and strengths["CAR-T"] == 1.0
    assert json.loads(dataset.attrs["references"])["Grimes 2014"] == ["model.processes.oxygen_uptake.uptake"]


def test_numbers_of_the_model_are_taken_from_the_configuration():
    text = '[model]\nkind = "solid_tumour"\ncapsule_width = "60 um"\ninterstitium = 0.2\nstroma = "excluded"\n'
    scenario = synthetic.solution(synthetic.disc(12), 1.0, 0.3, 0.0, times=[0, 24]).scenario
    rows = {r["path"]: r for r in json.loads(provenance_module.documented_parameters(scenario, text)["parameters"])}
    assert rows["model.capsule_width"]["value"] == 60.0 and rows["model.capsule_width"]["unit"] == "um"
    assert rows["model.interstitium"]["value"] == 0.2 and "model.stroma" not in rows
    for other in ("not = [toml", "[model]\nkind = 'foreign'", None):
        assert "model.processes.growth.rate" in provenance_module.documented_parameters(scenario, other)["parameters"]


def test_provenance_is_complete(dataset):
    for key in ("tmepde_version", "jax_version", "python_version", "git_commit", "device", "precision", "history"):
        assert dataset.attrs[key], key
    assert dataset.attrs["precision"] == "f32"
    assert dataset.attrs["config"] == synthetic.CONFIG
    assert dataset.attrs["config_hash"] == provenance_module.config_hash(synthetic.CONFIG.replace("\n", "\r\n"))


def test_commit_is_unknown_outside_git(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance_module, "__file__", str(tmp_path / "provenance.py"))
    commit = provenance_module.git_commit.__wrapped__  # asked once a process
    assert commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"


# -- store ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(dataset, tmp_path):
    return write_store(dataset, tmp_path / "out" / "run é.zarr")


def test_store_round_trip_is_exact(dataset, store):
    back = open_store(store).load()
    xr.testing.assert_identical(back, dataset)
    assert back["oxygen"].dtype == np.float32
    assert [p.name for p in store.parent.iterdir()] == [store.name]


def test_xarray_opens_the_store_without_tmepde(store):
    code = (
        "import sys, xarray as xr; ds = xr.open_zarr(sys.argv[1]).load();"
        "assert ds.oxygen.dims == ('scenario', 'time', 'y', 'x'), ds.oxygen.dims;"
        "assert ds.time.dtype.kind == 'f' and ds.wall_time.dtype.kind == 'f';"
        "assert 'CAR-T' in ds.scenario.values and ds.attrs['config'];"
        "assert xr.open_datatree(sys.argv[1], engine='zarr').to_dataset().sizes == ds.sizes;"
        "assert 'tmepde' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, str(store)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_store_is_never_overwritten_unasked(dataset, store):
    with pytest.raises(FileExistsError, match="must not exist yet"):
        write_store(dataset, store)
    write_store(dataset.isel(time=slice(0, 2)), store, overwrite=True)
    assert open_store(store).sizes["time"] == 2
    assert [p.name for p in store.parent.iterdir()] == [store.name]


def test_what_is_not_a_store_is_never_replaced(dataset, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("irreplaceable")
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "thesis", tmp_path / "file", tmp_path / "file" / "inside.zarr"):
        with pytest.raises(FileExistsError):
            write_store(dataset, path, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "irreplaceable"


def test_failed_write_leaves_nothing(dataset, tmp_path):
    bad = dataset.assign(bad=("time", np.array([object()] * dataset.sizes["time"], dtype=object)))
    with pytest.raises(Exception):  # noqa: B017
        write_store(bad, tmp_path / "x.zarr")
    assert list(tmp_path.iterdir()) == []


def test_lost_and_shortened_chunks_are_found(store):
    chunk = sorted(p for p in (store / "oxygen").rglob("*") if p.is_file() and p.name != "zarr.json")[0]
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-7])
    with pytest.raises(StoreError, match=r"truncated.*oxygen"):
        open_store(store)
    chunk.unlink()
    with pytest.raises(StoreError, match=r"truncated.*oxygen"):
        open_store(store)


def test_flipped_bits_are_found_on_reading(store):
    chunk = sorted(p for p in (store / "oxygen").rglob("*") if p.is_file() and p.name != "zarr.json")[0]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0x10
    chunk.write_bytes(bytes(content))
    with pytest.raises(Exception, match="(?i)checksum"):
        open_store(store).load()


def test_what_is_not_ours_is_explained(tmp_path):
    with pytest.raises(StoreError, match="no store at"):
        open_store(tmp_path / "nowhere.zarr")
    with pytest.raises(StoreError, match="not a zarr store"):
        open_store(tmp_path)
    xr.Dataset({"a": ("x", [1.0])}).to_zarr(tmp_path / "foreign.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(StoreError, match="not written by tmepde"):
        open_store(tmp_path / "foreign.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text('{"attributes": {"tmep')
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path / "broken.zarr")
