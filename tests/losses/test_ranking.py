"""Pairwise losses against loops over pairs written from the papers' text."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.losses import ranking

LOSSES = [ranking.pairwise_hinge, ranking.ranknet]
pytestmark = pytest.mark.usefixtures('strict_dtypes')


def scores(rows=7, seed=0):
    random = np.random.default_rng(seed)
    targets = np.round(random.uniform(0, 2, rows), 1)  # with ties
    targets[1] = targets[0]
    return jnp.asarray(random.normal(size=rows), jnp.float32), jnp.asarray(targets, jnp.float32)


def loop_over_pairs(p, y, mask, pair_loss, counts):
    """Losses of the counted pairs and how many there are, pair by pair."""
    p, y = np.float64(p), np.float64(y)
    pairs = [
        (i, j) for i in range(len(p)) for j in range(len(p))
        if mask[i] and mask[j] and counts(y[i] - y[j])
    ]
    return sum(pair_loss(p[i] - p[j], y[i] - y[j]) for i, j in pairs), len(pairs)


@pytest.mark.parametrize('use_margin', [False, True])
@pytest.mark.parametrize('threshold', [0.55, 1.0, 10.0])
def test_hinge_equals_a_loop_over_pairs(use_margin, threshold):
    p, y = scores()
    mask = np.float32([1, 1, 1, 0, 1, 1, 1])
    losses, valid = ranking.pairwise_hinge(
        p, y, mask=jnp.asarray(mask), threshold=threshold, use_margin=use_margin
    )
    total, count = loop_over_pairs(
        p, y, mask,
        lambda dp, dy: max(0.0, -np.sign(dy) * dp + (abs(dy) if use_margin else 0.0)),
        lambda dy: 0 < abs(np.float32(dy)) < threshold,
    )
    assert count > 0
    assert float(valid.sum()) == count
    assert float((valid * losses).sum()) == pytest.approx(total, rel=1e-5)


def test_ranknet_equals_a_loop_over_pairs():
    p, y = scores(seed=1)
    losses, valid = ranking.ranknet(p, y, scale=1.5)
    total, count = loop_over_pairs(
        p, y, np.ones(7),
        lambda dp, dy: np.log1p(np.exp(-1.5 * np.sign(dy) * dp)),
        lambda dy: dy != 0,
    )
    assert float(valid.sum()) == count
    assert float((valid * losses).sum()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize('loss', LOSSES)
def test_pairs_are_symmetric_and_the_right_order_costs_less(loss):
    _, y = scores()
    losses, valid = loss(y, y)
    assert losses.shape == valid.shape == (7, 7)
    np.testing.assert_allclose(losses, losses.T, rtol=1e-6)
    np.testing.assert_array_equal(np.diag(valid), 0)
    reverse, _ = loss(-y, y)
    assert (valid * losses).sum() < (valid * reverse).sum()


@pytest.mark.parametrize('loss', [*LOSSES, functools.partial(ranking.pairwise_hinge,
                                                             use_margin=True)])
def test_gradients_are_finite_also_twice_and_at_ties(loss):
    _, y = scores()

    def reduced(p):
        losses, valid = loss(p, y)
        return (losses * valid).sum()

    for p in (y, jnp.zeros_like(y)):
        assert np.isfinite(jax.grad(reduced)(p)).all()
        assert np.isfinite(jax.hessian(reduced)(p)).all()


@pytest.mark.parametrize('loss', LOSSES)
def test_jit_and_wrong_shapes(loss):
    p, y = scores()
    for got, expected in zip(jax.jit(loss)(p, y), loss(p, y), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    with pytest.raises(InputError, match='predictions: expected 1 axes'):
        loss(p[:, None], y[:, None])
    with pytest.raises(InputError, match='predictions and targets'):
        loss(p, y[:3])
    with pytest.raises(InputError, match='predictions and mask'):
        loss(p, y, mask=jnp.ones(3))
