"""LDR-FLIP: the difference that is seen when two images are flipped in place on a monitor."""

import functools

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_pair
from vision_jax.core.errors import InputError
from vision_jax.ops.colour import mix_channels, srgb_to_linear
from vision_jax.ops.filters import filter_separable, safe_sqrt

# The authors' matrix, in exact fractions; their white is its sum over the columns.
RGB_TO_XYZ = np.array([
    [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
    [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
    [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
])
RGB_TO_WHITE_XYZ = RGB_TO_XYZ / RGB_TO_XYZ.sum(1, keepdims=True)
# Y, X - Y and Y - Z: YCxCz but for scales and an offset, which filters of sum 1 leave alone.
RGB_TO_OPPONENT = np.array([[0, 1, 0], [1, -1, 0], [0, 1, -1]]) @ RGB_TO_WHITE_XYZ
# Table 1: the sensitivity to contrast, a sum of a exp(-pi^2 x^2 / b) over x in degrees, for Y, Cx
# and Cz; here (weight, b), the weight a sqrt(pi / b).
SENSITIVITY = (((1.0, 0.0047),), ((1.0, 0.0053),),
               ((34.1 * np.sqrt(np.pi / 0.04), 0.04), (13.5 * np.sqrt(np.pi / 0.025), 0.025)))
NEGLIGIBLE = 1e-12  # taps under this share of the centre's are left out
COLOUR_POWER, FEATURE_POWER = 0.7, 0.5  # q_c and q_f
KNEE, KNEE_VALUE = 0.4, 0.95  # p_c and p_t: where the error in colour is compressed
FEATURE_WIDTH = 0.082  # degrees, two standard deviations of the detectors of edges and points
DELTA = 6 / 29  # CIE 15: where the cube root of L*a*b* becomes linear, cubed
MONITOR = 3840 * np.pi / 180  # pixels per degree 0.7 m before a 4K monitor 0.7 m wide


def monitor_pixels_per_degree(*, distance: float = 0.7, width: float = 0.7,
                              pixels: int = 3840) -> float:
    """The pixels that a degree of visual angle spans on a monitor, as `flip` takes them.

    Args:
        distance: From eye to monitor, in metres.
        width: Of the monitor, in metres.
        pixels: Across the monitor.
    """
    return distance * pixels / width * np.pi / 180


def flip(reference, distorted, *, pixels_per_degree: float = MONITOR, data_range: float = 1.0,
         return_map: bool = False):
    """Mean LDR-FLIP of pairs of colour images; 0 for equal ones, and lower is better.

    `mean(C^(1 - F))` over the pixels: C the error in colour, a distance in Hunt-adjusted L*a*b*
    after each opponent channel is blurred by the sensitivity to its contrast; F the difference of
    the edges and points that detectors find in the luminance.

    Args:
        reference: `*b h w 3`, sRGB, floats in [0, data_range].
        distorted: The same shape.
        pixels_per_degree: Of visual angle; `monitor_pixels_per_degree` gives it for a monitor.
        data_range: The value of white.
        return_map: Also return the error of each pixel.

    Returns:
        Scores `*b` in [0, 1]; with `return_map` a pair of them and the errors, `*b h w`.

    Raises:
        InputError: On a wrong shape, dtype or range, or `pixels_per_degree` not over 0.

    Source:
        Andersson, Nilsson, Akenine-Moller, Oskarsson, Astrom, Fairchild: FLIP: A Difference
        Evaluator for Alternating Images, Proc. ACM CGIT 3(2), 2020; constants from section 4 and
        NVIDIA's evaluator.

    Notes:
        HDR-FLIP, which takes this over a range of exposures, is not here.
    """
    if not pixels_per_degree > 0:
        raise InputError(f'pixels_per_degree: expected a number over 0, got {pixels_per_degree}')
    pair = check_pair(reference, distorted, data_range=data_range, channels=3)
    planes = srgb_to_linear(jnp.stack([jnp.moveaxis(image, -1, -3) for image in pair]))
    opponent = mix_channels(planes, RGB_TO_OPPONENT, axis=-3)  # [2, *b, 3, h, w]
    channels = [opponent[..., i, :, :, None] for i in range(3)]
    density = float(pixels_per_degree)
    colour = _colour_error(channels, density)
    feature = _feature_error(channels[0], density)
    errors = _power(colour, 1 - feature)
    score = errors.mean((-2, -1))
    return (score, errors) if return_map else score


def _colour_error(channels, density: float):
    """C, `*b h w`: the HyAB distance, to the power 0.7, compressed to [0, 1]."""
    filtered = jnp.stack([_sensitivity_blur(plane, i, density)[..., 0]
                          for i, plane in enumerate(channels)], axis=-3)
    linear = mix_channels(filtered, np.linalg.inv(RGB_TO_OPPONENT), axis=-3)
    lab = _hunt_lab(jnp.clip(linear, 0.0, 1.0))
    distance = _power(_hyab(lab[0], lab[1]), COLOUR_POWER)
    greatest = _greatest_distance()
    knee = KNEE * greatest
    return jnp.where(distance < knee, distance * (KNEE_VALUE / knee),
                     KNEE_VALUE + (distance - knee) * ((1 - KNEE_VALUE) / (greatest - knee)))


def _sensitivity_blur(plane, channel: int, density: float):
    """A sum of Gaussians, of which the radius is that of the widest of all channels."""
    widest = max(width for terms in SENSITIVITY for _, width in terms)
    radius = int(np.ceil(3 * np.sqrt(widest / (2 * np.pi ** 2)) * density))
    position = np.arange(-radius, radius + 1) / density
    taps = [np.exp(-np.pi ** 2 * position ** 2 / width) for _, width in SENSITIVITY[channel]]
    weights = [weight for weight, _ in SENSITIVITY[channel]]
    total = sum(weight * tap.sum() ** 2 for weight, tap in zip(weights, taps, strict=True))
    taps = [tap[tap > NEGLIGIBLE] for tap in taps]
    return sum(weight / total * filter_separable(plane, tap, tap, padding='edge')
               for weight, tap in zip(weights, taps, strict=True))


def _hunt_lab(linear):
    """L*, and a* and b* times L*/100: a dark colour counts for less. Channels on axis -3."""
    ratio = mix_channels(linear, RGB_TO_WHITE_XYZ, axis=-3)
    high = ratio > DELTA ** 3
    # exp(log / 3): XLA's power costs five times as much on a CPU
    root = jnp.exp(jnp.log(jnp.where(high, ratio, 1.0)) / 3)
    curve = jnp.where(high, root, ratio / (3 * DELTA ** 2) + 4 / 29)
    x, y, z = (curve[..., i, :, :] for i in range(3))
    lightness = 116 * y - 16
    return jnp.stack([lightness, 5 * lightness * (x - y), 2 * lightness * (y - z)], axis=-3)


def _hyab(first, second):
    """City-block in lightness, Euclidean in chroma."""
    lightness, red_green, yellow_blue = jnp.moveaxis(first - second, -3, 0)
    chroma = safe_sqrt(jnp.square(red_green) + jnp.square(yellow_blue))
    return jnp.abs(lightness) + chroma


@functools.cache
def _greatest_distance() -> float:
    """The distance of green from blue, to the power 0.7: the greatest of two colours of sRGB."""
    xyz = np.cbrt(RGB_TO_WHITE_XYZ[:, 1:])  # x, y and z of green and of blue, none is linear
    lightness = 116 * xyz[1] - 16
    chroma = lightness * np.stack([5 * (xyz[0] - xyz[1]), 2 * (xyz[1] - xyz[2])])
    distance = abs(lightness[0] - lightness[1]) + np.hypot(*(chroma[:, 0] - chroma[:, 1]))
    return float(distance ** COLOUR_POWER)


def _feature_error(luminance, density: float):
    """F, `*b h w`: the greater difference of edges and of points, in [0, 1]."""
    gaussian, slope, curvature = _detectors(density)
    smooth_across = _filter(luminance, gaussian, axis=1)
    differences = []
    for taps in (slope, curvature):
        across = _filter(_filter(luminance, taps, axis=1), gaussian, axis=0)
        down = _filter(smooth_across, taps, axis=0)
        strength = safe_sqrt(jnp.square(across) + jnp.square(down))[..., 0]
        differences.append(jnp.abs(strength[0] - strength[1]))
    return _power(jnp.maximum(*differences) / np.sqrt(2), FEATURE_POWER)


@functools.cache
def _detectors(density: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Gaussian of sum 1 and its derivatives, whose taps over 0 and under 0 sum to 1 and -1."""
    sigma = 0.5 * FEATURE_WIDTH * density
    radius = int(np.ceil(3 * sigma))
    position = np.arange(-radius, radius + 1)
    gaussian = np.exp(-position ** 2 / (2 * sigma ** 2))
    slope, curvature = -position * gaussian, (position ** 2 / sigma ** 2 - 1) * gaussian
    return gaussian / gaussian.sum(), *(
        taps / np.where(taps > 0, taps[taps > 0].sum(), -taps[taps < 0].sum())
        for taps in (slope, curvature))


def _filter(image, taps, *, axis: int):
    one = np.ones(1)
    down, across = (taps, one) if axis == 0 else (one, taps)
    return filter_separable(image, down, across, padding='edge')


def _power(base, exponent):
    """`base^exponent` for `base >= 0`, whose derivatives at 0 are 0, not infinite."""
    positive = base > 0
    return jnp.where(positive, jnp.exp(exponent * jnp.log(jnp.where(positive, base, 1.0))), 0.0)
