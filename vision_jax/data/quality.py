"""What all quality data sets share: which label, on which scale, and which split."""

from typing import NamedTuple

import numpy as np

from vision_jax.core.errors import InputError, nearest
from vision_jax.data.sources import FolderSource, Relabelled, Source, Subset, check_column, where

SPLITS = ('train', 'test', 'all')
SCALES = ('published', 'unit', 'metaiqa')


class Label(NamedTuple):
    """A published label: its nominal range and direction, and MetaIQA's scaling of it.

    Attributes:
        low: The least value of the scale.
        high: The greatest; infinity for an error without bound.
        higher_is_better: False for a DMOS that grows with degradation.
        metaiqa: `(offset, divisor)` of MetaIQA's `(value - offset) / divisor`, where it used the
            set.
    """

    low: float
    high: float
    higher_is_better: bool
    metaiqa: tuple[float, float] | None = None


# Ranges: the data sets' papers and read-me files. MetaIQA's scaling: the label files of its code
# (github.com/zhuhancheng/MetaIQA).
LABELS = {
    'csiq': {'quality': Label(0, 1, False)},
    'kadid10k': {'quality': Label(1, 5, True, metaiqa=(0.5, 5))},  # named DMOS, yet 5 is best
    'koniq10k': {'quality': Label(1, 5, True), 'quality_zscore': Label(0, 100, True)},
    'live': {'quality': Label(0, 100, False), 'quality_realigned': Label(0, 100, False)},
    'live_in_the_wild': {'quality': Label(0, 100, True, metaiqa=(0, 100))},
    'pieapp': {'quality': Label(0, float('inf'), False)},
    'spaq': {'quality': Label(0, 100, True)},
    'tid2013': {'quality': Label(0, 9, True, metaiqa=(0, 9))},
}


def scale_label(values: np.ndarray, label: Label, scale: str) -> np.ndarray:
    """Puts a published label on another scale.

    `unit` is `(value - low) / (high - low)`, and one minus that for a DMOS, so that 1 is best. The
    range is the scale's, not the sample's: a realigned DMOS leaves [0, 1] by a few hundredths.

    Args:
        values: Labels as published, `[n]`.
        label: The scale that they are on.
        scale: `'published'` (unchanged), `'unit'` or `'metaiqa'`.

    Raises:
        InputError: On an unknown scale, `'metaiqa'` for a set that it did not use, or `'unit'` for
            a scale without end.

    Source: `metaiqa`: Zhu et al., "MetaIQA", CVPR 2020, label files of the authors' code.
    """
    if scale not in SCALES:
        raise InputError(f"no label scale '{scale}'{nearest(scale, SCALES)}")
    if scale == 'published':
        return values
    if scale == 'metaiqa':
        if label.metaiqa is None:
            raise InputError("data.label_scale='metaiqa' exists for tid2013, kadid10k and "
                             "live_in_the_wild only; take 'unit'")
        offset, divisor = label.metaiqa
        return ((values - offset) / divisor).astype(np.float32)
    if not np.isfinite(label.high):
        raise InputError("data.label_scale='unit' needs a scale with two ends, and this label goes "
                         "from 0 to any error; take 'published'")
    unit = (values - label.low) / (label.high - label.low)
    return (unit if label.higher_is_better else 1 - unit).astype(np.float32)


def quality_source(source: Source, config, split: str, *, labels: dict[str, Label]) -> Source:
    """The part of a quality data set that a config asks for.

    Args:
        source: All examples.
        config: `label` (column to learn, default `'quality'`), `label_scale` (see `scale_label`),
            `distortions` (numbers to keep; default all), `split_seed` (default 0) and
            `train_fraction` (default 0.8).
        split: `'train'`, `'test'` or `'all'`.
        labels: The set's labels.

    Returns:
        A source whose `quality` is the chosen label. Train and test share no reference photograph
        (no image, where the set has no references).

    Raises:
        InputError: On a label that is NaN or infinite, naming its row, or an unknown option.
    """
    name = config.get('label', '') or 'quality'
    check_column(source, name)
    values = np.asarray(source.column(name))
    check_labels(source, name, values)
    scale = config.get('label_scale', 'published')
    if scale != 'published' and name not in labels:
        raise InputError(f"data.label_scale='{scale}': the range of '{name}' is not published; "
                         "take 'published'")
    values = values.astype(np.float32)
    if name in labels:
        values = scale_label(values, labels[name], scale)
    source = Relabelled(source, 'quality', values)
    if config.get('distortions', ()):
        source = where(source, distortion=config['distortions'])
    return take_split(source, split, seed=config.get('split_seed', 0),
                      train_fraction=config.get('train_fraction', 0.8))


def check_labels(source: Source, name: str, values: np.ndarray) -> None:
    """Raises `InputError`, naming the first row, where a label is no finite number."""
    try:
        bad = np.flatnonzero(~np.isfinite(values.astype(np.float64)))
    except ValueError:
        raise InputError(f"column '{name}' holds text, expected numbers") from None
    if bad.size:
        path = source.column('path')[bad[0]] if 'path' in source.columns else 'no path'
        raise InputError(f"column '{name}', row {bad[0] + 1} ({path}): the label is "
                         f'{values[bad[0]]} ({bad.size} such rows); correct or remove it')


def take_split(source: Source, split: str, *, seed: int, train_fraction: float) -> Source:
    """One side of a random division of the reference photographs (of the images without them).

    Args:
        source: All examples; groups are its `reference` column where it has one.
        split: `'train'`, `'test'` or `'all'`.
        seed: Which division.
        train_fraction: The share of the groups that train, in (0, 1).
    """
    if split not in SPLITS:
        raise InputError(f"no split '{split}'{nearest(split, SPLITS)}")
    if split == 'all':
        return source
    by_reference = 'reference' in source.columns
    groups = source.column('reference') if by_reference else np.arange(len(source))
    distinct = np.random.default_rng(seed).permutation(np.unique(groups))
    count = round(train_fraction * len(distinct))
    chosen = distinct[:count] if split == 'train' else distinct[count:]
    return Subset(source, np.flatnonzero(np.isin(groups, chosen)))


def load_folder(config, split: str) -> Source:
    """Your own images: a folder and a CSV table, see docs/your_own_data.md.

    Args:
        config: `folder`, `table` (default `labels.csv` in the folder), and the options of
            `quality_source`. A column `split` in the table, where there is one, says which rows
            are `train` and which `test`.
        split: `'train'`, `'test'` or `'all'`.
    """
    folder = config['folder']
    source = FolderSource(folder, config.get('table', '') or f'{folder}/labels.csv')
    if 'split' not in source.columns or split not in ('train', 'test'):
        return quality_source(source, config, split, labels={})
    return quality_source(where(source, split=(split,)), config, 'all', labels={})
