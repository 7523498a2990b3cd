"""Pyramids against figures of pyrtools, and against slow ones from the definition."""

import csv
import itertools

import jax
import numpy as np
import pytest
from scipy import ndimage, signal
from skimage import data

from vision_jax.core.errors import InputError
from vision_jax.ops.pyramids import (
    BINOMIAL,
    BURT_ADELSON,
    correlate,
    frequency_bands,
    laplacian_pyramid,
    steerable_pyramid,
)


@pytest.fixture(scope='module')
def figures(repository):
    with (repository / 'tests/golden/ops/pyramids.csv').open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module', autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def _crop(label: str) -> np.ndarray:
    rows, columns = (slice(*map(int, part.split(':'))) for part in label[7:-1].split(','))
    return data.camera()[rows, columns].astype(float)


def _check(rows, band, *, imaginary: bool = False):
    """The recorded energy of a band, and one of its coefficients."""
    assert rows
    for row in rows:
        corner = band[1, 2].imag if imaginary else band[1, 2]
        got = np.sum(np.abs(band) ** 2) if row['quantity'].endswith('energy') else corner
        scale = np.abs(band).max()
        assert got == pytest.approx(float(row['value']), rel=1e-9, abs=1e-9 * scale), row


def test_steerable_pyramid_in_space_equals_pyrtools(figures):
    for label in ('camera[100:164,200:296]', 'camera[100:175,200:291]'):
        high, levels, low = jax.jit(steerable_pyramid, static_argnames='levels')(
            _crop(label), levels=3)
        bands = {'space high': high, 'space low': low}
        bands |= {f'space level {i + 1} band {j}': levels[i][order]
                  for i, (j, order) in itertools.product(range(3), enumerate(_PYRTOOLS_ORDER))}
        for name, band in bands.items():
            rows = [row for row in figures
                    if row['input'] == label and row['quantity'].rsplit(' ', 1)[0] == name]
            _check(rows, np.asarray(band))


# pyrtools lists the same six filters as matlabPyrTools
_PYRTOOLS_ORDER = range(6)


@pytest.mark.parametrize('analytic', [False, True])
def test_steerable_pyramid_in_frequency_equals_pyrtools(figures, analytic):
    label, kind = 'camera[100:164,200:296]', 'analytic' if analytic else 'real'
    for level in (1, 2, 3):
        bands = np.asarray(frequency_bands(_crop(label), level=level, orientations=4,
                                           analytic=analytic))
        for i, band in enumerate(bands):
            name = f'{kind} level {level} band {i}'
            rows = [row for row in figures if row['quantity'].rsplit(' ', 1)[0] == name]
            _check(rows, band, imaginary=analytic)


def test_chosen_orientations_are_those_of_the_whole_pyramid():
    image = _crop('camera[100:175,200:291]')
    for analytic in (False, True):
        every = frequency_bands(image, level=2, orientations=4, analytic=analytic)
        some = frequency_bands(image, level=2, orientations=4, which=(3, 1), analytic=analytic)
        np.testing.assert_allclose(some, every[np.array([3, 1])], atol=1e-9)
    assert every.shape == (4, 38, 46)
    some = steerable_pyramid(image, levels=2, orientations=(3,)).levels[1]
    np.testing.assert_allclose(some[0], steerable_pyramid(image, levels=2).levels[1][3], atol=1e-9)


@pytest.mark.parametrize(('shape', 'step'), [((12, 17), 1), ((12, 17), 2), ((13, 16), 3)])
def test_correlate_equals_scipy(shape, step):
    rng = np.random.default_rng(0)
    planes, kernel = rng.normal(size=(2, *shape)), rng.normal(size=(3, 5))
    expected = [ndimage.correlate(plane, kernel, mode='mirror')[::step, ::step] for plane in planes]
    np.testing.assert_allclose(correlate(planes, kernel, step=step), expected, atol=1e-12)


@pytest.mark.parametrize('shape', [(32, 48), (37, 45)])
@pytest.mark.parametrize(('taps', 'padding', 'fill', 'modes'), [
    (BURT_ADELSON, 'symmetric', 'edge', ('reflect', 'edge')),
    (BINOMIAL, 'reflect', 'reflect', ('mirror', 'reflect')),
])
def test_laplacian_pyramid_equals_one_with_zeros_put_in(shape, taps, padding, fill, modes):
    plane = np.random.default_rng(0).normal(size=shape)
    kernel = np.outer(taps, taps)
    got = laplacian_pyramid(plane, levels=3, taps=taps, padding=padding, fill=fill)
    for level in got[:-1]:
        low = ndimage.correlate(plane, kernel, mode=modes[0])[::2, ::2]
        padded = np.pad(low, 1, mode=modes[1])
        spread = np.zeros([2 * side for side in padded.shape])
        spread[::2, ::2] = 4 * padded
        doubled = signal.correlate2d(spread, kernel, mode='same')[2:, 2:]
        np.testing.assert_allclose(
            level, plane - doubled[:plane.shape[0], :plane.shape[1]], atol=1e-12)
        plane = low
    np.testing.assert_allclose(got[-1], plane, atol=1e-12)


@pytest.mark.parametrize('build', [
    lambda image: steerable_pyramid(image, levels=4),
    lambda image: frequency_bands(image, level=4, orientations=4),
    lambda image: laplacian_pyramid(image, levels=6),
])
def test_small_planes_are_answered(build):
    with pytest.raises(InputError, match='levels take at least .* got shape'):
        build(np.zeros((63, 30)))
