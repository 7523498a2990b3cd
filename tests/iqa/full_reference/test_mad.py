"""MAD of the smallest images, and of what it does not detect."""

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.iqa.full_reference.mad import mad

SCORE = jax.jit(mad)


def _crop(height: int, width: int) -> np.ndarray:
    return data.chelsea()[60:60 + height, 120:120 + width, 1:2].astype(np.float64)


def _noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(np.round(image + noise), 0, 255)


# The authors' MAD_index.m of September 2011 in GNU Octave 7.3.0 with octave-image 2.14.0, given the
# crops as doubles, 2026-11-21.
@pytest.mark.parametrize(('height', 'width', 'score'), [
    (34, 34, 110.132166201777), (35, 38, 106.933481847748), (37, 53, 101.519264709962),
    (64, 40, 111.645834669641)])
def test_small_and_odd_sizes_agree_with_the_authors_code(height, width, score):
    image = _crop(height, width)
    with jax.enable_x64(True):
        assert float(SCORE(image / 255, _noisy(image, 60) / 255)) == pytest.approx(score, rel=1e-9)


def test_what_is_not_detected_costs_nothing_and_more_costs_more():
    image = _crop(64, 80)
    scores = [float(SCORE(np.float32(image / 255), np.float32(_noisy(image, sigma) / 255)))
              for sigma in (1, 20, 40, 80)]
    assert scores[0] == 0
    assert np.all(np.diff(scores) > 0)
