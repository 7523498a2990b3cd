"""Data set `photo_distortions`: tiles of real photographs, distorted 25 ways at 5 levels.

Its label is a pseudo-MOS: computed by the full-reference metric VSI, no person was asked. Built on
first use from photographs in installed packages, in about two minutes; nothing is downloaded.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
import scipy.stats

from vision_jax.core.errors import InputError, nearest
from vision_jax.data.datasets.quality_builder import DEFAULT_DIRECTORY
from vision_jax.data.distortions import DISTORTIONS
from vision_jax.data.photo_builder import PhotoConfig, PhotoDistortions
from vision_jax.data.photographs import PHOTOGRAPHS
from vision_jax.data.quality import quality_source
from vision_jax.data.sources import Relabelled, Source, where
from vision_jax.data.tfds_build import open_prepared
from vision_jax.data.tfds_source import TfdsSource

LABELS = ('pseudo_mos', 'pseudo_mos_rank', 'vsi')
SPLITS = ('all', 'train', 'test', 'meta_train', 'meta_test', 'support')


def open_builder(config) -> PhotoDistortions:
    """The builder for the `data` section of a config, its files made unless they are there."""
    directory = pathlib.Path(config.get('directory', '') or DEFAULT_DIRECTORY).expanduser()
    what = build_config(config)

    return open_prepared(lambda: PhotoDistortions(
        data_dir=str(directory), file_format='array_record', config=what))


def build_config(config) -> PhotoConfig:
    """What the `data` section of a config builds."""
    options = {name: config[name] for name in ('tile', 'tiles_per_photo') if name in config}
    if 'build_seed' in config:
        options['seed'] = config['build_seed']
    if config.get('photographs', ()):
        options['photographs'] = tuple(config['photographs'])
    return PhotoConfig(**options)


def split_photographs(seed: int, n_test: int, *, photographs: Sequence[str] = ()
                      ) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divides the photographs at random: (train, test), numbers of the column `reference`.

    Args:
        seed: Which division.
        n_test: How many photographs are tested on.
        photographs: Names of those to divide; none for all.
    """
    numbers = [number for number, row in enumerate(PHOTOGRAPHS)
               if not photographs or row.name in photographs]
    return _divide(numbers, seed, n_test, 'test_photographs')


def split_distortions(seed: int, n_test: int, *, unranked: bool = False
                      ) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divides the types at random: (meta-train, meta-test), numbers of the column `distortion`.

    Args:
        seed: Which division.
        n_test: How many types are meta-tested.
        unranked: Also use the types that VSI does not rank by level.
    """
    numbers = [row.number for row in DISTORTIONS if row.ranked or unranked]
    return _divide(numbers, seed, n_test, 'test_distortions')


def _divide(numbers: list[int], seed: int, n_test: int, name: str):
    if not 0 < n_test < len(numbers):
        raise InputError(f'{name}: expected 1 to {len(numbers) - 1}, got {n_test}')
    shuffled = np.random.default_rng(seed).permutation(numbers)
    test = sorted(int(n) for n in shuffled[:n_test])
    return tuple(n for n in numbers if n not in test), tuple(test)


def load(config, split: str) -> Source:
    """Opens the data set, building it on first use.

    Args:
        config: What is built: `tile` (192), `tiles_per_photo` (8), `build_seed` (0), `photographs`
            (all), `directory`. Which part: `split_seed` (0), `test_photographs` (4),
            `test_distortions` (4), `distortions` (numbers; all), `identities` and `unranked`
            (False: leave out the examples that equal their pristine tile, and the types that VSI
            does not rank by level). `label`: 'pseudo_mos' (default), 'pseudo_mos_rank' (the share
            of all examples with a lower VSI, in [0, 1]) or 'vsi'.
        split: 'all'; 'train' and 'test', which share no photograph; 'meta_train' (photographs and
            types of training), 'meta_test' (neither seen in training), 'support' (the types of
            'meta_test' on the photographs of training).

    Returns:
        A source whose `quality` is the label.

    Raises:
        InputError: On an unknown split or label, or a package of photographs that is missing.
    """
    if split not in SPLITS:
        raise InputError(f"no split '{split}'{nearest(split, SPLITS)}")
    label = config.get('label', '') or 'pseudo_mos'
    if label not in LABELS:
        raise InputError(f"no label '{label}'{nearest(label, LABELS)}")
    source = TfdsSource(open_builder(config))
    scores = source.column('vsi')
    ranks = (scipy.stats.rankdata(scores) - 1) / max(len(scores) - 1, 1)
    source = Relabelled(source, 'pseudo_mos_rank', ranks.astype(np.float32))
    source = where(source, **_keep(config, split))
    return quality_source(source, {'label': label, 'distortions': config.get('distortions', ())},
                          'all', labels={})


def _keep(config, split: str) -> dict[str, tuple]:
    """The values of the columns that a split holds."""
    keep: dict[str, tuple] = {}
    if not config.get('identities', False):
        keep['identity'] = (False,)
    if not config.get('unranked', False):
        keep['ranked'] = (True,)
    if split != 'all':
        seed = config.get('split_seed', 0)
        train, test = split_photographs(seed, config.get('test_photographs', 4),
                                        photographs=config.get('photographs', ()))
        keep['reference'] = test if split in ('test', 'meta_test') else train
    if split in ('meta_train', 'meta_test', 'support'):
        known, unseen = split_distortions(seed, config.get('test_distortions', 4),
                                          unranked=config.get('unranked', False))
        keep['distortion'] = known if split == 'meta_train' else unseen
    return keep
