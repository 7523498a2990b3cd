"""What is special to VSI: figures are in `tests/golden`, the contract in the metric table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import color, data

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.vsi import image_terms, visual_saliency, vsi, vsi_from_terms


@pytest.fixture(scope='module')
def pair():
    photo = data.astronaut()[40:136, 180:290].astype(np.float32) / np.float32(255)
    noise = np.random.default_rng(0).normal(0, 0.05, photo.shape)
    return photo, np.clip(photo + noise, 0, 1).astype(np.float32)


def _slow_saliency(image):
    """SDSP of a 256x256 image from its papers' equations, in float64."""
    linear = np.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
    xyz = linear @ np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                             [0.0193339, 0.1191920, 0.9503041]]).T
    lab = color.xyz2lab(xyz * np.array(color.xyz_tristimulus_values(
        illuminant='D65', observer='2')) / [0.9642, 1.0, 0.8251])
    axis = np.arange(256)
    frequency = np.hypot(*np.meshgrid((axis - 128) / 256, (axis - 128) / 256))
    frequency[128, 128] = 1
    band = np.exp(-np.log(frequency / 0.021) ** 2 / (2 * 1.34 ** 2)) * (frequency <= 0.5)
    spectrum = np.fft.fft2(lab, axes=(0, 1)) * np.fft.ifftshift(band)[..., None]
    energy = np.linalg.norm(np.fft.ifft2(spectrum, axes=(0, 1)).real, axis=-1)
    centre = np.exp(-((axis[:, None] - 127.) ** 2 + (axis[None] - 127.) ** 2) / 145 ** 2)
    low, high = lab[..., 1:].min((0, 1)), lab[..., 1:].max((0, 1))
    warm = 1 - np.exp(-(((lab[..., 1:] - low) / (high - low)) ** 2).sum(-1) / 0.001 ** 2)
    saliency = energy * centre * warm
    return (saliency - saliency.min()) / np.ptp(saliency)


def test_saliency_equals_a_slow_one():
    image = data.astronaut()[:256, 100:356] / 255.0
    got = jax.jit(visual_saliency)(image.astype(np.float32))
    np.testing.assert_allclose(got, _slow_saliency(image), atol=2e-4)


def test_shared_reference_terms_give_the_score_of_pairs(pair):
    reference, distorted = pair
    many = np.stack([distorted, reference, distorted[::-1]])
    shared = jax.jit(lambda one, others: jax.vmap(vsi_from_terms, in_axes=(None, 0))(
        image_terms(one), image_terms(others)))
    expected = jax.jit(vsi)(np.broadcast_to(reference, many.shape), many)
    np.testing.assert_allclose(shared(reference, many), expected, rtol=1e-5)


def test_map_pools_to_the_score(pair):
    score, similarity = jax.jit(vsi, static_argnames='return_map')(*pair, return_map=True)
    weight = np.maximum(*jax.jit(visual_saliency)(np.stack(pair)))
    assert similarity.shape == (96, 110)
    np.testing.assert_allclose(score, np.sum(weight * similarity) / np.sum(weight), rtol=1e-5)


def test_flat_images_have_no_saliency_and_equal_weights():
    dark, light = (np.full((32, 32, 3), value, np.float32) for value in (0.2, 0.6))
    assert np.all(visual_saliency(dark) == 0)
    score, similarity = vsi(dark, light, return_map=True)
    np.testing.assert_allclose(score, np.mean(similarity), rtol=1e-6)
    assert 0 < score < 1


def test_one_changed_level_is_salient_enough_to_count():
    image = np.full((64, 64, 3), 128 / 255, np.float32)
    image[30, 30] = 129 / 255
    assert np.max(visual_saliency(image)) == pytest.approx(1)


def test_double_precision_is_kept(pair):
    with jax.enable_x64(True):
        score = jax.jit(vsi)(*(image.astype(np.float64) for image in pair))
        assert score.dtype == jnp.float64
    assert float(score) == pytest.approx(float(jax.jit(vsi)(*pair)), abs=1e-6)


def test_second_derivative_is_finite(pair):
    def curvature(reference, distorted):
        gradient = jax.grad(vsi, argnums=1)
        return jax.jvp(lambda x: gradient(reference, x), (distorted,), (distorted - 0.5,))[1]
    flat = np.full((32, 32, 3), 0.5, np.float32)
    crops = [image[:32, :32] for image in pair]
    for reference, distorted in (crops, (flat, flat), (crops[0], crops[0])):
        assert np.isfinite(jax.jit(curvature)(reference, distorted)).all()


@pytest.mark.parametrize(('options', 'message'), [
    ({'resize_rule': 'torhc'}, "resize_rule: .* did you mean 'torch'"),
    ({'downsample_rule': 'piq'}, 'downsample_rule: unknown name'),
])
def test_unknown_rules_are_answered(pair, options, message):
    with pytest.raises(InputError, match=message):
        vsi(*pair, **options)
