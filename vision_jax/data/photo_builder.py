"""The TFDS builder of `photo_distortions`: cuts, distorts, compares by VSI, stores."""

import dataclasses
import io
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from vision_jax.core.errors import InputError, nearest
from vision_jax.core.writers import Progress
from vision_jax.data import distortions
from vision_jax.data.photo_tiles import choose_tiles, cut
from vision_jax.data.photographs import PHOTOGRAPHS, load_photograph
from vision_jax.data.tfds_build import QuietBuilder
from vision_jax.iqa.full_reference.vsi import image_terms, vsi_from_terms

KADID_AREA = 512 * 384  # pixels of a KADID-10k image
EPSILON = 1e-3  # keeps the label of an identity finite: -log(1e-3) = 6.9


@dataclasses.dataclass
class PhotoConfig(tfds.core.BuilderConfig):
    """What is built; every value is in the name, so that other values make another data set.

    Attributes:
        tile: Side of a tile in pixels.
        tiles_per_photo: How many tiles are cut from each photograph.
        seed: Of the places and of the random distortions.
        photographs: Names in `PHOTOGRAPHS`.
    """

    name: str = ''
    tile: int = 192
    tiles_per_photo: int = 8
    seed: int = 0
    photographs: tuple[str, ...] = tuple(row.name for row in PHOTOGRAPHS)

    def __post_init__(self):
        known = [row.name for row in PHOTOGRAPHS]
        for name in self.photographs:
            if name not in known:
                raise InputError(f"photographs: no photograph '{name}'{nearest(name, known)}")
        self.name = f'tile{self.tile}_x{self.tiles_per_photo}_seed{self.seed}'
        if len(self.photographs) != len(known):
            self.name += '_photos' + '_'.join(str(known.index(n)) for n in self.photographs)


class PhotoDistortions(QuietBuilder, skip_registration=True):
    """Tiles of photographs that ship in Python packages, distorted by the types of KADID-10k.

    The label, a pseudo-MOS, is a function of the full-reference score VSI of a tile against its
    pristine tile; it is not a mean opinion score.
    """

    name = 'photo_distortions'
    VERSION = tfds.core.Version('1.0.1')

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            'image': tfds.features.Image(shape=(None, None, 3)),
            'vsi': np.float32,
            'pseudo_mos': np.float32,
            'reference': np.int32,
            'tile': np.int32,
            'distortion': np.int32,
            'level': np.int32,
            'identity': np.bool_,
            'ranked': np.bool_,
        }
        return tfds.core.DatasetInfo(
            builder=self, description=type(self).__doc__, disable_shuffling=True,
            features=tfds.features.FeaturesDict(features),
        )

    def _split_generators(self, dl_manager):
        """A split for each type: one over 1 GB TFDS would spill to disk, by TensorFlow."""
        tiles = cut_tiles(self.builder_config)
        rows = distortions.DISTORTIONS
        progress = Progress(len(rows) * distortions.LEVELS, unit='level',
                            title=f'building {self.name}', lines=10)
        return {row.name: self._generate_examples(row, tiles, progress) for row in rows}

    def _generate_examples(self, row: distortions.Distortion, tiles: 'Tiles', progress: Progress):
        number = 0
        scored = ((images, tiles.score(images))
                  for images in _levels(row, self.builder_config, tiles))
        for level, (images, scores) in enumerate(_one_ahead(scored), start=1):
            for example in _label(row, level, images, scores, tiles):
                yield number, example
                number += 1
            progress.advance(distortions.DISTORTIONS.index(row) * distortions.LEVELS + level)
        if row is distortions.DISTORTIONS[-1]:
            progress.close()


class Tiles(NamedTuple):
    """The pristine tiles, and the photographs that they are cut from.

    Attributes:
        photographs: uint8 images `[h, w, 3]`.
        corners: (top, left) of the tiles of each photograph, `[tiles_per_photo, 2]`.
        images: All tiles, photograph after photograph, floats `n side side 3` in [0, 1].
        reference: Number in `PHOTOGRAPHS` of each tile, `[n]`.
        tile: Number of each within its photograph, `[n]`.
        score: VSI of 8-bit images `n side side 3` against these.
    """

    photographs: list[np.ndarray]
    corners: list[np.ndarray]
    images: jax.Array
    reference: np.ndarray
    tile: np.ndarray
    score: Callable[[jax.Array], jax.Array]


class PristineTiles(NamedTuple):
    """The pristine tiles alone; attributes as in `Tiles`, images as 8-bit values."""

    photographs: list[np.ndarray]
    corners: list[np.ndarray]
    images: np.ndarray
    reference: np.ndarray
    tile: np.ndarray


def pristine_tiles(config: PhotoConfig) -> PristineTiles:
    """Reads the photographs and cuts their tiles."""
    photographs = [load_photograph(name) for name in config.photographs]
    corners = [choose_tiles(photo, side=config.tile, count=config.tiles_per_photo,
                            seed=config.seed) for photo in photographs]
    names = [row.name for row in PHOTOGRAPHS]
    return PristineTiles(
        photographs, corners, _cut_all(photographs, corners, config.tile),
        reference=np.repeat([names.index(n) for n in config.photographs], config.tiles_per_photo),
        tile=np.tile(np.arange(config.tiles_per_photo), len(photographs)))


def cut_tiles(config: PhotoConfig) -> Tiles:
    """The tiles of the photographs, and what scores others against them."""
    tiles = pristine_tiles(config)
    images = jnp.asarray(tiles.images, jnp.float32) / 255
    terms = jax.jit(image_terms)(images)
    return Tiles(
        tiles.photographs, tiles.corners, images, reference=tiles.reference, tile=tiles.tile,
        score=jax.jit(lambda distorted: vsi_from_terms(terms, image_terms(distorted / 255))),
    )


def _cut_all(images, corners, side: int) -> np.ndarray:
    return np.concatenate([cut(image, where, side)
                           for image, where in zip(images, corners, strict=True)])


def _one_ahead(items: Iterator) -> Iterator:
    """Starts an item before the one before it is used: JAX computes while TFDS writes."""
    previous = next(items)
    for item in items:
        yield previous
        previous = item
    yield previous


def _label(row: distortions.Distortion, level: int, images, scores, tiles: Tiles
           ) -> Iterator[dict[str, Any]]:
    """The examples of one type and level, from 8-bit values `n side side 3` and their VSI."""
    scores = np.minimum(np.asarray(scores), 1.0)
    for index, image in enumerate(np.asarray(images).astype(np.uint8)):
        yield {
            'image': _encode(image),
            'vsi': scores[index],
            'pseudo_mos': pseudo_mos(scores[index]),
            'reference': tiles.reference[index],
            'tile': tiles.tile[index],
            'distortion': row.number,
            'level': level,
            'identity': level in row.identity,
            'ranked': row.ranked,
        }


def _levels(row: distortions.Distortion, config: PhotoConfig, tiles: Tiles) -> Iterator[jax.Array]:
    """The tiles at levels 1 to 5, 8-bit values as floats `n side side 3`.

    A type draws the same random numbers at its five levels: the blocks of a level are among those
    of the next, and only the amount differs.
    """
    if row.name == 'jpeg2000':  # of whole photographs: a tile is too small for the great ratios
        for ratio in row.levels:
            coded = [distortions.jpeg2000(photo.astype(np.float32) / 255, ratio=ratio)
                     for photo in tiles.photographs]
            yield jnp.round(255 * _cut_all(coded, tiles.corners, config.tile))
        return
    key = jax.random.fold_in(jax.random.key(config.seed), row.number)
    values, options = tile_parameters(row, config.tile)

    def apply(key, images, value):
        return jnp.round(255 * distortions.apply(key, images, value, row=row, **options))

    jitted = jax.jit(apply, static_argnums=() if row.traced else 2)
    for value in values:
        yield jitted(key, tiles.images, value)


def tile_parameters(row: distortions.Distortion, side: int) -> tuple[tuple, dict[str, int]]:
    """The levels of a type on a tile, and further options.

    KADID-10k's patches (type 20) and blocks (type 23) are counted on 512x384 pixels. A tile gets
    its share of the patches, and as many blocks of a side that covers the same share of the area.

    Args:
        row: The type.
        side: Of the tile, in pixels.

    Returns:
        (values at levels 1 to 5, keyword options).
    """
    share = side ** 2 / KADID_AREA
    if row.name == 'non_eccentricity_patches':
        return tuple(max(1, round(count * share)) for count in row.levels), {}
    if row.name == 'colour_blocks':
        return row.levels, {'side': max(1, round(32 * share ** 0.5))}
    return row.levels, {}


def pseudo_mos(vsi):
    """`-log(1 - VSI + 0.001)`: spreads the scores near 1; 6.9 for an identity."""
    return -np.log(1 - vsi + EPSILON)


def _encode(image: np.ndarray) -> bytes:
    """An uncompressed PPM file: a tenth of PNG's time each way; the records are compressed."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format='ppm')
    return file.getvalue()
