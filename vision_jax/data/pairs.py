"""Pairs of a reference and a distorted image, of every data set that has references."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from vision_jax import data
from vision_jax.core.errors import InputError
from vision_jax.data import distortions, photo_distortions
from vision_jax.data.datasets import references
from vision_jax.data.photo_builder import PhotoConfig, pristine_tiles
from vision_jax.data.quality import LABELS
from vision_jax.data.sources import Source, check_column
from vision_jax.data.transforms import CorruptImageError, decode

KEPT = 64  # references held in memory: the images of one are mostly neighbours


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs of images; `pairs[i]` is (reference, distorted), both uint8 `[h, w, 3]`.

    Attributes:
        name: Of the data set.
        source: The distorted images and their columns.
        content: Which images share a reference, `[n]`.
        reference: The reference of an example.
        judged: What a metric is compared with: 'quality' (opinions) or 'level' (a severity within
            one type of distortion, which no person judged).
        higher_is_better: Direction of the column `judged`.
        distortion_names: Number of a type to its name, where names are known.
    """

    name: str
    source: Source
    content: np.ndarray
    reference: Callable[[int], np.ndarray]
    judged: str
    higher_is_better: bool
    distortion_names: dict[int, str]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        reference, distorted = self.reference(index), self.source[index]['image']
        if reference.shape != distorted.shape:
            raise InputError(f'{self.name}, example {index}: the reference is {reference.shape} '
                             f'and the distorted image {distorted.shape}')
        return reference, distorted


def open_pairs(config) -> Pairs:
    """Opens a data set with its references.

    Args:
        config: `name`: 'photo_distortions', a published set that has references, or 'folder',
            whose table then has a column `reference_path` (relative to the folder). Other keys as
            the data set takes them. `photo_distortions` is judged by level, with all 25 types:
            those that VSI does not rank would else be missing to its advantage. `judged='level'`
            does the same for any set with a column `level`; `lower_is_better=True` turns the
            labels of a folder.

    Raises:
        InputError: On a set without references, or a missing column.
    """
    name = config['name']
    if name == 'photo_distortions':
        return _photo_distortions(config)
    if name != 'folder' and name not in references.BUILDERS:
        known = ', '.join(['photo_distortions', 'folder', *references.BUILDERS])
        raise InputError(f"the data set '{name}' has no references; known are: {known}")
    source = data.load(config, 'all')
    photographs = _of_folder(source, config) if name == 'folder' else _of_archive(source, config)
    judged = config.get('judged', 'quality')
    for column in (judged, *(('distortion',) if judged == 'level' else ())):
        check_column(source, column)
    content, reference = photographs
    return Pairs(name, source, content, reference, judged,
                 judged == 'quality' and _direction(name, config), _names(source))


def _direction(name: str, config) -> bool:
    label = LABELS.get(name, {}).get(config.get('label', '') or 'quality')
    unit = config.get('label_scale', 'published') == 'unit'
    return unit or (not config.get('lower_is_better', False) if label is None
                    else label.higher_is_better)


def _names(source: Source) -> dict[int, str]:
    if not {'distortion', 'distortion_name'} <= set(source.columns):
        return {}
    return {int(number): str(name) for number, name in zip(
        source.column('distortion'), source.column('distortion_name'), strict=True)}


def _of_archive(source: Source, config):
    """What a published set has: the number of the photograph, and the photographs by number."""
    photographs = references.load(config)
    rows = {int(number): row for row, number in enumerate(photographs.column('reference'))}
    numbers = source.column('reference')

    @functools.lru_cache(KEPT)
    def read(number: int) -> np.ndarray:
        return photographs[rows[number]]['image']

    return numbers, lambda index: read(int(numbers[index]))


def _of_folder(source: Source, config):
    check_column(source, 'reference_path')
    paths, folder = source.column('reference_path'), pathlib.Path(config['folder'])

    @functools.lru_cache(KEPT)
    def read(name: str) -> np.ndarray:
        path = folder / name
        try:
            return decode(path.read_bytes(), path=str(path))
        except OSError as error:
            raise CorruptImageError(f'unreadable image {path}: {error.strerror}') from error

    content = np.unique(paths, return_inverse=True)[1]
    return content, lambda index: read(str(paths[index]))


def _photo_distortions(config) -> Pairs:
    options = {'unranked': True, **dict(config)}
    source = photo_distortions.load(options, config.get('split', 'all'))
    names = {row.number: row.name for row in distortions.DISTORTIONS}
    what: PhotoConfig = photo_distortions.build_config(config)
    tiles = pristine_tiles(what)
    rows = {(int(photo), int(tile)): row for row, (photo, tile) in enumerate(
        zip(tiles.reference, tiles.tile, strict=True))}
    keys = np.array([rows[int(photo), int(tile)] for photo, tile in zip(
        source.column('reference'), source.column('tile'), strict=True)])
    return Pairs('photo_distortions', source, keys, lambda index: tiles.images[keys[index]],
                 'level', False, names)
