"""The folder of a run: whose it is, and files in it that are written whole or not at all.

    config.json      the config that the folder belongs to; written before anything else
    checkpoints/     one folder a checkpoint, named by its step
    metrics.jsonl    one row a log or evaluation
    tensorboard/     the same as event files
    result.json      at the end of the run
"""

import contextlib
import fnmatch
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from vision_jax.core import config as config_lib
from vision_jax.core.errors import InputError

CONFIG, CHECKPOINTS, METRICS, EVENTS, RESULT = (
    'config.json', 'checkpoints', 'metrics.jsonl', 'tensorboard', 'result.json'
)
# What may change when a run resumes: how long, how often, how fast, how many, but not what. With
# more steps, a schedule whose length the config leaves open gets longer, too.
MAY_CHANGE = (
    'train.steps', 'train.log_every', 'train.eval_every', 'train.checkpoint_every', 'checkpoint.*',
    'data.directory', 'data.eval_batch_size', 'data.workers', 'data.threads', 'data.read_ahead',
    'data.prefetch', 'evaluators',
)


def check(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
    """Checks, without writing, that a run may use a folder.

    Args:
        folder: New, empty, or that of an earlier run.
        config: The run's config, in plain form.

    Raises:
        InputError: If the folder belongs to another config, whose differing keys are listed, or
            holds results of unknown origin.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f'workdir {folder} is a file; choose a folder')
    if not (folder / CONFIG).exists():
        foreign = [
            name for name in (CHECKPOINTS, METRICS, EVENTS, RESULT) if (folder / name).exists()
        ]
        if foreign:
            raise InputError(f'workdir {folder} holds {", ".join(foreign)} but no {CONFIG}, so it '
                             'is not known whose they are; choose another folder')
        return
    differing = differences(read_config(folder), config)
    if differing:
        raise InputError(f'workdir {folder} belongs to another config: {"; ".join(differing)}; '
                         'choose another folder')


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """The plain config of the run that a folder belongs to."""
    try:
        values = json.loads((folder / CONFIG).read_text())
    except FileNotFoundError:
        raise InputError(f'{folder} has no {CONFIG}: it is no workdir of a run') from None
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise InputError(f'{folder / CONFIG} cannot be read ({error}); '
                         'choose another folder') from None
    if not isinstance(values, dict):
        raise InputError(f'{folder / CONFIG} holds no config; choose another folder')
    return values


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys that differ and may not, each as `key: old -> new`."""
    old, new = config_lib.flatten(old), config_lib.flatten(new)
    absent = 'absent'
    return [
        f'{key}: {old.get(key, absent)!r} -> {new.get(key, absent)!r}'
        for key in sorted({*old, *new})
        if old.get(key, absent) != new.get(key, absent)
        and not any(fnmatch.fnmatchcase(key, pattern) for pattern in MAY_CHANGE)
    ]


def claim(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
    """Makes a folder the run's own, after `check`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, config)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file whole."""
    with replacing(path) as temporary:
        text = json.dumps(value, indent=1, sort_keys=True)
        temporary.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives another name to write a file under, then renames it: readers see the old or the new."""
    temporary = path.with_name(path.name + '.tmp')
    yield temporary
    with temporary.open('rb+') as file:
        os.fsync(file.fileno())
    temporary.replace(path)
