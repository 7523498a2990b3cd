"""What is special to VIF and VIFp: figures are in `tests/golden`."""

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.iqa.full_reference.vif import vif
from vision_jax.iqa.full_reference.vifp import vifp


@pytest.fixture(params=[vif, vifp])
def metric(request):
    return jax.jit(request.param, static_argnames='colour')


@pytest.fixture
def photo():
    return data.chelsea()[60:132, 120:192].astype(np.float32) / np.float32(255)


def test_more_contrast_is_more_information(metric, photo):
    stronger = np.clip(photo.mean() + 1.2 * (photo - photo.mean()), 0, 1)
    assert metric(photo, stronger) > 1.005


def test_a_flat_reference_has_nothing_to_lose(metric, photo):
    assert metric(np.full_like(photo, 0.3), photo) == 1


def test_stripes_have_finite_derivatives(metric, photo):
    stripes = np.broadcast_to(photo[:1], photo.shape)
    for pair in [(stripes, photo), (stripes, 0.9 * stripes), (stripes, stripes)]:
        assert np.isfinite(metric(*pair))
        for slope in jax.grad(metric, argnums=(0, 1))(*pair):
            assert np.isfinite(slope).all()


def test_each_channel_alone_is_averaged(metric, photo):
    noise = np.random.default_rng(0).normal(0, 0.05, photo.shape)
    noisy = np.clip(photo + noise, 0, 1).astype(np.float32)
    alone = [metric(photo[..., i:i + 1], noisy[..., i:i + 1]) for i in range(3)]
    assert metric(photo, noisy, colour='each') == pytest.approx(np.mean(alone), rel=1e-4)
