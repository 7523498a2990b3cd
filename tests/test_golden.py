"""Recorded figures of other people's tools: every row has its provenance, every metric agrees.

`tests/golden/**/*.csv` is read-only: a figure that we made ourselves proves nothing, so a row
changes only with the tool that it names. `tolerance` is relative and holds in float64; float32 is
held to 1e-4 where that is wider.
"""

import csv
import functools
import hashlib
import io
import itertools
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from vision_jax import catalog

GOLDEN = pathlib.Path(__file__).parent / 'golden'
COLUMNS = ['name', 'input', 'quantity', 'value', 'tolerance', 'tool', 'version', 'call', 'date']
OTHER_DECODER = 5e-3  # another Pillow may decode JPEG to pixels that differ by 1 in 255
FLOAT32 = 1e-4
NOUGHT = 1e-9  # the absolute part: scores of 0
# Odd, not square, and in colour: the photograph that the quick run scores.
QUICK = 'chelsea'
PAIRED = ('full_reference', 'reduced_reference')


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def _groups() -> list:
    """Rows of one metric, one set of options and one photograph, which are scored as one batch."""
    def key(row):
        label = row['input'].split('/')
        return row['name'], row['quantity'], label[0], len(label)
    rows = [row for kind in PAIRED for path in sorted((GOLDEN / kind).glob('*.csv'))
            for row in _rows(path)]
    return [
        pytest.param(list(group), id='-'.join((name, *quantity.split()[1:], photo)),
                     marks=[] if photo == QUICK else pytest.mark.slow)
        for (name, quantity, photo, _), group in itertools.groupby(sorted(rows, key=key), key)]


@pytest.mark.parametrize('path', sorted(GOLDEN.rglob('*.csv')), ids=lambda path: path.name)
def test_every_row_says_where_it_comes_from(path):
    rows = _rows(path)
    assert rows
    for number, row in enumerate(rows, start=2):
        assert list(row) == COLUMNS, f'{path.name}:{number}: columns {list(row)}'
        empty = [column for column in COLUMNS if not (row[column] or '').strip()]
        assert not empty, f'{path.name}:{number}: no {", ".join(empty)}'
        assert float(row['tolerance']) > 0
        assert np.isfinite(float(row['value']))


def test_every_file_belongs_to_a_metric():
    for kind in PAIRED:
        names = {path.stem for path in (GOLDEN / kind).glob('*.csv')}
        assert names <= set(catalog.names(kind=kind))


@pytest.mark.parametrize('rows', _groups())
def test_metric_equals_the_recorded_figures(rows):
    name, options = rows[0]['name'], _options(rows[0]['quantity'])
    pairs = [_pair(row['input'], catalog.entry(name).channels) for row in rows]
    tolerances = [float(row['tolerance']) if pair[2] else OTHER_DECODER
                  for row, pair in zip(rows, pairs, strict=True)]
    images = [np.stack(images) for images in list(zip(*pairs, strict=True))[:2]]
    load = catalog.entry(name).weights
    weights = {'weights': catalog.resolve(load)()} if load else {}  # never constants
    recorded = [float(row['value']) for row in rows]

    @jax.jit
    def metric(weights, *images):
        return catalog.get(name)(*images, **options, **weights)

    with jax.enable_x64(True):
        double = metric(weights, *(image / 255 for image in images))
    single = metric(weights, *(np.float32(image) / np.float32(255) for image in images))
    for row, tolerance, score, value in zip(rows, tolerances, double, recorded, strict=True):
        assert float(score) == pytest.approx(value, rel=tolerance, abs=NOUGHT), row['input']
    for row, tolerance, score, value in zip(rows, tolerances, single, recorded, strict=True):
        tolerance = max(tolerance, FLOAT32)
        assert float(score) == pytest.approx(value, rel=tolerance, abs=tolerance / 100), (
            f'{row["input"]} in float32')


def _options(quantity: str) -> dict[str, str | float | bool]:
    """`'score a=b c=2'` -> the keywords that the score was asked for with."""
    score, *words = quantity.split()
    assert score == 'score'
    return {name: _value(text) for name, text in (word.split('=') for word in words)}


def _value(text: str) -> str | float | bool:
    if text in ('True', 'False'):
        return text == 'True'
    try:
        return int(text) if text.lstrip('-').isdigit() else float(text)
    except ValueError:
        return text


@functools.cache
def _pair(label: str, channels: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, bool]:
    """Reference and distorted image as the tool had them, and whether their pixels are the same."""
    label, digest = label.split()
    photo, distortion, *form = label.split('/')
    reference = getattr(data, photo)()
    distorted = _distort(reference, distortion)
    same = _digest(distorted).startswith(digest.removeprefix('sha256:'))
    assert same or distortion.startswith('jpeg'), f'{label}: not the recorded pixels'
    images = [_matlab_grey(image) if form == ['grey8'] else image
              for image in (reference, distorted)]
    images = [image if image.ndim == 3 else image[..., None] for image in images]
    images = [image if image.shape[-1] in channels else np.repeat(image, 3, axis=-1)
              for image in images]
    return images[0], images[1], same


def _matlab_grey(image: np.ndarray) -> np.ndarray:
    """MATLAB's rgb2gray of 8-bit images, which rounds to 8 bits."""
    weights = [0.298936021293775, 0.587043074451121, 0.114020904255103]
    return np.uint8(np.floor(image @ weights + 0.5))


def _distort(image: np.ndarray, name: str) -> np.ndarray:
    """The distortions as they were recorded, on uint8."""
    if name == 'none':
        return image
    if name.startswith('jpeg'):
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'JPEG', quality=int(name.removeprefix('jpeg')))
        return np.asarray(Image.open(file))
    pixels = image.astype(np.float64)
    blur = (1.5, 1.5, 0)[:image.ndim]
    changed = {
        'gblur': lambda: ndimage.gaussian_filter(pixels, blur),
        'awgn': lambda: pixels + np.random.default_rng(0).normal(0, 15, pixels.shape),
        'contrast': lambda: 128 + 0.6 * (pixels - 128),
    }[name]()
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()
