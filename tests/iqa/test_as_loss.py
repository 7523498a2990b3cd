"""Every differentiable metric is a loss: gradient descent finds the way back to the reference."""

import jax
import numpy as np
import optax
import pytest
from skimage import data

from vision_jax import catalog

PAIRED = catalog.names(kind='full_reference') + catalog.names(kind='reduced_reference')
STEPS, RATE = 60, 0.01
DECIBELS = 1000.0  # a greater score of equal images stands for infinity


@pytest.mark.parametrize('name', [n for n in PAIRED if catalog.entry(n).differentiable])
def test_descent_leads_back_to_the_reference(name):
    row = catalog.entry(name)
    side = max(64, row.min_side)
    photo = data.chelsea()[60:60 + side, 120:120 + side].astype(np.float32) / np.float32(255)
    photo = photo if 3 in row.channels else photo[..., 1:2]
    noise = np.random.default_rng(0).normal(0, 0.1, photo.shape).astype(np.float32)
    image = np.clip(photo + noise, 0, 1)
    sign = 1 if row.lower_is_better else -1
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

    @jax.jit
    def step(image, state):
        loss, slope = jax.value_and_grad(lambda x: sign * catalog.get(name)(photo, x))(image)
        updates, state = optimizer.update(slope, state)
        return loss, optax.projections.projection_box(image + updates, 0.0, 1.0), state

    state, losses = optimizer.init(image), []
    for _ in range(STEPS):
        loss, image, state = step(image, state)
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    if row.identity < DECIBELS:
        best = sign * row.identity
        assert losses[-1] - best < 0.6 * (losses[0] - best), losses[::10]
    else:
        assert losses[-1] < losses[0] - 6, losses[::10]
