"""The table of a sweep: complete, deterministic, and refused with a remedy where it cannot be."""

import subprocess
import sys

import numpy as np
import pytest

from tmepde import config as configs
from tmepde.config import ConfigError
from tmepde.config.sweep import _marks
from tmepde.sweep.members import Members, structures
from tmepde.sweep.table import Table, table

BASE = """
schema = 1
[grid]
kind = "radial"
radius = "400 um"
cells = 12
[model]
kind = "solid_tumour"
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "1 hour", amount = "1e8 cells" }
[arms]
"none" = []
"CAR-T" = ["car_t"]
[run]
until = "6 hour"
save = { every = "3 hour" }
"""
DOSE, TIME, RATE = "interventions.car_t.dose.amount", "interventions.car_t.dose.at", "model.processes.killing.rate"


def of(text):
    return table(configs.loads(BASE + text))


def test_grid_is_every_combination_in_every_arm():
    made = of(f'[sweep.grid]\n"{DOSE}" = ["1e7 cells", "1e8 cells", "1e9 cells"]\n"{TIME}" = ["0 h", "2 h"]')
    assert len(made) == 2 * 3 * 2
    rows = {(a, *made.changes(i).values()) for i, a in enumerate(made.arms)}
    assert len(rows) == 12
    numbers, unit = made.column(DOSE)
    assert unit == "cells" and set(numbers) == {1e7, 1e8, 1e9}


def test_order_of_keys_is_irrelevant_and_the_hash_is_of_the_values():
    one = of(f'[sweep.grid]\n"{DOSE}" = ["1e7 cells", "1e8 cells"]\n"{TIME}" = ["0 h", "2 h"]')
    other = of(f'[sweep.grid]\n"{TIME}" = ["0 h", "2 h"]\n"{DOSE}" = ["1e7 cells", "1e8 cells"]')
    changed = of(f'[sweep.grid]\n"{TIME}" = ["0 h", "3 h"]\n"{DOSE}" = ["1e7 cells", "1e8 cells"]')
    assert one == other and one.digest == other.digest != changed.digest


def test_table_is_the_same_in_another_process():
    text = "[sweep]\nseed = 3\n[sweep.sobol]\nsamples = 8\n[sweep.sobol.axes]\n"
    text += f'"{DOSE}" = {{ low = "1e6 cells", high = "1e9 cells", scale = "log" }}'
    here = of(text)
    code = "from tmepde import config as c; from tmepde.sweep.table import table; "
    code += f"print(table(c.loads({BASE + text!r})).digest)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "5", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
    )
    assert said.stdout.strip() == here.digest


def test_zip_goes_in_step_and_list_sets_together():
    zipped = of(f'[sweep.zip]\n"{DOSE}" = ["1e7 cells", "1e8 cells"]\n"{TIME}" = ["0 h", "2 h"]')
    listed = of(
        f'[[sweep.list]]\n"{DOSE}" = "1e7 cells"\n"{TIME}" = "0 h"\n'
        f'[[sweep.list]]\n"{DOSE}" = "1e8 cells"\n"{TIME}" = "2 h"'
    )
    assert len(zipped) == 4 and zipped.digest == listed.digest


def test_units_of_an_axis_are_made_alike():
    numbers, unit = of(f'[sweep.grid]\n"{TIME}" = ["60 min", "2 hour"]').column(TIME)
    assert unit == "min" and set(numbers) == {60.0, 120.0}


@pytest.mark.parametrize("values", ['0, "1e8 cells"', '"1e8 cells", 0'])
def test_a_zero_without_a_unit_is_zero_in_the_unit_of_the_others(values):
    made = of(f'[sweep]\narms = ["CAR-T"]\n[sweep.grid]\n"{DOSE}" = [{values}]')
    numbers, unit = made.column(DOSE)
    assert unit == "cells" and sorted(numbers) == [0.0, 1e8]
    assert structures(made) == 1


def test_names_that_begin_with_a_number_are_no_numbers():
    names = ["1a.npy", "2b.npy"]
    texts, unit = Table({"tissue.file": names}, ["none"] * 2, [0, 0]).column("tissue.file")
    assert list(texts) == names and unit == "1"


@pytest.mark.parametrize(("block", "scale"), [("latin_hypercube", "linear"), ("sobol", "linear"), ("sobol", "log")])
def test_whole_numbers_are_drawn_alike_at_the_ends_and_between(block, scale):
    """n stands for n to n + 1, on a scale "log" with the share of it that this is."""
    axes = f'axes = {{ "grid.cells" = {{ low = 10, high = 12, scale = "{scale}" }} }}'
    made = of(f'[sweep]\narms = ["none"]\n[sweep.{block}]\nsamples = 256\n{axes}')
    drawn = np.array(made.values["grid.cells"])
    edges = np.arange(10, 14)
    share = np.diff(np.log(edges)) / np.log(1.3) if scale == "log" else np.full(3, 1 / 3)
    assert all(type(n) is int for n in made.values["grid.cells"]) and set(drawn) == {10, 11, 12}
    np.testing.assert_allclose([np.sum(drawn == n) for n in (10, 11, 12)], 256 * share, atol=2)


@pytest.mark.filterwarnings("error")
def test_samples_that_are_no_power_of_2_are_told_in_words():
    text = '[sweep.sobol]\nsamples = 5\naxes = { "' + TIME + '" = { low = "0 h", high = "4 h" } }'
    config = configs.loads(BASE + text)
    assert "`sweep.sobol.samples` should be a power of 2, but is 5" in " ".join(config.warnings)
    assert len(table(config)) == 10
    assert not configs.loads(BASE + text.replace("= 5", "= 8")).warnings


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_ranges_hold_both_ends_evenly(scale):
    made = of(
        '[sweep]\narms = ["none"]\n[sweep.grid]\n'
        f'"{DOSE}" = {{ low = "1e6 cells", high = "1e10 cells", count = 5, scale = "{scale}" }}'
    )
    numbers, _ = made.column(DOSE)
    spaced = np.geomspace(1e6, 1e10, 5) if scale == "log" else np.linspace(1e6, 1e10, 5)
    np.testing.assert_allclose(numbers, spaced, rtol=1e-11)
    assert numbers[0] == 1e6 and numbers[-1] == 1e10


def test_latin_hypercube_visits_every_share_once_and_replicates_differ():
    made = of(
        '[sweep]\narms = ["none"]\nreplicates = 2\n[sweep.latin_hypercube]\nsamples = 16\n'
        f'[sweep.latin_hypercube.axes]\n"{TIME}" = {{ low = "0 h", high = "4 h" }}'
    )
    numbers, _ = made.column(TIME)
    assert made.replicates == [0] * 16 + [1] * 16
    for half in (numbers[:16], numbers[16:]):
        assert sorted(np.floor(half / 4 * 16)) == list(range(16))
    assert set(numbers[:16]).isdisjoint(numbers[16:])


def test_priors_stay_within_their_ranges():
    made = of(f'[sweep]\narms = ["none"]\n[sweep.priors]\nsamples = 8\npaths = ["{RATE}"]')
    numbers, unit = made.column(RATE)
    config = configs.loads(BASE)
    value = float(config.build().scenario.at(RATE))
    assert len(set(numbers)) == 8 and np.all(numbers >= value / 3.01) and np.all(numbers <= value * 3.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sweep]", ["sweep", "must vary something"]),
        (f'[sweep.grid]\n"{DOSE}" = []', [DOSE, "list of values"]),
        (f'[sweep.grid]\n"{DOSE}" = ["1e8 um"]', [DOSE, "1e8 um", "dimension"]),
        (f'[sweep.grid]\n"{DOSE}" = ["1e8 cells", "1e8 cells"]', [DOSE, "once"]),
        ('[sweep.grid]\n"interventions.cart.dose.amount" = ["1e8 cells"]', ["'cart'", "Did you mean 'car_t'"]),
        ('[sweep.grid]\n"model.processes.kiling.rate" = [1.0]', ["kiling", "Did you mean"]),
        ('[sweep.grid]\n"run.until" = ["1 day"]', ["run.until", "share"]),
        (f'[sweep.zip]\n"{DOSE}" = ["1e8 cells"]\n"{TIME}" = ["0 h", "1 h"]', ["zip", "1 for", "2 for"]),
        (f'[sweep.grid]\n"{DOSE}" = {{ low = "1e8 cells", high = "1e9 cells" }}', ["count"]),
        (f'[sweep.grid]\n"{DOSE}" = {{ low = "1e9 cells", high = "1e8 cells", count = 3 }}', ["above low"]),
        (f'[sweep.grid]\n"{DOSE}" = {{ low = "0 cells", high = "1e8 cells", count = 3, scale = "log" }}', ["positive"]),
        (f'[sweep.grid]\n"{DOSE}" = {{ low = "1e8 cells", high = "1 h", count = 3 }}', ["unit like low"]),
        (f'[sweep]\narms = ["CART"]\n[sweep.grid]\n"{DOSE}" = ["1e8 cells"]', ["CART", "Did you mean 'CAR-T'"]),
        (f'[sweep]\nreplicates = 3\n[sweep.grid]\n"{DOSE}" = ["1e8 cells"]', ["replicates"]),
        (f'[sweep]\nbatch = 0\n[sweep.grid]\n"{DOSE}" = ["1e8 cells"]', ["sweep.batch", "0"]),
        (
            f'[sweep.sobol]\nsamples = 1000000\n[sweep.sobol.axes]\n"{DOSE}" = {{ low = "1 cells", high = "2 cells" }}',
            ["2,000,000"],
        ),
        (f'[sweep.grid]\n"{DOSE}" = ["1e8 cells"]\n[sweep.zip]\n"{DOSE}" = ["1e8 cells"]', ["one block"]),
        (
            f'[sweep.grid]\n"{DOSE}" = ["1e8 cells"]\n"interventions.car_t.dose" = [{{ kind = "bolus" }}]',
            ["beside one below it", f"'interventions.car_t.dose' holds '{DOSE}'"],
        ),
        (
            f'[sweep.grid]\n"{RATE}" = [1]\n[sweep.zip]\n"model.processes.\\"killing\\".rate" = [2]',
            ["one block", "is in two"],
        ),
        (
            f'[sweep]\narms = ["none", "CAR-T", "none"]\n[sweep.grid]\n"{DOSE}" = ["1e8 cells"]',
            ["`sweep.arms` must name each arm once", '"none" is repeated'],
        ),
        (f'[sweep]\narms = []\n[sweep.grid]\n"{DOSE}" = ["1e8 cells"]', ["`sweep.arms` must have at least 1 entry"]),
        ("[sweep.priors]\nsamples = 4\npaths = []", ["`sweep.priors.paths` must have at least 1 entry, but []"]),
        (
            f'[sweep.grid]\n"{RATE}" = ["1e-3 1/h", "0.024 1/day"]',
            [RATE, '"0.024 1/day" is the same as "1e-3 1/h". Drop it.'],
        ),
        (f'[sweep.grid]\n"{DOSE}" = [0, "1e8 cells", "0 cells"]', [DOSE, '"0 cells" is the same as 0']),
        ('[sweep.grid]\n"run.until" = ["1 day", "2 day"]', ["has 1 problem", "must not vary 'run.until'"]),
        ('[sweep.grid]\n"grid.cells" = { low = 10, high = 12, count = 5 }', ['"grid.cells".count', "10 to 12 holds 3"]),
        (
            '[sweep.grid]\n"grid.cells" = { low = 1, high = 10, count = 8, scale = "log" }',
            ['"grid.cells".count', "holds 7 at equal factors"],
        ),
        ('[sweep.grid]\n"grid.cells" = { low = 1, high = 1' + "0" * 400 + ", count = 3 }", ["high", "finite"]),
        (f'[sweep.grid]\n"{RATE}" = ["1 1/h", 2]', [RATE, "2 has none", "alike"]),
        (f'[[sweep.list]]\n"{RATE}" = 2\n[[sweep.list]]\n"{RATE}" = "1 1/h"', ["sweep.list", RATE, "2 has none"]),
        (
            f'[sweep.grid]\n"{DOSE}" = {{ low = 0, high = "1e8 cells", count = 3 }}',
            [f'sweep.grid."{DOSE}".low', 'unit like high ("1e8 cells")'],
        ),
        (
            f'[sweep.sobol]\nsamples = 4\naxes = {{ "{DOSE}" = {{ low = "x", high = 2 }}, "{RATE}" = {{ high = 2 }} }}',
            [f'sweep.sobol.axes."{DOSE}".low', f'sweep.sobol.axes."{RATE}".low'],
        ),
        (
            f'[sweep.grid]\n"{DOSE}" = {{ low = "nan cells", high = "1 cells", count = 3 }}\n"{RATE}" = 2',
            [f'sweep.grid."{DOSE}".low', f'sweep.grid."{RATE}"'],
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(text, words):
    with pytest.raises(ConfigError) as caught:
        configs.loads(BASE + text)
    for word in words:
        assert word in str(caught.value)


def test_names_that_begin_with_one_number_are_not_the_same():
    marks = list(_marks(["0a.npy", "0b.npy", "1.png", "1.0.png", True, 1, "1.0", [1], {"a": 1}]))
    assert marks[5] == marks[6] and len(set(marks)) == len(marks) - 1


PUBLISHED = """
schema = 1
[grid]
extent = ["40 um"]
cells = [1]
[model]
kind = "kuznetsov_1994"
[run]
until = "600 hour"
[sweep.priors]
samples = 4
paths = ["model.death"]
"""


def test_priors_of_a_model_of_the_literature_have_the_paths_of_its_config():
    """They had been known as model.processes.kuznetsov_1994.death alone, which no config can set."""
    config = configs.loads(PUBLISHED)
    made = table(config)
    numbers, unit = made.column("model.death")
    value = config.build().scenario.at("model.processes.kuznetsov_1994.death")
    assert len(set(numbers)) == 4 and np.all(np.abs(np.log(numbers / float(value))) < 1.1) and unit == "1/h"
    built, _ = Members(config, made).build(2)
    assert float(built.at("model.processes.kuznetsov_1994.death")) == pytest.approx(numbers[2], rel=1e-6)
    with pytest.raises(ConfigError, match=r"has no prior. Known: model.crowding, model.death,"):
        table(configs.loads(PUBLISHED.replace("model.death", "model.processes.kuznetsov_1994.death")))


def test_resolved_config_gives_the_same_table():
    config = configs.loads(BASE + f'[sweep.grid]\n"{DOSE}" = ["1e7 cells", "1e8 cells"]')
    assert table(configs.loads(config.toml())).digest == table(config).digest
