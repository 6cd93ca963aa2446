"""``tmepde run --from STORE@TIME``: treatments that start from a saved state."""

import numpy as np
import pytest
import xarray as xr

from tmepde.cli.branch import parsed
from tmepde.cli.exits import Stop
from tmepde.cli.run import run

CONFIG = """
schema = 1
[grid]
kind = "radial"
radius = "400 um"
cells = 12
[model]
kind = "solid_tumour"
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "6 hour", amount = "1e8 cells" }
[arms]
"CAR-T" = ["car_t"]
"none" = []
[run]
until = "24 hour"
save = { every = "6 hour" }
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branch")
    config = folder / "a.toml"
    config.write_text(CONFIG)
    run(config, folder / "a.zarr", [], False, True)
    run(config, folder / "b.zarr", [], False, True, start=f"{folder / 'a.zarr'}@12h@CAR-T")
    return config, folder


@pytest.mark.slow
def test_a_branch_goes_on_as_the_run_did(stores):
    """The same dose plan from the state at 12 h: equal to what the steps of a new controller allow (rtol 1e-3)."""
    _, folder = stores
    whole, part = (xr.open_zarr(folder / name) for name in ("a.zarr", "b.zarr"))
    assert list(part.time.values) == [12.0, 18.0, 24.0]
    later = whole.sel(time=part.time)
    for name in ("tumour", "car_t", "oxygen", "car_t_plasma"):
        one, other = (d[name].sel(scenario="CAR-T").values for d in (later, part))
        assert np.array_equal(one[0], other[0])
        np.testing.assert_allclose(other[-1], one[-1], rtol=5e-3, atol=1e-6 * np.abs(one).max())


@pytest.mark.slow
def test_the_other_arm_starts_from_the_same_state_without_new_cells(stores):
    _, folder = stores
    part = xr.open_zarr(folder / "b.zarr")
    one, other = (part["car_t"].sel(scenario=arm).values for arm in ("CAR-T", "none"))
    assert np.array_equal(one[0], other[0]) and one[0].max() > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a}", "STORE@TIME"),
        ("{a}@12", "unit"),
        ("{a}@12 um", "time"),
        ("{a}@12h", "2 arms"),
        ("{a}@12h@CART", "CAR-T"),
        ("{a}@13h@CAR-T", "was not saved at 13 h"),
        ("{a}@24h@CAR-T", "before the end"),
        ("{a}@-1h@CAR-T", "from 0 to before"),
    ],
)
def test_what_cannot_be_started_from_is_refused_and_nothing_is_written(stores, text, words):
    config, folder = stores
    with pytest.raises(Stop, match=words):
        run(config, folder / "c.zarr", [], False, True, start=text.format(a=folder / "a.zarr"))
    assert not (folder / "c.zarr").exists()


def test_names_may_hold_what_shells_pass_on():
    assert parsed("out/a b.zarr@2 day@CAR-T + X")[1:] == (48.0, "CAR-T + X")


def test_a_run_says_that_it_leaves_a_sweep_aside(stores, tmp_path, capsys):
    sweep = '[sweep.grid]\n"interventions.car_t.dose.amount" = ["1e7 cells", "1e8 cells"]\n'
    config = tmp_path / "sweep.toml"
    config.write_text(CONFIG + sweep)
    run(config, tmp_path / "out.zarr", [], False, True)
    assert "tmepde sweep" in capsys.readouterr().err
    assert xr.open_zarr(tmp_path / "out.zarr").sizes["scenario"] == 2
