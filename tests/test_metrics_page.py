"""docs/metrics.md is what its generator prints, and speaks of metrics and keywords that exist."""

import csv
import importlib.util
import inspect

import pytest

from vision_jax import catalog


@pytest.fixture(scope='module')
def docs(pytestconfig):
    return pytestconfig.rootpath / 'docs'


def test_the_page_is_up_to_date(docs):
    spec = importlib.util.spec_from_file_location('make_metrics', docs / 'make_metrics.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (docs / 'metrics.md').read_text() == module.page(), 'run python docs/make_metrics.py'


def test_keywords_that_follow_a_peer_exist(docs):
    with (docs / 'peer_differences.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        known = inspect.signature(catalog.get(row['metric'])).parameters
        words = [] if row['options'] in ('', '-') else row['options'].split()
        assert {word.split('=')[0] for word in words} <= set(known), row
