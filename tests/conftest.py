"""Settings that every test runs under."""

import os
import shutil
import tempfile

# Workers share the cores: threads of NumPy's linear algebra that wait for each other cost a quarter of the time. Said
# before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import jax
import pytest

# The same examples in every run: what passes here passes at the gate. One that fails is printed, and belongs in a test.
hypothesis.settings.register_profile("gate", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("gate")

# This script makes frozen numbers with packages that the tests do not need; and the plugin is no place for doctests.
collect_ignore = ["frozen/make_surgery.py", "frozen/make_deepxde.py", "annotations.py"]

# Several devices on one processor, so that sharded runs can be compared with unsharded ones.
jax.config.update("jax_num_cpu_devices", 8)
# (n, 1) - (n,) is the classic bug of this field; here it raises.
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """Quick compilation, which most of the time of a run is, of doctests too.

    XLA leaves out its optimisations, and what one worker has compiled the others read.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:  # a worker, a test's own process, or the user's wish
        return
    folder = tempfile.mkdtemp(prefix="pinnjax-programs-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    options = {"compilation_cache_dir": folder, "persistent_cache_min_compile_time_secs": 0}
    for name, value in options.items():
        os.environ[f"JAX_{name.upper()}"] = str(value)
        jax.config.update(f"jax_{name}", value)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Both precisions; float64 switches x64 on for the test."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", request.param == "float64")
    yield jax.numpy.dtype(request.param)
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(autouse=True)
def _the_precision_stays():
    """The command line switches x64 on for recipes in double precision; not for the next test."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def x64():
    """Double precision for the test."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(autouse=True)
def _optimised_where_it_trains(request):
    """Slow tests are run by what XLA makes at its best, but for modules of many small programs."""
    long = request.node.get_closest_marker("slow") or request.node.get_closest_marker("exhaustive")
    if long and "quick_compilation" not in request.fixturenames:
        jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def quick_compilation():
    """Asked for by modules whose slow tests are many small programs, too."""


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Drop a module's compiled programs when it is done: thousands of them exhaust the maps that a process may have."""
    yield
    jax.clear_caches()
