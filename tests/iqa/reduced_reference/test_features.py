"""Features of a reference travel: as bytes, as files, and only to their own method and size."""

import io

import jax
import numpy as np
import pytest
from skimage import data

from vision_jax.core.errors import InputError
from vision_jax.iqa.reduced_reference import features as stored
from vision_jax.iqa.reduced_reference import rred, wnism

METHODS = {'wnism': (wnism, wnism.WnismFeatures), 'rred': (rred, rred.RredFeatures)}


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope='module')
def pair():
    photo = data.camera()[100:180, 200:280, None].astype(np.float32) / np.float32(255)
    noise = np.random.default_rng(0).normal(0, 0.05, photo.shape)
    return photo, np.clip(photo + noise, 0, 1).astype(np.float32)


@pytest.fixture
def extracted(method, pair):
    return jax.jit(METHODS[method][0].extract)(pair[0])


def test_a_file_gives_the_score_of_the_pair(method, extracted, pair, tmp_path):
    module, kind = METHODS[method]
    stored.save(tmp_path / 'reference.npz', extracted)
    loaded = stored.load(tmp_path / 'reference.npz', kind=kind)
    assert [path.name for path in tmp_path.iterdir()] == ['reference.npz']
    score = jax.jit(module.score)
    assert score(loaded, pair[1]) == score(extracted, pair[1])
    whole = jax.jit(getattr(module, method))(*pair)
    assert score(loaded, pair[1]) == pytest.approx(float(whole), rel=5e-4)


def test_one_reference_is_compared_with_many(method, extracted, pair):
    module, _ = METHODS[method]
    many = np.stack([pair[0], pair[1]])
    scores = jax.jit(jax.vmap(module.score, in_axes=(None, 0)))(extracted, many)
    assert scores[0] < 1e-3 < scores[1]


def test_small_enough_to_send(extracted, pair):
    numbers = sum(np.size(part) for part in extracted)
    assert numbers < pair[0].size / 50
    assert len(stored.to_bytes(extracted)) < 2000


def test_broken_bytes_are_answered(method, extracted):
    kind, data = METHODS[method][1], stored.to_bytes(extracted)
    pickled = io.BytesIO()
    np.savez(pickled, scale=np.array([{}], dtype=object))
    for broken in (b'', b'text', data[:-1], data[:len(data) // 2], data[30:], pickled.getvalue()):
        with pytest.raises(InputError, match='reference: (no features|expected)'):
            stored.from_bytes(broken, kind=kind, source='reference')


def test_features_of_another_method_are_answered(method, extracted, tmp_path):
    other = next(kind for name, (_, kind) in METHODS.items() if name != method)
    with pytest.raises(InputError, match=f'expected {other.__name__}, got those of'):
        stored.from_bytes(stored.to_bytes(extracted), kind=other)
    with pytest.raises(InputError, match='cannot be read'):
        stored.load(tmp_path / 'none.npz', kind=other)


def test_another_size_is_answered(method, extracted, pair):
    with pytest.raises(InputError, match='distorted: the features are of an image of 80x80'):
        METHODS[method][0].score(extracted, pair[1][:, :77])


def test_values_that_are_no_numbers_are_answered(method, extracted):
    broken = extracted._replace(size=np.array([np.nan, 80]))
    with pytest.raises(InputError, match='NaN'):
        stored.from_bytes(stored.to_bytes(broken), kind=METHODS[method][1])
