"""SSIMULACRA 2 where the scales run out, which no recorded photograph is small enough for."""

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.iqa.full_reference.ssimulacra2 import ssimulacra2


# The authors' tool (cloudinary/ssimulacra2 81feacf, SSIMULACRA 2.1, highway 1.0.3, lcms 2.14) on
# PNG files of these very crops, 2026-11-21.
@pytest.mark.parametrize(('height', 'width', 'score'), [
    (8, 8, 86.74222905), (9, 64, 84.87088833), (13, 14, 83.95185446), (65, 70, 13.47054366),
    (128, 129, 48.26615204)])
def test_small_and_odd_sizes_agree_with_the_authors_tool(height, width, score):
    photo = data.chelsea()
    noise = np.random.default_rng(0).normal(0, 15, photo.shape)
    noisy = np.uint8(np.clip(np.round(photo + noise), 0, 255))
    pair = [image[60:60 + height, 120:120 + width] / 255 for image in (photo, noisy)]
    with jax.enable_x64(True):
        assert float(jax.jit(ssimulacra2)(*pair)) == pytest.approx(score, abs=0.05)
