"""Strict JAX on eight fake CPU devices; set before JAX starts."""

import gc
import os
import pathlib
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault(
    'JAX_COMPILATION_CACHE_DIR', str(pathlib.Path(tempfile.gettempdir()) / 'vision_jax_xla_cache')
)

import jax
import pytest

from vision_jax import catalog

FAKE_DEVICES = 8

jax.config.update('jax_num_cpu_devices', FAKE_DEVICES)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.3)

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def repository() -> pathlib.Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture
def strict_dtypes():
    """Strict dtype promotion: ops, losses and nn hold it, optax's Adam does not."""
    with jax.numpy_dtype_promotion('strict'):
        yield


def pytest_collection_modifyitems(items):
    """One process of pytest-xdist runs the tests of a metric, or else of a file: it compiles."""
    for item in items:
        parameters = getattr(getattr(item, 'callspec', None), 'params', {})
        name = parameters.get('name')
        if item.path.name == 'test_golden.py' and 'rows' in parameters:
            name = parameters['rows'][0]['name']
        metric = isinstance(name, str) and name in catalog.CATALOG
        group = name if metric else item.nodeid.split('::')[0]
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_teardown(item, nextitem):
    """What a group compiled is of no use to the next; all of it would fill the memory."""
    if 'PYTEST_XDIST_WORKER' not in os.environ:  # one process runs the groups interleaved
        return
    groups = [i.get_closest_marker('xdist_group').args for i in (item, nextitem) if i]
    if len(groups) == 2 and groups[0] != groups[1]:
        jax.clear_caches()
        gc.collect()
