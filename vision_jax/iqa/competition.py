"""Maximum differentiation: pictures that one metric holds equal and another tells apart."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vision_jax.core.checks import check_pair

CORRECTIONS = 3  # Newton steps back to the level set, after each step along it


def maximum_differentiation(hold: Callable, vary: Callable, reference, start, *,
                            steps: int = 200, step_size: float = 0.5, sign: float = 1.0):
    """Follows one metric up or down while another keeps its value.

    A step goes along the gradient of `vary` less its part along the gradient of `hold`,
    `x <- x + s (g_v - (g_v . g_h / g_h . g_h) g_h)`, its root mean square being `step_size / 255`
    at the start and falling linearly to 0; then Newton's method along `g_h` restores `hold`, and
    the picture is clipped to [0, 1].

    Args:
        hold: Metric `(reference, image) -> scalar` whose value stays, as `mse`.
        vary: Metric that is driven, as `ssim`.
        reference: `h w c`, floats in [0, 1].
        start: The picture to begin with, the same shape; `hold` must not be at an extremum there.
        steps: How many.
        step_size: Root mean square of the first step, in levels of 255.
        sign: 1 to raise `vary`, -1 to lower it.

    Returns:
        (the last picture `h w c`, the values of `vary` at each step `steps`, those of `hold`).

    Raises:
        InputError: On a wrong shape, dtype or range.

    Source:
        Wang, Simoncelli: Maximum differentiation (MAD) competition, Journal of Vision 8(12), 2008,
        section "Image synthesis".
    """
    reference, start = check_pair(reference, start)
    target = hold(reference, start)

    def restore(image, _):
        value, slope = jax.value_and_grad(hold, argnums=1)(reference, image)
        scale = (target - value) / jnp.maximum(jnp.vdot(slope, slope), jnp.finfo(slope.dtype).tiny)
        return jnp.clip(image + scale * slope, 0, 1), None

    def step(image, size):
        value, uphill = jax.value_and_grad(vary, argnums=1)(reference, image)
        held, normal = jax.value_and_grad(hold, argnums=1)(reference, image)
        tiny = jnp.finfo(image.dtype).tiny
        along = jnp.vdot(uphill, normal) / jnp.maximum(jnp.vdot(normal, normal), tiny)
        tangent = uphill - along * normal
        scale = sign * size / jnp.sqrt(jnp.maximum(jnp.mean(tangent * tangent), tiny))
        moved = jnp.clip(image + scale * tangent, 0, 1)
        moved, _ = jax.lax.scan(restore, moved, length=CORRECTIONS)
        return moved, (value, held)

    sizes = jnp.linspace(step_size / 255, 0, steps, endpoint=False, dtype=reference.dtype)
    image, (varied, held) = jax.lax.scan(step, start, sizes)
    return image, varied, held
