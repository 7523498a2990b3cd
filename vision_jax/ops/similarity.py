"""What the metrics of local similarity share: how two features compare, and how maps are pooled."""

import jax.numpy as jnp
import numpy as np


def dissimilarity(a, b, constant: float, *, masking: float = 0.0):
    """`1 - S` with `S = ((2 - m) a b + C) / (a^2 + b^2 - m a b + C)`, that is `(a - b)^2 / (...)`.

    So it is 0 for equal features to the last digit, and a small difference keeps its digits.

    Args:
        a: An array of any shape.
        b: Of the same shape.
        constant: C, over 0.
        masking: m, in [0, 2); 0 but for MS-GMSD.

    Returns:
        An array of the same shape; in [0, 1] where `a` and `b` have one sign.
    """
    difference = a - b
    energy = a * a + b * b
    if masking:
        energy = energy - masking * a * b
    return difference * difference / (energy + constant)


def similarity(a, b, constant: float):
    """`(2 a b + C) / (a^2 + b^2 + C)`, 1 for equal features.

    Args:
        a: An array of any shape.
        b: Of the same shape.
        constant: C, over 0.
    """
    return (2 * a * b + constant) / (a * a + b * b + constant)


def real_power(base, exponent: float):
    """The real part of `base^exponent`, with the derivative 0 where `base` is 0.

    `|base|^exponent cos(pi exponent)` below 0, as `real(x.^p)` in MATLAB.

    Args:
        base: An array of any shape.
        exponent: In (0, 1).
    """
    magnitude = jnp.abs(base)
    power = jnp.exp(exponent * jnp.log(jnp.where(magnitude > 0, magnitude, 1.0)))
    return jnp.where(base > 0, power, jnp.where(base < 0, power * np.cos(np.pi * exponent), 0.0))


def weighted_mean(values, weights):
    """The mean of each plane by weights; by equal ones where they sum to 0 (MATLAB has NaN there).

    Args:
        values: `*b h w`.
        weights: The same shape, at least 0.

    Returns:
        `*b`.
    """
    total = weights.sum((-2, -1))
    weighs = total > 0
    return jnp.where(weighs, (values * weights).sum((-2, -1)) / jnp.where(weighs, total, 1.0),
                     values.mean((-2, -1)))
