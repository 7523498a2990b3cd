"""What is special to NLPD: figures are in `tests/golden`."""

import functools

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.core.errors import InputError
from vision_jax.iqa.full_reference.nlpd import nlpd


@pytest.fixture
def photo():
    return data.chelsea()[60:124, 120:184].astype(np.float32) / np.float32(255)


def test_rounding_the_grey_images_is_a_distance_of_its_own(photo):
    """Red up and blue down by one of 255: the published figures of such pictures are rounding."""
    changed = np.clip(photo + np.array([1, 0, -1]) / 255, 0, 1).astype(np.float32)
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    rounded = [np.round(255 * (image @ weights))[..., None].astype(np.float32) / np.float32(255)
               for image in (photo, changed)]
    score = jax.jit(functools.partial(nlpd, colour='matlab_uint8'))(photo, changed)
    assert score == pytest.approx(float(jax.jit(nlpd)(*rounded)), rel=1e-3)
    assert score > 1.5 * jax.jit(nlpd)(photo, changed)


def test_unknown_conventions_are_answered(photo):
    with pytest.raises(InputError, match="convention: .* did you mean 'authors'"):
        nlpd(photo, photo, convention='author')
