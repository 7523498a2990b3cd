"""Phase congruency of an image by log-Gabor filters, after Kovesi's `phasecong2`."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.ops.filters import safe_sqrt
from vision_jax.ops.order_statistics import median

# Of phasecong2 as FSIM's authors publish it with their FeatureSIM.m.
SCALES, ORIENTATIONS = 4, 4
MIN_WAVELENGTH, WAVELENGTH_FACTOR = 6, 2
SIGMA_ON_FREQUENCY = 0.55
THETA_ON_SIGMA = 1.2
NOISE_DEVIATIONS = 2.0
NOISE_RESCALE = 1.7
LOWPASS_CUTOFF, LOWPASS_ORDER = 0.45, 15
EPSILON = 1e-4  # on images of 0 to 255
# Images whose 16 complex responses are held at a time: two stay in a processor's cache.
CHUNK = 2


def phase_congruency(image):
    """Where the Fourier components of an image are in phase: 0 on flat ground, 1 on an edge.

    `PC = sum_o max(E_o - T_o, 0) / sum_o sum_s A_so`, A the amplitude of the response to the filter
    of scale s and orientation o, E its energy `sum_s A (cos d - |sin d|)`, d the deviation from the
    mean phase, T the noise that the median response at the smallest scale lets expect.

    Args:
        image: `*b h w`, on the scale of 0 to 255.

    Returns:
        `*b h w` in [0, 1]; 0 where there is no response at all.

    Source:
        Kovesi: Image Features from Phase Congruency, Videre 1(3), 1999, and his `phasecong2`.
    """
    planes = image.reshape(-1, *image.shape[-2:])
    maps = jax.lax.map(_phase_congruency, planes, batch_size=CHUNK)
    return maps.reshape(image.shape)


def _phase_congruency(plane):
    """Of `h w`."""
    radial, angular, noise_factors = _log_gabor_bank(*plane.shape)
    # the filters are 0 at frequency 0: without the mean, float32 keeps digits and flat stays flat
    spectrum = jnp.fft.fft2(plane - plane.mean())
    oriented = spectrum[None] * jnp.asarray(angular, plane.dtype)  # [o, h, w]
    responses = [jnp.fft.ifft2(oriented * jnp.asarray(scale, plane.dtype)[None])
                 for scale in radial]
    evens, odds = [r.real for r in responses], [r.imag for r in responses]
    amplitudes = [safe_sqrt(e * e + o * o) for e, o in zip(evens, odds, strict=True)]
    energy = _energy(evens, odds)
    squared = amplitudes[0] * amplitudes[0]
    power = median(squared.reshape(ORIENTATIONS, -1))
    threshold = jnp.asarray(noise_factors, plane.dtype) * safe_sqrt(power)
    kept = jnp.maximum(energy - threshold[:, None, None], 0.0).sum(0)
    total = sum(amplitudes).sum(0)
    return jnp.where(total > 0, kept / jnp.where(total > 0, total, 1.0), 0.0)


def _energy(evens: list, odds: list):
    """`sum_s A_s (cos d_s - |sin d_s|)`, by products with the unit vector of the mean phase."""
    even, odd = sum(evens), sum(odds)
    length = safe_sqrt(even * even + odd * odd) + EPSILON
    cosine, sine = even / length, odd / length
    return sum(e * cosine + o * sine - jnp.abs(e * sine - o * cosine)
               for e, o in zip(evens, odds, strict=True))


@functools.lru_cache(maxsize=8)
def _log_gabor_bank(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial parts `s h w`, angular parts `o h w`, and T over the root of the median, `o`."""
    down, across = _frequencies(height)[:, None], _frequencies(width)[None, :]
    radius = np.hypot(down, across)
    lowpass = 1 / (1 + (radius / LOWPASS_CUTOFF) ** (2 * LOWPASS_ORDER))
    radius[0, 0] = 1.0
    wavelengths = MIN_WAVELENGTH * WAVELENGTH_FACTOR ** np.arange(SCALES)
    log_ratio = np.log(radius * wavelengths[:, None, None])
    radial = np.exp(-log_ratio ** 2 / (2 * math.log(SIGMA_ON_FREQUENCY) ** 2)) * lowpass
    radial[:, 0, 0] = 0.0
    angles = np.arange(ORIENTATIONS)[:, None, None] * np.pi / ORIENTATIONS
    offset = np.arctan2(-down, across) - angles
    distance = np.arctan2(np.sin(offset), np.cos(offset))
    sigma = np.pi / ORIENTATIONS / THETA_ON_SIGMA
    angular = np.exp(-distance ** 2 / (2 * sigma ** 2))
    return radial, angular, _noise_factors(radial, angular)


def _noise_factors(radial: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """T for a median squared response of 1, an orientation each.

    The median of a Rayleigh variable's square is `-ln(1/2)` of its mean, which over the filter's
    energy is the noise power. It passes the sum of the filters over the scales: `tau` is its
    Rayleigh parameter, T its mean and `NOISE_DEVIATIONS` deviations.
    """
    power = 1 / math.log(2) / ((radial[0] * angular) ** 2).sum((-2, -1))
    kernels = np.fft.ifft2(radial.sum(0) * angular).real
    tau = np.sqrt(power * (kernels ** 2).sum((-2, -1)) * radial[0].size)
    mean, deviation = math.sqrt(math.pi / 2), math.sqrt(2 - math.pi / 2)
    return tau * (mean + NOISE_DEVIATIONS * deviation) / NOISE_RESCALE


def _frequencies(side: int) -> np.ndarray:
    """Cycles a pixel, 0 first; of an odd side stretched to reach 0.5, as in `phasecong2`."""
    half = side // 2
    steps = np.arange(-half, side - half) / (side - side % 2)
    return np.fft.ifftshift(steps)
