"""The report: the numbers it states, and a page that needs nothing but itself."""

import re
import subprocess
import sys

import numpy as np
import pytest
import synthetic
import xarray as xr

from tmepde.io import StoreError, combine_arms, write_store
from tmepde.report import curves, maps, render, write_report
from tmepde.report.measures import Arm, arms, distance_edges
from tmepde.report.tables import counted, number, percent

REGIONS = {"square": synthetic.disc, "cube": synthetic.ball, "sphere": synthetic.shell}


def made(region, **options) -> xr.Dataset:
    return combine_arms(
        synthetic.arms(region), region=region, config_text=synthetic.CONFIG, name="made <up>", **options
    )


#: drawing takes most of the time, so that most tests draw few fields
FEW = ["car_t_exhausted", "chemokine", "ifn_gamma", "collagen"]


@pytest.fixture(scope="module")
def dataset():
    return made(synthetic.disc()).drop_vars(FEW)


@pytest.fixture(scope="module")
def page(dataset):
    return render(dataset)


# -- measures -------------------------------------------------------------------------------------------------------


def simple(car_t_inside, car_t_outside, oxygen=5.0):
    """A radial nodule of 350 µm with densities that are constant inside and outside."""
    region = synthetic.shell(80)
    solution = synthetic.solution(region, 1.0, 0.3, 0.0, times=[0.0, 24.0], dtype=np.float64)
    cells = car_t_inside * region.tumour + car_t_outside * region.stroma
    for name in solution.fields:
        solution.fields[name] = np.zeros_like(solution.fields[name])
    solution.fields["car_t"][:] = cells
    solution.fields["tumour"][:] = 2e5 * region.tumour
    solution.fields["tumour_negative"][1] = 5e4 * region.tumour
    solution.fields["oxygen"][:] = np.where(region.margin_distance < -200, oxygen, 40.0)
    return Arm(combine_arms({"a": solution}, region=region).isel(scenario=0))


def test_amounts_are_integrals_in_cells():
    arm = simple(1000.0, 0.0)
    assert arm.amount(("car_t",), 1) == pytest.approx(1000.0 * 4 / 3 * np.pi * 0.35**3, rel=1e-3)
    assert arm.burden(1) == pytest.approx(1.25)
    assert arm.antigen_negative(1) == pytest.approx(0.2)


def test_a_store_without_exhausted_cells_counts_effectors_and_says_so(dataset):
    """27 of 30 cells of a nodule were called CAR-T cells where ``run.save.fields`` leaves exhausted ones out."""
    assert counted(arms(dataset)) == "CAR-T, effectors only"
    assert counted(arms(made(synthetic.shell()))) == "CAR-T"


def test_hypoxic_fraction_is_a_volume_fraction_of_the_nest():
    assert simple(0, 0).hypoxic(1, 10.0) == pytest.approx((150 / 350) ** 3, rel=2e-3)
    assert simple(0, 0).hypoxic(1, 2.5) == 0.0


def test_depth_of_an_even_spread_is_that_of_the_nest():
    reached, even = simple(1000.0, 0.0).depth(1)
    assert reached == pytest.approx(even)
    assert even == pytest.approx(350 / 4, rel=0.01)  # mean of R − r over a ball


@pytest.mark.parametrize(
    ("inside", "outside", "call"),
    [(0.0, 0.0, "none"), (100.0, 900.0, "desert"), (1000.0, 5000.0, "excluded"), (4000.0, 5000.0, "inflamed")],
)
def test_call_follows_its_stated_limits(inside, outside, call):
    assert simple(inside, outside).call(1) == call


def test_profile_returns_the_density_of_each_side():
    arm = simple(3000.0, 7000.0)
    edges = distance_edges(arm.dataset)
    assert 0.0 in edges
    profile = arm.profile(1, edges)
    assert np.nanmax(np.abs(profile.values[profile.centers < -20] - 3000.0)) < 1e-6
    assert np.nanmax(np.abs(profile.values[profile.centers > 20] - 7000.0)) < 1e-6


def test_an_arm_that_stopped_early_reports_its_last_result():
    region = synthetic.disc()
    full = synthetic.solution(region, 1.0, 0.3, 0.0, times=[0, 24, 48])
    early = synthetic.solution(region, 1.0, 0.3, 0.0, times=[0, 24])
    data = combine_arms({"full": full, "early": early}, region=region)
    found = arms(data)
    assert found["early"].last == 1 and found["full"].last == 2
    assert "early stopped at day" in render(data.drop_vars([*FEW, "oxygen", "tumour_negative"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.5, "1.50"),
        (-2e-5, "−2.00·10⁻⁵"),
        (123456, "1.23·10⁵"),
        (12345, "12\u202f300"),
        (999.6, "1000"),
        (np.nan, "–"),
        (np.inf, "∞"),
    ],
)
def test_numbers_are_printed_for_readers(value, text):
    assert number(value) == text


def test_percentages_are_printed_for_readers():
    assert [percent(v) for v in (0.0, 0.014, 0.41, np.nan)] == ["0 %", "1.4 %", "41 %", "–"]


# -- page -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["square", pytest.param("cube", marks=pytest.mark.slow), "sphere"])
def test_page_is_made_for_every_kind_of_grid(name):
    text = render(made(REGIONS[name]()).drop_vars(FEW).isel(scenario=[0, 2]))
    for section in (
        "results",
        "tissue",
        "time",
        "infiltration",
        "fields",
        "conservation",
        "parameters",
        "configuration",
    ):
        assert f'<section id="{section}">' in text, section
    assert text.count("<img") >= 7


def test_page_is_self_contained_and_says_everything(dataset, page):
    text = page
    sources = re.findall(r'(?:src|href)="([^"]{1,40})', text)
    assert all(s.startswith(("data:image/", "#")) for s in sources)
    assert "<script" not in text and "@import" not in text and "http" not in re.sub(r'src="data:[^"]*"', "", text)
    for words in (
        "CAR-T + hyaluronidase",
        "Casciari 1992",
        "from memory",
        "Resolved configuration",
        "until = &quot;14 day&quot;",
    ):
        assert words in text, words
    assert "made &lt;up&gt;" in text and "made <up>" not in text
    assert dataset.attrs["config_hash"] in text


def test_page_is_the_same_every_time(dataset, page):
    assert render(dataset) == page


@pytest.mark.parametrize(
    "part",
    [
        lambda d: d.isel(scenario=1, drop=True),
        lambda d: d.isel(time=[0]),
        lambda d: d[["cell_volume", "mask", "oxygen"]].drop_vars(["x_bounds", "y_bounds"], errors="ignore"),
        lambda d: d.drop_vars([n for n in d.data_vars if str(n).startswith("region_")]),
        lambda d: d.drop_vars(["car_t", "car_t_plasma", "burden", "mass_balance_error"]),
    ],
    ids=["one arm", "one time", "one field", "no region", "no CAR-T"],
)
def test_what_is_missing_is_left_out(dataset, part):
    few = dataset.isel(scenario=[0, 1]).drop_vars("tumour_negative")
    assert "<h1>" in render(part(few))


def test_foreign_dataset_is_explained():
    with pytest.raises(ValueError, match="no cell_volume"):
        render(xr.Dataset(coords={"time": [0.0]}))


def test_report_reads_only_the_store_and_neither_jax_nor_equinox(dataset, tmp_path):
    store = write_store(dataset.isel(scenario=[0, 1]).drop_vars(["tumour_negative", "oxygen"]), tmp_path / "run.zarr")
    code = (
        "import sys; from tmepde.report import write_report; write_report(sys.argv[1], sys.argv[2]);"
        "assert not {'jax', 'equinox'} & set(sys.modules), 'heavy imports'"
    )
    out = tmp_path / "new" / "bericht é.html"
    done = subprocess.run([sys.executable, "-c", code, str(store), str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in out.parent.iterdir()] == [out.name]


def test_an_earlier_report_is_replaced_but_nothing_else(dataset, tmp_path):
    small = dataset[["cell_volume", "mask", "car_t_plasma"]]
    out = write_report(small, tmp_path / "report.html")
    assert write_report(small, out) == out
    letter = tmp_path / "letter.html"
    letter.write_text("<p>Dear all</p>")
    with pytest.raises(FileExistsError, match="no report"):
        write_report(small, letter)
    assert letter.read_text() == "<p>Dear all</p>"
    with pytest.raises(FileExistsError, match="directory"):
        write_report(small, tmp_path)
    with pytest.raises(StoreError, match="no store"):
        write_report(tmp_path / "nowhere.zarr", tmp_path / "x.html")


# -- long lengths, slices and what is empty -------------------------------------------------------------------------


def test_long_distances_are_shown_in_millimetres():
    assert maps.length(1200.0) == (1.0, "µm")
    assert maps.length(56_000.0) == (1e-3, "mm")


def test_a_slice_of_three_dimensions_shows_y_upwards():
    field = xr.DataArray(np.arange(24.0).reshape(2, 3, 4), dims=("z", "y", "x"))
    assert np.array_equal(maps.middle(field).values, field.values[1, ::-1])
    flat = xr.DataArray(np.arange(12.0).reshape(3, 4), dims=("y", "x"))
    assert maps.middle(flat) is flat


def test_blood_without_cells_has_no_panel(dataset):
    shown = arms(dataset)
    titles = [title for title, *_ in curves._overview_panels(dataset, shown)]
    assert "CAR-T cells in blood" in titles
    empty = dataset.assign(car_t_plasma=0.0 * dataset["car_t_plasma"])
    titles = [title for title, *_ in curves._overview_panels(empty, arms(empty))]
    assert "CAR-T cells in blood" not in titles


def test_a_model_without_a_tumour_is_told_by_its_fields(dataset):
    """Nothing is said of CAR-T cells or margins; every field has its mean and its ends; series are open to see."""
    fields = [n for n in maps.field_names(dataset) if n != "oxygen"]
    regions = [n for n in dataset if n.startswith("region_")]
    own = dataset.drop_vars([*fields, *regions]).rename({"oxygen": "u"})
    own["u"].attrs["long_name"] = "Activator"
    told = render(own)
    assert "Activator" in told and "day" in told and "CAR-T cells inside" not in told
    assert "tumour margin" not in told and "<details><summary>All stored time series" not in told
    arm = next(iter(arms(own).values()))
    inside = own["u"].isel(scenario=0, time=-1).values[arm.volume.reshape(own["cell_volume"].shape) > 0]
    mean, low, high = arm.spread("u", -1)
    assert (low, high) == (inside.min(), inside.max())
    assert f"{number(mean)} <small>({number(low)} … {number(high)})</small>" in told
