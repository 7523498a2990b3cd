"""Data sets by name, as random-access sources; `pipeline` turns a source into batches."""

import importlib

from vision_jax.core.errors import InputError, nearest
from vision_jax.data.sources import ConcatSource, Source

DATA_SETS = {
    'csiq': 'vision_jax.data.datasets.csiq:load',
    'folder': 'vision_jax.data.quality:load_folder',
    'kadid10k': 'vision_jax.data.datasets.kadid10k:load',
    'koniq10k': 'vision_jax.data.datasets.koniq10k:load',
    'live': 'vision_jax.data.datasets.live:load',
    'live_in_the_wild': 'vision_jax.data.datasets.live_in_the_wild:load',
    'photo_distortions': 'vision_jax.data.photo_distortions:load',
    'pieapp': 'vision_jax.data.datasets.pieapp:load',
    'spaq': 'vision_jax.data.datasets.spaq:load',
    'tid2013': 'vision_jax.data.datasets.tid2013:load',
}


def load(config, split: str) -> Source:
    """Opens a data set, building it first where that is needed.

    Args:
        config: The `data` section of an experiment's config. `name` is a data set, or several
            joined by `+` (`'tid2013+kadid10k'`: one source after the other, with photographs and
            distortions renumbered so that none coincide); the other keys are the data set's own.
        split: `'train'`, `'test'` or `'all'`; `photo_distortions` documents further ones.

    Returns:
        A random-access source of examples.

    Raises:
        InputError: On an unknown name (with the nearest), a missing archive, a bad label, or an
            empty source.
    """
    sources = [_load_one(name, config, split) for name in config['name'].split('+')]
    source = sources[0] if len(sources) == 1 else ConcatSource(sources)
    if not len(source):
        raise InputError(f"data.name={config['name']}: no images found in split '{split}'")
    return source


def _load_one(name: str, config, split: str) -> Source:
    if name not in DATA_SETS:
        raise InputError(f"no data set '{name}'{nearest(name, DATA_SETS)}")
    module, function = DATA_SETS[name].split(':')
    return getattr(importlib.import_module(module), function)(config, split)
