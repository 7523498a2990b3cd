"""Every metric of the catalogue keeps the contract of a function: one table, one test a clause."""

import functools
import io

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from vision_jax import catalog
from vision_jax.core.errors import InputError

PAIRED = catalog.names(kind='full_reference') + catalog.names(kind='reduced_reference')
METRICS = PAIRED + catalog.names(kind='no_reference')
SIDE = 64  # or what the metric needs at least
TOLERANCE = 2e-5  # of the score's own scale: float32, other fusions under jit and vmap
# RRED subtracts entropies that are a hundred times as large as their difference.
WIDER = {'rred': 5e-4}


def _where(condition) -> list[str]:
    return [name for name in METRICS if condition(catalog.entry(name))]


def _arguments(name: str) -> list[str]:
    return ['reference', 'distorted'] if name in PAIRED else ['image']


def _apply(name: str, reference, distorted, **weights):
    """The score of a pair, or of its second image where the metric has no reference."""
    images = (reference, distorted) if name in PAIRED else (distorted,)
    return catalog.get(name)(*images, **weights)


def _jit(name: str, transform=lambda score: score):
    """The compiled metric, `grad` or the like of it; learned weights are no constants of it."""
    @jax.jit
    def compiled(weights, *pair):
        return transform(functools.partial(_apply, name, **weights))(*pair)

    load = catalog.entry(name).weights
    return functools.partial(compiled, {'weights': catalog.resolve(load)()} if load else {})


@functools.cache
def _compiled(name: str):
    return _jit(name)


@pytest.fixture
def photo(name) -> np.ndarray:
    row = catalog.entry(name)
    side = max(SIDE, row.min_side)
    crop = data.chelsea()[60:60 + side, 120:120 + side].astype(np.float32) / np.float32(255)
    return crop if 3 in row.channels else crop[..., 1:2]


@pytest.fixture
def batch(photo) -> tuple[np.ndarray, np.ndarray]:
    references = np.stack([photo, photo[::-1], np.roll(photo, 9, axis=1)])
    return references, np.stack([_noise(image, 0.02 * (i + 1)) for i, image in
                                 enumerate(references)])


def _noise(image, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


def _blur(image, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(image, (sigma, sigma, 0))


def _jpeg(image, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * image))).save(file, 'JPEG', quality=quality)
    return np.asarray(Image.open(file)).astype(np.float32) / np.float32(255)


STRENGTHS = {
    'blur': (_blur, (0.5, 1.0, 2.0, 4.0)),
    'noise': (_noise, (0.02, 0.05, 0.1, 0.2)),
    'jpeg': (_jpeg, (80, 40, 15, 4)),
}


@pytest.mark.parametrize('name', METRICS)
def test_jit_equals_eager(name, batch):
    np.testing.assert_allclose(_compiled(name)(*batch), _apply(name, *batch),
                               rtol=WIDER.get(name, TOLERANCE))


@pytest.mark.parametrize('name', METRICS)
def test_vmap_and_batch_equal_a_loop(name, batch):
    tolerance = WIDER.get(name, TOLERANCE)
    loop = [float(_compiled(name)(a, b)) for a, b in zip(*batch, strict=True)]
    scores = _compiled(name)(*batch)
    assert scores.shape == (3,)
    np.testing.assert_allclose(scores, loop, rtol=tolerance)
    mapped = _jit(name, jax.vmap)(*batch)
    np.testing.assert_allclose(mapped, loop, rtol=tolerance)
    two_axes = _compiled(name)(*(images[:2].reshape(1, 2, *images.shape[1:]) for images in batch))
    np.testing.assert_allclose(two_axes, [loop[:2]], rtol=tolerance)


@pytest.mark.parametrize('name', PAIRED)
def test_identical_images_have_the_identity_score(name, photo):
    for image in (photo, np.zeros_like(photo), np.full_like(photo, 0.5), np.ones_like(photo)):
        score = _compiled(name)(image, image)
        np.testing.assert_allclose(score, catalog.entry(name).identity, atol=TOLERANCE)


@pytest.mark.parametrize('name', METRICS)
def test_scores_stay_in_the_range(name, photo, batch):
    low, high = catalog.entry(name).range
    noise = np.random.default_rng(1).random(photo.shape, np.float32)
    pairs = [(photo, 1 - photo), (np.zeros_like(photo), np.ones_like(photo)), (photo, noise),
             (photo, np.full_like(photo, 0.5)), (noise, noise), *zip(*batch, strict=True)]
    for pair in pairs:
        score = float(_compiled(name)(*pair))
        assert low - TOLERANCE <= score <= high + TOLERANCE


@pytest.mark.parametrize(('name', 'distortion'), [
    (name, distortion) for name in METRICS for distortion in catalog.entry(name).monotone])
def test_score_follows_growing_strength(name, distortion, photo):
    distort, strengths = STRENGTHS[distortion]
    scores = [float(_compiled(name)(photo, distort(photo, strength))) for strength in strengths]
    if name in PAIRED:
        scores = [float(_compiled(name)(photo, photo)), *scores]
    steps = np.diff(scores) if catalog.entry(name).lower_is_better else -np.diff(scores)
    assert (steps > 0).all(), scores


@pytest.mark.parametrize('name', PAIRED)
def test_symmetry_is_as_declared(name, batch):
    forth, back = _compiled(name)(*batch), _compiled(name)(*batch[::-1])
    symmetric = np.allclose(forth, back, rtol=WIDER.get(name, TOLERANCE))
    assert symmetric == catalog.entry(name).symmetric


@pytest.mark.parametrize('name', _where(lambda row: row.differentiable))
def test_gradients_are_finite_everywhere(name, photo):
    gradient = _jit(name, functools.partial(jax.grad, argnums=(0, 1)))
    black, flat = np.zeros_like(photo), np.full_like(photo, 0.5)
    for pair in [(photo, photo), (black, black), (flat, flat), (photo, black), (flat, photo),
                 (black, flat), (photo, 1 - photo)]:
        for part in gradient(*pair):
            assert np.isfinite(part).all()


@pytest.mark.parametrize('name', _where(lambda row: row.differentiable))
def test_gradient_is_the_slope_of_the_score(name, batch):
    reference, distorted = (images[1].astype(np.float64) for images in batch)
    distorted = np.clip(distorted, 0.01, 0.99)
    direction = np.random.default_rng(2).normal(size=reference.shape)
    step = 1e-7  # at 1e-6 some ReLUs of a network turn between the two ends
    with jax.enable_x64(True):
        score = functools.partial(_compiled(name), reference)
        slope = np.vdot(jax.grad(score)(distorted), direction)
        rise = score(distorted + step * direction) - score(distorted - step * direction)
    assert slope == pytest.approx(float(rise) / (2 * step), rel=1e-4)


@pytest.mark.parametrize('name', METRICS)
@pytest.mark.parametrize(('broken', 'message'), [
    (lambda image: image[0], 'expected|same shape'),
    (lambda image: image[:, :, :2], 'channels|same shape'),
    (lambda image: np.uint8(255 * image), 'floats'),
    (lambda image: image + 0.5, r'\[0, 1\]'),
    (lambda image: image * np.float32(255), r'\[0, 1\]'),
    (lambda image: np.where(image > 0.5, np.float32(np.nan), image), 'NaN'),
    (lambda image: image[:5], 'at least|same shape'),
])
def test_bad_images_are_answered_with_the_argument(name, broken, message, photo):
    for position, argument in enumerate(_arguments(name)):
        images = [photo for _ in _arguments(name)]
        images[position] = broken(photo)
        with pytest.raises(InputError, match=message) as raised:
            catalog.get(name)(*images)
        assert argument in str(raised.value)


@pytest.mark.parametrize('name', METRICS)
def test_tracers_are_checked_for_shape_too(name, photo):
    images = [photo[:, :, :2] for _ in _arguments(name)]
    with pytest.raises(InputError, match=f'{_arguments(name)[0]}: expected .*channels'):
        jax.jit(catalog.get(name))(*images)
