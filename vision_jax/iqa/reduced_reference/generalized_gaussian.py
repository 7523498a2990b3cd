"""Fits the generalised Gaussian density to histograms: `p(x) ~ exp(-(|x| / scale)^shape)`.

Histograms are shares in an odd number of bins of width 1 about 0.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

SAMPLES = 30  # of the density in a bin, by which it is integrated
STEPS = 40
# In bins and in exponents: far beyond what subbands of images have.
SCALES, SHAPES = (1e-7, 1e3), (0.05, 8.0)


def mismatch(scale, shape, histogram):
    """Kullback-Leibler divergence of the density from a histogram, over its filled bins.

    `|sum q log(q / h)| / sum q` over bins with `h > 0`, q being the density's share of a bin.

    Args:
        scale: `*b`, in bins.
        shape: `*b`.
        histogram: `*b n`.

    Returns:
        `*b`, in nats, at least 0.
    """
    return jnp.abs(_divergence(jnp.log(scale), jnp.log(shape), histogram))


def fit(histogram):
    """Scale and shape of the density with the least `mismatch`.

    Newton's method with the damping of Levenberg and Marquardt on the logarithms, from the density
    with the histogram's first two absolute moments. The divergence over filled bins can be negative
    where much of the density is beyond them; there the steps lead back to 0.

    Args:
        histogram: `*b n`; no derivative is taken through it.

    Returns:
        scale, in bins, and shape, each `*b`.
    """
    rows = jax.lax.stop_gradient(histogram).reshape(-1, histogram.shape[-1])
    found = jax.vmap(_fit_one)(rows)  # [b, 2]
    scale, shape = jnp.exp(found).T
    return scale.reshape(histogram.shape[:-1]), shape.reshape(histogram.shape[:-1])


def _fit_one(histogram):
    def divergence(parameters):
        return _divergence(parameters[0], parameters[1], histogram)

    def step(_, state):
        parameters, value, damping = state
        trial = jnp.clip(parameters + _move(divergence, parameters, value, damping), low, high)
        reached = divergence(trial)
        better = jnp.abs(reached) <= jnp.abs(value) + slack
        return (jnp.where(better, trial, parameters), jnp.where(better, reached, value),
                jnp.clip(jnp.where(better, damping / 10, damping * 10), 1e-12, 1e6))

    slack = 8 * float(jnp.finfo(histogram.dtype).eps)  # rounding of the value, not of the gradient
    low, high = (jnp.log(jnp.asarray(bound, histogram.dtype))
                 for bound in zip(SCALES, SHAPES, strict=True))
    start = jnp.clip(_moments(histogram), low, high)
    damping = jnp.asarray(1e-2, histogram.dtype)
    return jax.lax.fori_loop(0, STEPS, step, (start, divergence(start), damping))[0]


def _move(divergence, parameters, value, damping):
    """A damped Newton step; where the divergence is negative, the shortest step to 0."""
    gradient, hessian = jax.grad(divergence)(parameters), jax.hessian(divergence)(parameters)
    (a, b), (_, c) = hessian
    least = (a + c) / 2 - jnp.hypot((a - c) / 2, b)
    shift = damping + jnp.maximum(-2 * least, 0.0)
    determinant = (a + shift) * (c + shift) - b * b
    newton = -jnp.stack([(c + shift) * gradient[0] - b * gradient[1],
                         (a + shift) * gradient[1] - b * gradient[0]]) / determinant
    root = -value * gradient / jnp.maximum((gradient * gradient).sum(), 1e-12)
    return jnp.clip(jnp.where(value < 0, root, newton), -1.0, 1.0)


def _moments(histogram):
    """Logarithms of scale and shape from the mean magnitude and the variance."""
    magnitude = jnp.abs(jnp.arange(histogram.shape[-1], dtype=histogram.dtype)
                        - histogram.shape[-1] // 2)
    first = jnp.maximum((histogram * magnitude).sum(), 1e-6)
    second = jnp.maximum((histogram * magnitude * magnitude).sum(), 1e-6)
    shapes = np.geomspace(*SHAPES, 200)
    ratios = [math.exp(2 * math.lgamma(2 / p) - math.lgamma(1 / p) - math.lgamma(3 / p))
              for p in shapes]
    shape = jnp.interp(first * first / second, jnp.asarray(ratios, histogram.dtype),
                       jnp.asarray(shapes, histogram.dtype))
    return jnp.stack([jnp.log(first) + gammaln(1 / shape) - gammaln(2 / shape), jnp.log(shape)])


def _divergence(log_scale, log_shape, histogram):
    shares = _shares(log_scale, log_shape, histogram.shape[-1])
    filled = (histogram > 0) & (shares > 0)
    ratio = jnp.where(filled, shares, 1.0) / jnp.where(filled, histogram, 1.0)
    known = jnp.where(filled, shares, 0.0)
    return (known * jnp.log(ratio)).sum(-1) / known.sum(-1)


def _shares(log_scale, log_shape, bins: int):
    """The density's share of each bin, `*b n`; it is even, so half of it is summed."""
    reach = bins // 2
    position = (np.arange(SAMPLES * reach + SAMPLES // 2) + 0.5) / SAMPLES
    log_position = jnp.asarray(np.log(position), log_scale.dtype)
    log_position = log_position.reshape((1,) * log_scale.ndim + position.shape)
    exponent = jnp.exp(jnp.exp(log_shape)[..., None] * (log_position - log_scale[..., None]))
    density = jnp.exp(exponent[..., :1] - exponent)  # 1 in the middle: no underflow there
    middle = 2 * density[..., :SAMPLES // 2].sum(-1, keepdims=True)
    right = density[..., SAMPLES // 2:].reshape(*log_scale.shape, reach, SAMPLES).sum(-1)
    shares = jnp.concatenate([jnp.flip(right, -1), middle, right], axis=-1)
    return shares / shares.sum(-1, keepdims=True)
