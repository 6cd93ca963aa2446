"""Every test runs with 64-bit mode on; the precision of a run is still chosen explicitly by ``precision=``.

Compiled programs are kept in pytest's cache folder, so that a second run of the tests compiles nothing.
"""

import jax
import pytest


def pytest_configure(config):
    jax.config.update("jax_enable_x64", True)
    if hasattr(config, "cache"):
        jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


#: files that take minutes: they come first, so that no worker is left with one of them at the end
LONG = (
    "test_killed_runs.py",
    "test_cli.py",
    "test_sweep.py",
    "test_readme.py",
    "test_gradients.py",
    "test_config_fuzz.py",
    "test_examples.py",
    "test_composition.py",
    "test_environment.py",
    "test_branch.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True, scope="module")
def programs_are_dropped():
    """Thousands of compiled programs in one process use up its memory maps, and it crashes."""
    yield
    jax.clear_caches()
