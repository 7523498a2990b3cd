"""The photographs in the wheels, and the tiles that are cut from them."""

import importlib.util

import numpy as np
import pytest
import skimage.data
from sklearn.datasets import load_sample_image

from vision_jax.core.errors import InputError
from vision_jax.data.photo_tiles import choose_tiles, cut
from vision_jax.data.photographs import PHOTOGRAPHS, load_photograph


@pytest.mark.parametrize('row', PHOTOGRAPHS, ids=lambda row: row.name)
def test_every_photograph_is_in_its_wheel(row):
    photo = load_photograph(row.name)
    assert photo.dtype == np.uint8
    assert photo.shape[2] == 3
    height, width = row.size
    assert photo.shape[:2] == (-(-height // row.shrink), -(-width // row.shrink))
    assert (photo[..., 0] != photo[..., 1]).any()  # in colour
    assert row.origin
    assert row.licence


def test_photographs_are_what_their_packages_load():
    np.testing.assert_array_equal(load_photograph('chelsea'), skimage.data.chelsea())
    np.testing.assert_array_equal(load_photograph('china'), load_sample_image('china.jpg'))


def test_retina_is_averaged_over_two_pixels():
    large = skimage.data.retina()[:1410, :1410].astype(float)
    means = large.reshape(705, 2, 705, 2, 3).mean(axis=(1, 3))
    assert np.abs(load_photograph('retina')[:705, :705] - means).max() <= 0.5


def test_unknown_photograph_and_missing_package(monkeypatch):
    with pytest.raises(InputError, match="did you mean 'coffee'"):
        load_photograph('cofee')
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match='lies in scikit-image, which is not installed'):
        load_photograph('coffee')


def test_tiles_show_something_and_lie_apart():
    photo = load_photograph('rocket')  # most of it is sky
    corners = choose_tiles(photo, side=96, count=6, seed=0)
    np.testing.assert_array_equal(corners, choose_tiles(photo, side=96, count=6, seed=0))
    tiles = cut(photo, corners, 96)
    assert tiles.shape == (6, 96, 96, 3)
    grey = tiles.mean(axis=-1) / 255
    assert grey.std(axis=(1, 2)).min() > 0.035
    distances = [np.hypot(*(a - b)) for i, a in enumerate(corners) for b in corners[:i]]
    assert min(distances) > 48


def test_a_flat_corner_is_never_chosen():
    photo = np.full((200, 200, 3), 128, np.uint8)
    photo[:, 100:] = np.random.default_rng(0).integers(0, 255, (200, 100, 3))
    corners = choose_tiles(photo, side=64, count=3, seed=1)
    assert (corners[:, 1] + 64 > 100).all()


def test_impossible_tiles_are_refused():
    flat = np.full((128, 128, 3), 7, np.uint8)
    with pytest.raises(InputError, match='at most 0, the places with detail'):
        choose_tiles(flat, side=64, count=1, seed=0)
    with pytest.raises(InputError, match='256 pixels do not fit a photograph of 128x128'):
        choose_tiles(flat, side=256, count=1, seed=0)
