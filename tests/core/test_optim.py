"""Optimizers and schedules by name, against optax called by hand and closed forms."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from vision_jax.core import optim
from vision_jax.core.errors import InputError

PARAMS = {'body': {'kernel': jnp.full((2, 3), 2.0), 'bias': jnp.full(3, 2.0)},
          'head': {'kernel': jnp.full((3, 1), 2.0)}}
GRADIENTS = jax.tree.map(lambda p: 0.1 * p + jnp.arange(p.size).reshape(p.shape), PARAMS)


def config(**options) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict({'name': 'sgd', 'learning_rate': 0.5, **options})


def updates_of(optimizer, steps=3):
    """The updates of a few steps with one gradient."""
    carried, result = optimizer.init(PARAMS), []
    for _ in range(steps):
        updates, carried = optimizer.update(GRADIENTS, carried, PARAMS)
        result.append(updates)
    return result


def assert_equal_updates(got, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, expected)


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_each_name_is_optax_s_own(name):
    got = updates_of(optim.make_optimizer(config(name=name)))
    options = {'weight_decay': 0.0} if name in ('adamw', 'nadamw', 'lamb', 'lion') else {}
    assert_equal_updates(got, updates_of(getattr(optax, name)(0.5, **options)))


def test_other_keys_go_to_optax():
    got = updates_of(optim.make_optimizer(config(momentum=0.9, nesterov=True)))
    assert_equal_updates(got, updates_of(optax.sgd(0.5, momentum=0.9, nesterov=True)))


def test_weight_decay_spares_leaves_of_one_axis():
    added = updates_of(optim.make_optimizer(config(weight_decay=0.1)), 1)[0]
    assert_equal_updates(added['head']['kernel'], -0.5 * (GRADIENTS['head']['kernel'] + 0.1 * 2))
    assert_equal_updates(added['body']['bias'], -0.5 * GRADIENTS['body']['bias'])
    with_decay, without = (
        updates_of(optim.make_optimizer(config(name='adamw', weight_decay=decay)), 1)[0]
        for decay in (0.1, 0.0)
    )
    moved = jax.tree.map(np.subtract, with_decay, without)
    np.testing.assert_allclose(moved['head']['kernel'], -0.5 * 0.1 * 2, rtol=1e-5)
    np.testing.assert_array_equal(moved['body']['bias'], 0)


def test_clipping_comes_before_decay_and_the_optimizer():
    got = updates_of(optim.make_optimizer(config(clip_norm=0.1, weight_decay=0.1)), 1)[0]
    norm = np.sqrt(sum(np.square(g).sum() for g in jax.tree.leaves(GRADIENTS)))
    expected = -0.5 * (GRADIENTS['body']['kernel'] * 0.1 / norm + 0.1 * 2)
    np.testing.assert_allclose(got['body']['kernel'], expected, rtol=1e-5)


def test_multipliers_scale_the_rate_and_the_last_match_counts():
    plain = updates_of(optim.make_optimizer(config(name='adam')))
    pairs = (('.*/kernel', 2.0), ('head/.*', 10.0))
    scaled = updates_of(optim.make_optimizer(config(name='adam', lr_multipliers=pairs)))
    for got, expected in zip(scaled, plain, strict=True):
        assert_equal_updates(got['head']['kernel'], 10 * expected['head']['kernel'])
        assert_equal_updates(got['body']['kernel'], 2 * expected['body']['kernel'])
        assert_equal_updates(got['body']['bias'], expected['body']['bias'])


# Name, arguments beside the learning rate 0.5, and rates at steps in closed form.
SCHEDULES = [
    ('constant_schedule', {}, {0: 0.5, 99: 0.5}),
    ('cosine_decay_schedule', {}, {0: 0.5, 50: 0.25, 100: 0.0}),
    ('cosine_onecycle_schedule', {}, {0: 0.5 / 25, 30: 0.5}),
    ('exponential_decay', {'transition_steps': 10, 'decay_rate': 0.9}, {20: 0.5 * 0.81}),
    ('linear_onecycle_schedule', {}, {0: 0.5 / 25, 30: 0.5}),
    ('linear_schedule', {'end_value': 0.0}, {25: 0.375}),
    ('piecewise_constant_schedule', {'boundaries_and_scales': ((10, 0.1), (20, 0.5))},
     {9: 0.5, 11: 0.05, 30: 0.025}),
    ('polynomial_schedule', {'end_value': 0.0, 'power': 2}, {50: 0.125}),
    ('warmup_constant_schedule', {'warmup_steps': 10}, {0: 0.0, 5: 0.25, 50: 0.5}),
    ('warmup_cosine_decay_schedule', {'warmup_steps': 20}, {0: 0.0, 20: 0.5, 60: 0.25, 100: 0.0}),
    ('warmup_exponential_decay_schedule',
     {'warmup_steps': 10, 'transition_steps': 10, 'decay_rate': 0.5}, {5: 0.25, 20: 0.25}),
]


@pytest.mark.parametrize(('name', 'options', 'rates'), SCHEDULES, ids=[row[0] for row in SCHEDULES])
def test_schedules_have_their_closed_form(name, options, rates):
    schedule = optim.make_schedule(config(schedule={'name': name, **options}), steps=100)
    for at, rate in rates.items():
        assert float(schedule(at)) == pytest.approx(rate, abs=1e-6)


def test_every_schedule_is_tested():
    assert {row[0] for row in SCHEDULES} == set(optim.SCHEDULES)


def test_the_schedule_reaches_the_optimizer():
    schedule = {'name': 'linear_schedule', 'end_value': 0.0}
    got = updates_of(optim.make_optimizer(config(schedule=schedule), steps=2), 3)
    for rate, updates in zip((0.5, 0.25, 0.0), got, strict=True):
        assert_equal_updates(updates, jax.tree.map(lambda g, r=rate: -r * g, GRADIENTS))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'name': 'admw'}, "no optimizer 'admw'; did you mean 'adamw'"),
        ({'momentun': 0.9}, "sgd takes no 'momentun'; did you mean 'momentum'"),
        ({'schedule': {'name': 'cosine_schedule'}}, "no schedule 'cosine_schedule'; did you mean"),
        ({'schedule': {'name': 'cosine_decay_schedule'}}, 'needs decay_steps'),
        ({'schedule': {'name': 'constant_schedule', 'valeu': 1}}, "takes no 'valeu'"),
        ({'lr_multipliers': (('haed/.*', 10.0),)}, "'haed/.*' matches no path"),
    ],
)
def test_mistakes_are_answered_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as error:
        optim.make_optimizer(config(**options)).init(PARAMS)
    assert '\n' not in str(error.value)
