"""The quality networks: MetaIQA's head in NumPy, its size, and the early-stage statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from vision_jax.iqa import metaiqa, stage_statistics


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def head_in_numpy(variables, x: np.ndarray) -> np.ndarray:
    """FC, batch norm, PReLU for each hidden layer; FC and sigmoid at the end (inference)."""
    params, stats = variables['params'], variables['batch_stats']
    for index in range(2):
        dense, norm = params[f'dense{index}'], params[f'norm{index}']
        x = x @ dense['kernel'] + dense['bias']
        moments = stats[f'norm{index}']
        x = (x - moments['mean']) / np.sqrt(moments['var'] + 1e-5) * norm['scale'] + norm['bias']
        x = np.where(x > 0, x, params[f'prelu{index}']['negative_slope'] * x)
    logit = x @ params['output']['kernel'] + params['output']['bias']
    return 1 / (1 + np.exp(-logit[:, 0]))


def test_head_equals_numpy():
    head = metaiqa.RegressionHead(hidden=(7, 5), dropout=0.5)
    x = rng().normal(size=(6, 4)).astype(np.float32)
    variables = head.init(jax.random.key(0), x, train=False)
    generator = rng()
    variables = jax.tree.map(
        lambda leaf: np.abs(generator.normal(size=leaf.shape)).astype(np.float32), variables
    )
    quality, intermediates = head.apply(variables, x, train=False)
    np.testing.assert_allclose(quality, head_in_numpy(variables, x), rtol=1e-5)
    assert quality.shape == intermediates['logit'].shape == (6,)


def test_head_drops_and_normalises_only_while_training():
    head = metaiqa.RegressionHead(hidden=(64,), dropout=0.5)
    x = rng().normal(size=(32, 8)).astype(np.float32)
    variables = head.init(jax.random.key(0), x, train=False)

    def trained(key):
        out, state = head.apply(
            variables, x, train=True, rngs={'dropout': key}, mutable=['batch_stats']
        )
        return out[0], state

    (first, state), (second, _) = trained(jax.random.key(1)), trained(jax.random.key(2))
    assert not np.allclose(first, second)
    dense = jax.tree.map(np.asarray, variables['params']['dense0'])
    hidden = x @ dense['kernel'] + dense['bias']
    expected = 0.1 * hidden.mean(0)  # torch's momentum 0.1, from 0
    np.testing.assert_allclose(
        state['batch_stats']['norm0']['mean'], expected, rtol=1e-4, atol=1e-6
    )


def test_metaiqa_has_the_papers_size():
    shapes = jax.eval_shape(
        lambda key: metaiqa.build('resnet18').init(key, jnp.zeros((1, 64, 64, 3)), train=False),
        jax.random.key(0),
    )
    trunk = 11_689_512  # torchvision's resnet18, all 1000 logits
    head = 1000 * 1024 + 1024 + 2 * 1024 + 1 + 1024 * 512 + 512 + 2 * 512 + 1 + 512 + 1
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes['params'])) == trunk + head


def test_metaiqa_normalises_as_imagenet_models_expect():
    image = np.full((1, 2, 2, 3), (0.485, 0.456, 0.406), np.float32) + 0.1
    expected = 0.1 / np.array((0.229, 0.224, 0.225))
    np.testing.assert_allclose(
        metaiqa.imagenet_normalise(jnp.asarray(image))[0, 0, 0], expected, rtol=1e-5
    )


def test_channel_statistics_equal_numpy():
    x = rng().normal(size=(3, 5, 6, 4)).astype(np.float32)
    expected = np.concatenate(
        [x.mean((1, 2)), np.log(np.sqrt(x.var((1, 2)) + 1e-6))], axis=-1
    )
    np.testing.assert_allclose(stage_statistics.channel_statistics(x), expected, rtol=1e-4)


@pytest.fixture(scope='module')
def model_and_variables():
    model = stage_statistics.build('lite0', stages=('stem', 'stage0'), conv='matmul')
    image = jnp.asarray(rng().uniform(size=(2, 32, 32, 3)), jnp.float32)
    return model, jax.jit(lambda x: model.init(jax.random.key(0), x, train=False))(image), image


def test_features_are_statistics_and_what_a_further_blur_changes(model_and_variables):
    model, variables, image = model_and_variables
    blurred = np.stack([
        scipy.ndimage.gaussian_filter(np.asarray(picture), (1.2, 1.2, 0)) for picture in image
    ])
    sharp, soft = [model.apply(variables, x, method='statistics') for x in (image, blurred)]
    features = model.apply(variables, image, method='features')
    assert features.shape == (2, 4 * (32 + 16))
    expected = np.concatenate([sharp, sharp - soft], axis=1)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


def whitened(head, x, again=None):
    """What a head that is initialised on `x` makes of another batch."""
    variables = head.init(jax.random.key(0), x, train=False)
    return head.apply(variables, x if again is None else again, train=True)[1]['whitened']


def test_linear_head_standardises_by_its_first_batch_and_clips():
    x = rng().normal(3.0, 2.0, size=(50, 4)).astype(np.float32)
    head = stage_statistics.LinearHead(whitening=0.0, longest=1e6)
    np.testing.assert_allclose(whitened(head, x, x + 100), 5 / 2, rtol=1e-5)
    expected = np.clip((x - x.mean(0)) / (x.std(0) + 1e-3), -5, 5) / 2
    np.testing.assert_allclose(whitened(head, x), expected, rtol=1e-4, atol=1e-5)


def test_linear_head_whitens_by_the_power_asked_for():
    x = (rng().normal(size=(4000, 4)) @ rng().normal(size=(4, 4))).astype(np.float32)
    covariance = np.cov(x / x.std(0), rowvar=False)
    for power in (0.4, 1.0):
        head = stage_statistics.LinearHead(clip=1e3, longest=1e6, whitening=power, ridge=0.0)
        ours = np.cov(whitened(head, x) * 2, rowvar=False)
        values, vectors = np.linalg.eigh(covariance)
        expected = (vectors * values ** (1 - power)) @ vectors.T
        np.testing.assert_allclose(ours, expected, rtol=0.02, atol=0.02)


def test_a_head_begun_on_few_images_keeps_gradient_descent_stable():
    x = rng().normal(size=(3, 40)).astype(np.float32)
    others = 100 * rng().normal(size=(100, 40))
    u = np.asarray(whitened(stage_statistics.LinearHead(), x, others))
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 2, rtol=1e-5)
    design = np.concatenate([u, np.ones((len(u), 1))], axis=1)
    hessian = 2 * design.T @ design / len(u)
    assert np.linalg.eigvalsh(hessian)[-1] <= 2 * (2**2 + 1) + 1e-4  # so rates below 1 / 5 converge
