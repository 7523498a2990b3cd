"""Every config imports, is locked, round-trips through YAML, and has a smaller smoke variant."""

import importlib
import math
import pathlib

import jax
import ml_collections
import pytest
import yaml

from vision_jax import tasks, train
from vision_jax.core import optim

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = sorted(
    '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    for path in (ROOT / 'configs').glob('*/*.py')
    if path.name != '__init__.py'
)
VARIANTS = ['', 'smoke']


def load(name: str, variant: str) -> ml_collections.ConfigDict:
    return importlib.import_module(name).get_config(variant)


def test_there_are_configs():
    assert 'configs.iqa.metaiqa' in CONFIGS
    assert 'configs.iqa.metaiqa_photos' in CONFIGS


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('name', CONFIGS)
def test_config_is_locked_and_round_trips_through_yaml(name, variant):
    config = load(name, variant)
    with pytest.raises(AttributeError):
        config.no_such_key = 1
    text = yaml.safe_dump(to_plain(config))
    assert to_plain(ml_collections.ConfigDict(yaml.safe_load(text))) == to_plain(config)


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('name', CONFIGS)
def test_config_makes_its_task_and_optimizer(name, variant):
    config = load(name, variant)
    assert callable(tasks.make(config).loss)
    assert callable(optim.make_optimizer(config.optimizer, steps=config.train.steps).init)


@pytest.mark.parametrize('name', CONFIGS)
def test_smoke_is_two_steps(name):
    assert load(name, 'smoke').train.steps == 2
    assert load(name, '').train.steps > 2


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    """Where the data sets of the smoke variants are built."""
    return tmp_path_factory.mktemp('data')


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_smoke_trains(name, directory, tmp_path):
    config = load(name, 'smoke').unlock()
    config.data.directory = str(directory)
    result = train.run(config.lock(), tmp_path / 'run', devices=jax.devices()[:1])
    assert result['step'] == 2
    assert math.isfinite(result['evaluation']['loss'])


def to_plain(value):
    """Nested dicts and lists, as YAML has them."""
    if isinstance(value, (dict, ml_collections.ConfigDict)):
        return {key: to_plain(part) for key, part in value.items()}
    return [to_plain(part) for part in value] if isinstance(value, (tuple, list)) else value
