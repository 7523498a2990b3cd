"""Experiment configs: read from a Python file, overridden from a command line, kept as JSON.

A config is a locked `ml_collections.ConfigDict` that `get_config(variant)` of a file returns. What
is written beside a run is its plain form: dicts, lists, numbers, texts.
"""

import ast
import importlib.util
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections
import yaml

from vision_jax.core.errors import InputError, nearest

# Keys that the engine reads, their type, and the least value of a number.
ENGINE_KEYS: dict[str, tuple[type, float | None]] = {
    'task': (str, None),
    'seed': (int, 0),
    'parallel': (str, None),
    'data.name': (str, None),
    'data.batch_size': (int, 1),
    'data.prefetch': (int, 1),
    'data.train_split': (str, None),
    'data.test_split': (str, None),
    'train.steps': (int, 1),
    'train.accumulate': (int, 1),
    'train.ema_decay': (float, 0),
    'train.compute_dtype': (str, None),
    'train.log_every': (int, 1),
    'train.eval_every': (int, 0),
    'train.checkpoint_every': (int, 1),
    'optimizer.name': (str, None),
    'optimizer.learning_rate': (float, 0),
    'optimizer.freeze': (tuple, None),
    'checkpoint.keep': (int, 1),
    'checkpoint.best_metric': (str, None),
    'checkpoint.best_mode': (str, None),
    'evaluators': (tuple, None),
}
BEST_MODES = ('max', 'min')
BOOLEANS = {'true': True, '1': True, 'false': False, '0': False}


def load(name: str, *, overrides: Iterable[str] = ()) -> ml_collections.ConfigDict:
    """Reads a config file and applies overrides.

    Args:
        name: `path.py`, or `path.py:variant`.
        overrides: Texts `section.key=value`; see `override`.

    Returns:
        The config, locked and checked.

    Raises:
        InputError: On a missing file, one without `get_config`, an unknown key or a wrong value.
    """
    path, _, variant = name.partition(':')
    if not pathlib.Path(path).is_file():
        known = [str(file) for file in pathlib.Path('configs').glob('*/*.py')]
        known = [file for file in known if not file.endswith('__init__.py')]
        raise InputError(f"no config file '{path}'{nearest(path, known) if known else ''}")
    spec = importlib.util.spec_from_file_location('vision_jax_config', path)
    if spec is None:
        raise InputError(f"config '{path}': expected a Python file, `path.py` or `path.py:variant`")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, 'get_config'):
        raise InputError(f"config '{path}' has no function get_config(variant)")
    config = override(module.get_config(variant), overrides)
    check(config)
    return config


def override(
    config: ml_collections.ConfigDict, assignments: Iterable[str]
) -> ml_collections.ConfigDict:
    """A copy of a config with some values replaced; no key is added.

    Args:
        config: The config.
        assignments: Texts `section.key=value`. The value is read as the type that the key has:
            a number, a text as it is, `true` or `false`, and for a tuple a Python literal.

    Raises:
        InputError: On an unknown key (with the nearest), or a value of another type.
    """
    config = ml_collections.ConfigDict(config.copy_and_resolve_references())
    known = list(flatten(plain(config)))
    for assignment in assignments:
        key, equals, text = assignment.partition('=')
        if not equals:
            raise InputError(f"config.{key}: expected --config.{key}=value")
        if key not in known:
            prefix = key + '.'
            if any(name.startswith(prefix) for name in known):
                raise InputError(f"config key '{key}' is a section; set a key of it, "
                                 f"such as {next(n for n in known if n.startswith(prefix))}")
            raise InputError(f"config has no key '{key}'{nearest(key, known)}")
        *sections, last = key.split('.')
        section = config
        for name in sections:
            section = section[name]
        section[last] = _parse(key, text, section[last])
    return config.lock()


def check(config: Mapping[str, Any]) -> None:
    """Raises `InputError` where a key that the engine needs is missing or has a wrong value."""
    values = flatten(plain(config))
    for key, (kind, low) in ENGINE_KEYS.items():
        if kind is tuple:
            continue
        if key not in values:
            raise InputError(f"config lacks the key '{key}'{nearest(key, values)}")
        value = values[key]
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise InputError(f'config.{key}: expected {kind.__name__}, got {value!r}')
        if low is not None and not value >= low:
            raise InputError(f'config.{key}: expected at least {low}, got {value}')
    if values['train.ema_decay'] >= 1:
        raise InputError(f"config.train.ema_decay: expected a number in [0, 1), "
                         f"got {values['train.ema_decay']}")
    mode = values['checkpoint.best_mode']
    if mode not in BEST_MODES:
        raise InputError(f"config.checkpoint.best_mode: '{mode}'{nearest(mode, BEST_MODES)}")


def plain(value: Any) -> Any:
    """A config as dicts, lists, numbers and texts, equal to what its JSON reads back as."""
    if isinstance(value, ml_collections.ConfigDict):
        value = value.copy_and_resolve_references().to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f'config: a value of type {type(value).__name__} cannot be written to a file; '
                     'use numbers, texts, tuples and sections')


def from_plain(values: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """The locked config of a plain form; lists become tuples, as configs have them."""
    return ml_collections.ConfigDict(_with_tuples(values)).lock()


def to_yaml(config: ml_collections.ConfigDict) -> str:
    """A config as YAML of plain values."""
    return yaml.safe_dump(plain(config), sort_keys=True)


def from_yaml(text: str) -> ml_collections.ConfigDict:
    """The config that `to_yaml` wrote."""
    return from_plain(yaml.safe_load(text))


def to_json(config: ml_collections.ConfigDict) -> str:
    """A config as JSON."""
    return json.dumps(plain(config), indent=1, sort_keys=True)


def from_json(text: str) -> ml_collections.ConfigDict:
    """The config that `to_json` wrote."""
    return from_plain(json.loads(text))


def flatten(values: Mapping[str, Any], *, prefix: str = '') -> dict[str, Any]:
    """Nested dicts to one dict with dotted keys; an empty section counts as a value."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, prefix=f'{prefix}{key}.'))
        else:
            flat[prefix + key] = value
    return flat


def _parse(key: str, text: str, old: Any) -> Any:
    """A text as a value of the type of `old`."""
    try:
        if isinstance(old, bool):
            return BOOLEANS[text.lower()]
        if isinstance(old, int | float):
            return type(old)(text)
        if isinstance(old, str):
            return text
        value = ast.literal_eval(text)
        if old is None or isinstance(value, tuple | list):
            return _with_tuples(value)
    except (KeyError, ValueError, SyntaxError):
        pass
    example = "a tuple such as ('a', 'b')" if isinstance(old, tuple | list) else type(old).__name__
    raise InputError(f"config.{key}: expected {example}, got '{text}'") from None


def _with_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
