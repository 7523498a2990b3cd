"""Configs: loading, overriding with types, nearest names, and JSON and YAML."""

import ml_collections
import pytest
import yaml

from tests import toy_runs
from vision_jax.core import config
from vision_jax.core.errors import InputError

FILE = '''
from tests import toy_runs


def get_config(variant=''):
    return toy_runs.config(train__steps=3 if variant == 'smoke' else 30)
'''


@pytest.fixture
def path(tmp_path):
    """A config file."""
    (tmp_path / 'mine.py').write_text(FILE)
    return str(tmp_path / 'mine.py')


def test_a_variant_and_overrides(path):
    assert config.load(path).train.steps == 30
    made = config.load(f'{path}:smoke', overrides=[
        'seed=7', 'optimizer.learning_rate=1e-2', 'data.flip=false', 'evaluators=("correlation",)',
        'weights.path=a=b.npz', 'optimizer.freeze=["a/.*"]',
    ])
    assert made.train.steps == 3
    assert (made.seed, made.optimizer.learning_rate, made.data.flip) == (7, 0.01, False)
    assert made.evaluators == ('correlation',)
    assert made.optimizer.freeze == ('a/.*',)
    assert made.weights.path == 'a=b.npz'
    assert made.is_locked


def test_overriding_leaves_the_original_alone():
    original = toy_runs.config()
    assert config.override(original, ['train.steps=77']).train.steps == 77
    assert original.train.steps == 10


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('train.stpes=3', "no key 'train.stpes'; did you mean 'train.steps'"),
        ('sed=3', "no key 'sed'; did you mean 'seed'"),
        ('train=3', "'train' is a section; set a key of it, such as train"),
        ('train.steps', 'expected --config.train.steps=value'),
        ('train.steps=many', "train.steps: expected int, got 'many'"),
        ('train.steps=1.5', "train.steps: expected int, got '1.5'"),
        ('data.flip=maybe', "data.flip: expected bool, got 'maybe'"),
        ('optimizer.learning_rate=', "learning_rate: expected float, got ''"),
        ('evaluators=correlation', r"evaluators: expected a tuple such as \('a', 'b'\)"),
        ('evaluators=__import__("os")', 'evaluators: expected a tuple'),
    ],
)
def test_a_wrong_override_is_answered(text, message):
    with pytest.raises(InputError, match=message):
        config.override(toy_runs.config(), [text])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('train.steps=0', 'train.steps: expected at least 1, got 0'),
        ('optimizer.learning_rate=nan', 'learning_rate: expected at least 0, got nan'),
        ('train.ema_decay=1.0', r'ema_decay: expected a number in \[0, 1\)'),
        ('checkpoint.best_mode=maxi', "'maxi'; did you mean 'max'"),
    ],
)
def test_a_value_out_of_range_is_answered(path, text, message):
    with pytest.raises(InputError, match=message):
        config.load(path, overrides=[text])


def test_a_missing_key_or_a_wrong_type_is_answered():
    made = toy_runs.config().copy_and_resolve_references()
    with made.unlocked():
        del made.train.log_every
    with pytest.raises(InputError, match="lacks the key 'train.log_every'"):
        config.check(made)
    broken = config.plain(toy_runs.config())
    broken['train']['steps'] = True
    with pytest.raises(InputError, match='train.steps: expected int, got True'):
        config.check(broken)


def test_what_is_no_config_file_is_answered(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(repository)
    with pytest.raises(InputError, match="did you mean 'configs/iqa/metaiqa.py'"):
        config.load('configs/iqa/metaiq.py')
    (tmp_path / 'empty.py').write_text('')
    with pytest.raises(InputError, match='no function get_config'):
        config.load(str(tmp_path / 'empty.py'))
    (tmp_path / 'text.txt').write_text('')
    with pytest.raises(InputError, match='expected a Python file'):
        config.load(str(tmp_path / 'text.txt'))


@pytest.mark.parametrize(
    ('write', 'read'), [(config.to_json, config.from_json), (config.to_yaml, config.from_yaml)]
)
def test_a_config_comes_back_from_text(write, read):
    made = toy_runs.config(evaluators=('a', 'b'), optimizer__lr_multipliers=(('x/.*', 0.1),))
    again = read(write(made))
    assert again == made
    assert again.is_locked
    assert isinstance(again.optimizer.lr_multipliers[0], tuple)
    assert write(again) == write(made)


def test_yaml_is_plain_yaml():
    made = toy_runs.config(evaluators=('a',))
    assert yaml.safe_load(config.to_yaml(made))['evaluators'] == ['a']


def test_references_are_resolved_and_objects_refused():
    made = ml_collections.ConfigDict({'a': 3})
    made.b = made.get_ref('a')
    assert config.plain(made) == {'a': 3, 'b': 3}
    with pytest.raises(InputError, match='a value of type function'):
        config.plain({'f': config.plain})
