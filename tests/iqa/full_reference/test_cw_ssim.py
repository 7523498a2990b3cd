"""What is special to CW-SSIM: figures are in `tests/golden`."""

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.cw_ssim import cw_ssim

compare = jax.jit(cw_ssim, static_argnames=('levels', 'orientations', 'guard', 'k'))


@pytest.fixture(scope='module')
def pair():
    photo = data.camera()[100:229, 200:360, None].astype(np.float32) / np.float32(255)
    return photo[:, 1:], photo[:, :-1]


def test_a_shift_by_a_pixel_is_forgiven(pair):
    assert compare(*pair) > 0.99
    assert compare(pair[0][:, 16:], pair[0][:, :-16]) < 0.9


def test_the_constant_weighs_on_weak_coefficients(pair):
    faint = [0.5 + 1e-3 * (image - 0.5) for image in (pair[0], np.roll(pair[1], 31, axis=0))]
    assert compare(*faint) < 0.9 < compare(*faint, k=1e3)


def test_the_guard_leaves_the_border_out(pair):
    reference, distorted = pair[0], pair[0].copy()
    distorted[:, :8] = 0
    scores = [compare(reference, distorted, levels=3, guard=guard) for guard in (0, 24)]
    assert scores[0] < scores[1]


@pytest.mark.parametrize('options', [{'levels': 6}, {'guard': 48}, {'levels': 0}])
def test_too_many_levels_are_answered(pair, options):
    with pytest.raises(InputError, match='levels'):
        cw_ssim(*pair, **options)
