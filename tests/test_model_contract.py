"""Every network of the catalogue: its size, one small real step, and what training may change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vision_jax import catalog

ROWS = [
    (name, variant, count)
    for name in catalog.names(kind='backbone')
    for variant, count in catalog.entry(name).parameters.items()
]
# The narrowest form of each family.
TINY = {
    'resnet': ('18', {'width': 4, 'depths': (1, 1, 1, 1), 'num_outputs': 3}),
    'efficientnet_lite': (
        'lite0', {'width_factor': 0.1, 'depth_factor': 0.1, 'num_outputs': 3, 'dropout': 0.0},
    ),
    'vgg': ('16', {'width': 4, 'depths': (1, 1, 1, 1, 1), 'hidden': 8, 'num_outputs': 3,
                   'norm': 'batch', 'dropout': 0.0}),
    'alexnet': ('one_column', {'width': 4, 'hidden': 8, 'num_outputs': 3, 'norm': 'batch',
                               'dropout': 0.0}),
}
SIDES = {'alexnet': 64}  # pixels that the network needs where 32 are too few
COARSEST = {'alexnet': (2, 1)}  # map of 96x64 pixels: AlexNet's poolings are not padded
FAMILIES = catalog.names(kind='backbone')


def images(name):
    side = SIDES.get(name, 32)
    return jnp.asarray(np.random.default_rng(0).random((2, side, side, 3)), jnp.float32)


def tiny_model(name, **options):
    variant, narrow = TINY[name]
    return catalog.get(name)(variant, **{**narrow, **options}), images(name)


def tiny(name, **options):
    model, x = tiny_model(name, **options)
    return model, dict(jax.jit(lambda k: model.init(k, x, train=False))(jax.random.key(0)))


def test_every_family_has_a_tiny_form():
    assert set(TINY) == set(FAMILIES)


@pytest.mark.parametrize(('name', 'variant', 'count'), ROWS)
def test_parameter_count_is_the_published_one_and_shapes_follow_the_options(name, variant, count):
    model = catalog.get(name)(variant)
    shape = jax.ShapeDtypeStruct((2, 96, 64, 3), jnp.float32)
    (outputs, maps), variables = jax.eval_shape(
        lambda k, x: model.init_with_output(k, x, train=False), jax.random.key(0), shape)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables['params'])) == count
    assert outputs.shape == (2, 1000)
    coarsest = min((m for m in maps.values() if m.ndim == 4), key=lambda m: m.shape[1])
    assert coarsest.shape[:3] == (2, *COARSEST.get(name, (3, 2)))
    features, _ = jax.eval_shape(
        lambda k, x: catalog.get(name)(variant, num_outputs=0).init_with_output(
            k, x, train=False), jax.random.key(0), shape)[0]
    assert features.shape == maps['features'].shape == (2, features.shape[-1])


@pytest.mark.parametrize('name', FAMILIES)
def test_both_convolutions_give_one_result_and_gradient(name):
    _, variables = tiny(name)

    def gradient(params, conv):
        model, _ = tiny_model(name, conv=conv)

        def objective(params):
            outputs, _ = model.apply({**variables, 'params': params}, images(name), train=False)
            return jnp.sum(jnp.sin(outputs)), outputs

        return jax.grad(objective, has_aux=True)(params)

    (gradient_a, outputs_a), (gradient_b, outputs_b) = (
        jax.jit(gradient, static_argnums=1)(variables['params'], c) for c in ('lax', 'matmul'))
    assert float(jnp.abs(outputs_a).max()) > 0
    np.testing.assert_allclose(outputs_a, outputs_b, rtol=1e-3, atol=1e-5)
    for a, b in zip(jax.tree.leaves(gradient_a), jax.tree.leaves(gradient_b), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, atol=1e-3 * max(float(jnp.abs(a).max()), 1e-3))
    assert any(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient_a))


@pytest.mark.parametrize('name', FAMILIES)
def test_training_changes_batch_statistics_and_nothing_else(name):
    model, variables = tiny(name)
    assert set(variables) == {'params', 'batch_stats'}
    (_, _), changed = jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=True))(
        variables, images(name))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, changed['params'], variables['params']))
    changes = jax.tree.map(
        lambda new, old: jnp.any(new != old), changed['batch_stats'], variables['batch_stats'])
    assert jax.tree.all(changes)
    (_, _), same = jax.jit(lambda v, x: model.apply(v, x, train=False, mutable=True))(
        variables, images(name))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, same, variables))


@pytest.mark.parametrize('name', FAMILIES)
def test_with_group_norm_training_changes_nothing_and_images_are_independent(name):
    model, variables = tiny(name, norm='group')
    assert set(variables) == {'params'}
    apply = jax.jit(lambda x, train: model.apply(variables, x, train=train)[0],
                    static_argnames='train')
    x = images(name)
    np.testing.assert_array_equal(apply(x, train=True), apply(x, train=False))
    np.testing.assert_allclose(
        apply(x, train=True)[:1], apply(x[:1], train=True), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', FAMILIES)
def test_bfloat16_stays_bfloat16(name):
    model, variables = tiny(name)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), variables['params'])
    (outputs, _), state = jax.eval_shape(
        lambda x: model.apply({**variables, 'params': params}, x, train=True,
                              mutable=['batch_stats']), images(name).astype(jnp.bfloat16))
    assert outputs.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype('float32')}
