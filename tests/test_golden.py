"""Recorded figures of other people's tools: every row has its provenance, every metric agrees.

`tests/golden/*.csv` is read-only: a figure that we made ourselves proves nothing, so a row changes
only with the tool that it names.
"""

import csv
import hashlib
import io
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
OTHER_DECODER = 1e-3  # another Pillow may decode JPEG to pixels that differ by 1 in 255


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def _metric_rows() -> list[dict[str, str]]:
    metrics = catalog.names(kind='full_reference')
    return [row for row in _rows(GOLDEN / 'full_reference.csv') if row['name'] in metrics]


@pytest.mark.parametrize('path', sorted(GOLDEN.glob('*.csv')), ids=lambda path: path.name)
def test_every_row_says_where_it_comes_from(path):
    rows = _rows(path)
    assert rows
    for number, row in enumerate(rows, start=2):
        assert list(row) == COLUMNS, f'{path.name}:{number}: columns {list(row)}'
        empty = [column for column in COLUMNS if not (row[column] or '').strip()]
        assert not empty, f'{path.name}:{number}: no {", ".join(empty)}'
        assert float(row['tolerance']) > 0
        assert np.isfinite(float(row['value']))


def test_every_figure_names_a_known_metric():
    names = {row['name'] for row in _rows(GOLDEN / 'full_reference.csv')}
    assert names <= set(catalog.names(kind='full_reference'))


@pytest.mark.parametrize('row', _metric_rows(),
                         ids=lambda r: f'{r["name"]}-{r["input"].split()[0]}-{r["tool"][:3]}')
def test_metric_equals_the_recorded_figure(row):
    (label, digest), options = row['input'].split(), _options(row['quantity'])
    name, distortion = label.split('/')
    reference = getattr(data, name)()
    distorted = _distort(reference, distortion)
    tolerance = float(row['tolerance'])
    if not _digest(distorted).startswith(digest.removeprefix('sha256:')):
        assert distortion.startswith('jpeg'), f'{label}: not the recorded pixels'
        tolerance = OTHER_DECODER
    metric = jax.jit(catalog.get(row['name']), static_argnames=tuple(options))
    score = metric(*(image.astype(np.float32) / np.float32(255)
                     for image in (reference, distorted)), **options)
    assert float(score) == pytest.approx(float(row['value']), abs=tolerance)


def _options(quantity: str) -> dict[str, str]:
    """`'score a=b c=d'` -> the keywords that the score was asked for with."""
    score, *words = quantity.split()
    assert score == 'score'
    return dict(word.split('=') for word in words)


def _distort(image: np.ndarray, name: str) -> np.ndarray:
    """The distortions as they were recorded, on uint8."""
    if name == 'none':
        return image
    if name.startswith('jpeg'):
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'JPEG', quality=int(name.removeprefix('jpeg')))
        return np.asarray(Image.open(file))
    pixels = image.astype(np.float64)
    changed = {
        'gblur': lambda: ndimage.gaussian_filter(pixels, (1.5, 1.5, 0)),
        'awgn': lambda: pixels + np.random.default_rng(0).normal(0, 15, pixels.shape),
        'contrast': lambda: 128 + 0.6 * (pixels - 128),
    }[name]()
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()
