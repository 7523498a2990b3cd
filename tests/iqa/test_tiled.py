"""Bands join to the score of the whole image, at odd sizes, borders and scales."""

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax import catalog
from vision_jax.core.errors import InputError
from vision_jax.iqa.tiled import TILED, tiled_score


@pytest.fixture
def pair():
    """571 by 189 pixels: several bands, and odd at every scale or nearly."""
    reference = data.retina()[500:1071, 600:789]
    noise = np.random.default_rng(0).normal(0, 8, reference.shape)
    return reference, np.clip(reference + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(('name', 'options'), [
    ('mse', {}),
    ('psnr', {}),
    ('psnr', {'average': 'channels', 'epsilon': 1e-8}),
    ('psnr_y', {}),
    ('ssim', {}),
    ('ssim', {'padding': 'reflect', 'colour': 'each'}),
    ('ssim', {'window': 'uniform', 'window_size': 7, 'covariance': 'sample'}),
    ('ms_ssim', {}),
    ('ms_ssim', {'colour': 'each', 'downsample': 'crop', 'weights': [0.2, 0.3, 0.5]}),
    ('uqi', {}),
    ('gssim', {}),
    ('gmsd', {}),
    ('gmsd', {'colour': 'each', 'ragged': 'crop', 'deviation': 'population'}),
])
def test_bands_give_the_score_of_the_whole(name, options, pair):
    whole = jax.jit(lambda a, b: catalog.get(name)(a, b, **options))
    expected = float(whole(*(np.float32(image) / np.float32(255) for image in pair)))
    assert tiled_score(name, *pair, rows=50, **options) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize('downsample', ['auto', 'pool'])
def test_bands_follow_the_factor_of_the_whole(downsample, pair):
    large = [np.kron(image, np.ones((3, 4, 1), np.uint8))[:1700, :641] for image in pair]  # F = 3
    expected = float(jax.jit(lambda a, b: catalog.get('ssim')(a, b, downsample=downsample))(
        *(np.float32(image) / np.float32(255) for image in large)))
    got = tiled_score('ssim', *large, rows=200, downsample=downsample)
    assert got == pytest.approx(expected, rel=2e-6)


def test_files_and_floats_are_read_as_they_are(tmp_path, pair):
    files = []
    for index, image in enumerate(pair):
        file = np.memmap(tmp_path / str(index), np.uint8, 'w+', shape=image.shape)
        file[:] = image
        files.append(file)
    score = tiled_score('ssim', *files, rows=100)
    floats = [image / np.float32(255) for image in pair]
    assert tiled_score('ssim', *floats, rows=100) == pytest.approx(score, rel=1e-6)
    wide = [np.uint16(image) * 257 for image in pair]
    assert tiled_score('ssim', *wide, rows=100) == pytest.approx(score, rel=1e-6)


def test_equal_images_score_the_identity(pair):
    for name in TILED:
        assert tiled_score(name, pair[0], pair[0], rows=100) == pytest.approx(
            catalog.entry(name).identity, abs=1e-6)


@pytest.mark.parametrize(('call', 'message'), [
    (lambda a, b: tiled_score('vsi', a, b), 'vsi: its score is no mean of maps'),
    (lambda a, b: tiled_score('ms-ssim', a, b), "did you mean 'ms_ssim'"),
    (lambda a, b: tiled_score('ssim', a, b[1:]), 'must have the same shape'),
    (lambda a, b: tiled_score('ssim', a, b / 255), 'must have the same dtype'),
    (lambda a, b: tiled_score('ssim', a[:9], b[:9]), 'reference: height and width'),
    (lambda a, b: tiled_score('ssim', a, b, downsample='x'), 'downsample: unknown name'),
    (lambda a, b: tiled_score('ssim', a, b, rows=0), 'rows: expected at least 1'),
    (lambda a, b: tiled_score('ssim', a / 200, b / 255), r'reference: expected values in \[0, 1\]'),
    (lambda a, b: tiled_score('ms_ssim', a, b, downsample='pool'), 'downsample: .* do not join'),
    (lambda a, b: tiled_score('mse', a.tolist(), b.tolist()), 'reference: expected a NumPy array'),
])
def test_bad_input_is_named(call, message, pair):
    with pytest.raises(InputError, match=message):
        call(*pair)
