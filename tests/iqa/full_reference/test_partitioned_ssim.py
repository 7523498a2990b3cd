"""3-SSIM, 4-SSIM and 4-G-SSIM composed of scikit-image's maps and SciPy's gradients."""

import jax
import numpy as np
import pytest
from scipy import ndimage
from skimage import data
from skimage.metrics import structural_similarity

from vision_jax import catalog
from vision_jax.iqa.full_reference.partitioned_ssim import three_ssim


def _ssim_map(x, y, **constants):
    _, full = structural_similarity(
        x, y, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True, **constants)
    return full[6:-6, 6:-6]


def _gradient(x):
    return np.abs(ndimage.sobel(x, 0)) + np.abs(ndimage.sobel(x, 1))


def _gssim_map(x, y):
    """A huge constant makes one factor of SSIM 1, and leaves the other."""
    return _ssim_map(x, y, K2=1e6) * _ssim_map(_gradient(x), _gradient(y), K1=1e6)


def _composed(name, x, y):
    inner = slice(1, -1), slice(1, -1)
    first, second = _gradient(x), _gradient(y)
    edge, smooth = 0.12 * first[inner].max(), 0.06 * first[inner].max()
    first, second = first[6:-6, 6:-6], second[6:-6, 6:-6]
    regions = np.full(first.shape, 'texture')
    regions[(first < smooth) & (second <= edge)] = 'smooth'
    regions[(first > edge) | (second > edge)] = 'changed'
    regions[(first > edge) & (second > edge)] = 'kept'
    weights = dict.fromkeys(('kept', 'changed', 'texture', 'smooth'), 0.25)
    if name == 'three_ssim':
        regions[regions == 'kept'] = 'changed'
        weights = {'changed': 0.5, 'texture': 0.25, 'smooth': 0.25}
    local = _gssim_map(x, y) if name == 'four_gssim' else _ssim_map(x, y)
    present = {region: weight for region, weight in weights.items() if (regions == region).any()}
    return sum(weight * local[regions == region].mean()
               for region, weight in present.items()) / sum(present.values())


@pytest.mark.parametrize('name', ['three_ssim', 'four_ssim', 'four_gssim'])
@pytest.mark.parametrize('distort', [
    lambda x: ndimage.gaussian_filter(x, 1.2),
    lambda x: np.clip(x + np.random.default_rng(0).normal(0, 0.05, x.shape), 0, 1),
    lambda x: x + 1e-3 * (x < 0.5),  # no edge changes: a region is empty
])
def test_score_equals_the_composition(name, distort):
    photo = data.camera()[100:181, 180:275] / 255
    distorted = distort(photo)
    with jax.enable_x64(True):
        score = jax.jit(catalog.get(name))(photo[..., None], distorted[..., None])
    assert float(score) == pytest.approx(_composed(name, photo, distorted), abs=1e-9)


def test_weights_of_absent_regions_fall_to_the_others():
    flat = np.full((24, 24, 1), 0.5, np.float32)
    score = three_ssim(flat, flat + 0.1, weights=(1.0, 0.0, 0.0))
    expected = (2 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4)
    assert float(score) == pytest.approx(expected, rel=1e-5)
