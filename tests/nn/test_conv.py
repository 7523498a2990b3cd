"""Convolution: the matmul form against XLA's and SciPy's, with both derivatives and under vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from vision_jax.core.errors import InputError
from vision_jax.nn import conv

pytestmark = pytest.mark.usefixtures('strict_dtypes')

CASES = [
    # window, strides, padding, channels, outputs, groups
    ((3, 3), 1, 'SAME', 4, 5, 1),
    ((3, 3), 2, 'SAME', 4, 5, 1),
    ((3, 3), 2, 1, 4, 5, 1),
    ((7, 7), 2, 3, 3, 4, 1),
    ((5, 3), (2, 1), 'VALID', 3, 2, 1),
    ((2, 2), 2, 'VALID', 3, 4, 1),  # a row and no column left over
    ((3, 3), 1, 'SAME', 3, 40, 1),  # so many outputs that all shifts lie side by side
    ((1, 1), 1, 0, 6, 4, 1),
    ((1, 1), 2, 0, 6, 4, 1),
    ((3, 3), 1, ((0, 1), (2, 0)), 2, 3, 1),
    ((3, 3), 1, 'SAME', 6, 6, 6),
    ((5, 5), 2, 'SAME', 6, 6, 6),
    ((3, 3), 1, 1, 6, 12, 6),
    ((3, 3), 2, 1, 6, 4, 2),
]


def arrays(window, channels, outputs, groups, size=(9, 10)):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, *size, channels)).astype(np.float32)
    kernel = generator.normal(size=(*window, channels // groups, outputs)).astype(np.float32)
    return jnp.asarray(x), jnp.asarray(kernel)


@pytest.mark.parametrize(('window', 'strides', 'padding', 'channels', 'outputs', 'groups'), CASES)
def test_matmul_equals_lax_with_gradients(window, strides, padding, channels, outputs, groups):
    x, kernel = arrays(window, channels, outputs, groups)
    options = {'strides': strides, 'padding': padding, 'groups': groups}
    direction = jax.tree.map(jnp.cos, (x, kernel))

    def value_gradient_curvature(impl):
        def objective(x, kernel):
            return jnp.sum(jnp.sin(conv.conv2d(x, kernel, **options, impl=impl)))

        gradient = jax.grad(objective, (0, 1))

        def slope(*primals):
            leaves = jax.tree.map(lambda g, d: jnp.sum(g * d), gradient(*primals), direction)
            return leaves[0] + leaves[1]

        return (conv.conv2d(x, kernel, **options, impl=impl), gradient(x, kernel),
                jax.grad(slope, (0, 1))(x, kernel))

    expected, found = (jax.jit(value_gradient_curvature, static_argnums=0)(i)
                       for i in conv.IMPLEMENTATIONS)
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=2e-5 * float(jnp.abs(a).max()))


@pytest.mark.parametrize('impl', conv.IMPLEMENTATIONS)
def test_equals_scipy(impl):
    x, kernel = arrays((3, 3), 2, 3, 1)
    found = conv.conv2d(x, kernel, strides=2, padding=1, impl=impl)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.stack([
        sum(signal.correlate2d(image[..., c], kernel[..., c, o], 'valid') for c in range(2))
        for image in padded for o in range(3)
    ]).reshape(2, 3, 9, 10).transpose(0, 2, 3, 1)[:, ::2, ::2]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize('groups', [1, 6])
def test_vmap_over_kernels_equals_a_loop(groups):
    x, kernel = arrays((3, 3), 6, 6, groups)
    kernels = jnp.stack([kernel, 2 * kernel, kernel[::-1]])

    def gradient(kernel):
        def objective(k):
            return jnp.sum(jnp.sin(conv.conv2d(x, k, groups=groups, impl='matmul')))
        return jax.grad(objective)(kernel)

    looped = jnp.stack([gradient(k) for k in kernels])
    np.testing.assert_allclose(jax.vmap(gradient)(kernels), looped, atol=1e-4)


def test_layer_has_one_parameter_tree_for_both():
    x, _ = arrays((3, 3), 4, 5, 1)
    layers = [conv.Conv(5, bias=True, impl=impl) for impl in conv.IMPLEMENTATIONS]
    variables = layers[0].init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables['params']) == {'kernel': (3, 3, 4, 5), 'bias': (5,)}
    variables['params']['bias'] = jnp.arange(5, dtype=jnp.float32)
    results = [layer.apply(variables, x) for layer in layers]
    np.testing.assert_allclose(*results, atol=1e-5)


def test_bfloat16_stays_bfloat16():
    x, kernel = arrays((3, 3), 4, 5, 1)
    y = conv.conv2d(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), impl='matmul')
    assert y.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'impl': 'matmull'}, "no convolution 'matmull'; did you mean 'matmul'"),
        ({'padding': 'SAMEE'}, "no padding 'SAMEE'; did you mean 'SAME'"),
        ({'groups': 2}, 'do not fit'),
    ],
)
def test_wrong_arguments_are_named(change, message):
    x, kernel = arrays((3, 3), 4, 5, 1)
    with pytest.raises(InputError, match=message):
        conv.conv2d(x, kernel, **change)
