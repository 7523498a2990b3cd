"""The features of every image of a source, computed once, and the splits to compare methods on."""

import hashlib
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.core.workdir import replacing
from vision_jax.core.writers import Progress
from vision_jax.data import pipeline
from vision_jax.data.sources import Source

BATCH_SIZE = 50


class Table(NamedTuple):
    """One row an image.

    Attributes:
        features: What the frozen trunk makes of it, `[n, d]`.
        quality: Its label, `[n]`.
        reference: Which photograph it shows, `[n]`.
        distortion: Which distortion it has, `[n]`.
    """

    features: np.ndarray
    quality: np.ndarray
    reference: np.ndarray
    distortion: np.ndarray


class Split(NamedTuple):
    """Which photographs and which distortions are for training; no row is in both parts."""

    train_photographs: np.ndarray
    test_photographs: np.ndarray
    train_distortions: np.ndarray
    test_distortions: np.ndarray


def build_table(
    source: Source, extract: Callable, *, fingerprint: str, folder: pathlib.Path
) -> Table:
    """The table of a source; read back where the same one was computed before.

    Args:
        source: Quality examples with `reference` and `distortion`.
        extract: `images [b, h, w, 3] -> features [b, d]`, compiled.
        fingerprint: Text that changes whenever the features would.
        folder: Where the features are kept, in a file named by the fingerprint.

    Raises:
        InputError: If a feature is not finite.
    """
    digest = hashlib.sha256(f'{fingerprint} {len(source)}'.encode()).hexdigest()[:16]
    path = folder / f'features_{digest}.npz'
    if path.exists():
        features = np.load(path, allow_pickle=False)['features']
    else:
        features = _extract_all(source, extract)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open('wb') as file:
            np.savez(file, features=features)
    if not np.isfinite(features).all():
        raise InputError(f'{path}: features hold NaN or infinity; check the weights and images')
    return Table(features, *(source.column(c) for c in ('quality', 'reference', 'distortion')))


def _extract_all(source: Source, extract: Callable) -> np.ndarray:
    batches = pipeline.eval_batches(
        source, {'batch_size': BATCH_SIZE}, seed=0, process_index=0, process_count=1
    )
    features = []
    progress = Progress(len(source), unit='image', title='features', lines=10)
    for batch in batches:
        features.append(np.asarray(extract(batch['image']))[batch['mask'] > 0])
        progress.advance(sum(map(len, features)))
    progress.close()
    return np.concatenate(features)


def draw_splits(table: Table, *, count: int, photographs: int, distortions: int, seed: int):
    """Random divisions of photographs and of distortions.

    Args:
        table: All rows.
        count: How many splits.
        photographs: Photographs in the test part.
        distortions: Distortions in the test part.
        seed: Which splits; split i of a seed is the same for any count.

    Returns:
        A list of `Split`.

    Raises:
        InputError: If a part would be empty.
    """
    all_photographs, all_distortions = np.unique(table.reference), np.unique(table.distortion)
    for name, held_out, everything in (
        ('test_photographs', photographs, all_photographs),
        ('test_distortions', distortions, all_distortions),
    ):
        if not 0 < held_out < len(everything):
            raise InputError(f'{name}={held_out}: expected 1 to {len(everything) - 1}, '
                             f'the data has {len(everything)}')
    splits = []
    for index in range(count):
        generator = np.random.default_rng((seed, index))
        p, d = generator.permutation(all_photographs), generator.permutation(all_distortions)
        splits.append(Split(p[photographs:], p[:photographs], d[distortions:], d[:distortions]))
    return splits


def rows_of(table: Table, photographs: np.ndarray, distortions: np.ndarray) -> np.ndarray:
    """Indices of the rows that show one of the photographs with one of the distortions."""
    return np.flatnonzero(
        np.isin(table.reference, photographs) & np.isin(table.distortion, distortions)
    )
