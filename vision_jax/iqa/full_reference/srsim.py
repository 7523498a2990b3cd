"""SR-SIM: similarity of spectral residual saliency and of gradients."""

import math

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.core.errors import InputError
from vision_jax.ops.colour import YIQ_MATRICES, mixed_planes
from vision_jax.ops.downsample import RULES, downsample_factor, mean_downsample
from vision_jax.ops.filters import (
    box_blur,
    filter_separable,
    gaussian_kernel,
    gradient_magnitude,
    safe_sqrt,
)
from vision_jax.ops.resize import resize
from vision_jax.ops.similarity import real_power, similarity, weighted_mean

# Zhang 2012, section 3, on the scale of 0 to 255 (saliency: of 0 to 1).
SALIENCY_CONSTANT, GRADIENT_CONSTANT = 0.40, 225.0  # the gradient's exponent is 1/2
CHROMA_CONSTANT, CHROMA_EXPONENT = 200.0, 0.03  # of FSIMc, for 'yiq'
# The saliency of Hou and Zhang (CVPR 2007) with the constants of the authors' SR_SIM.m.
SALIENCY_SCALE, AVERAGE_SIZE, BLUR_SIGMA = 0.25, 3, 3.8
LEAST_AMPLITUDE = 1e-6  # of the spectrum, where its logarithm ends
COLOURS = ('grey', 'yiq')


def srsim(reference, distorted, *, colour: str = 'grey', blur_size: int = 10,
          downsample_rule: str = 'matlab', data_range: float = 1.0, return_map: bool = False):
    """SR-SIM of pairs of images; 1 for equal ones, and higher is better.

    `SRSIM = sum(S_v S_g^0.5 w) / sum(w)`, each `S_f = (2 f_1 f_2 + C) / (f_1^2 + f_2^2 + C)`, v the
    spectral residual saliency, g the Scharr gradient magnitude, and `w = max(v_1, v_2)`.

    Args:
        reference: `*b h w c`, floats in [0, data_range], c = 1 or 3.
        distorted: The same shape.
        colour: Of three channels, 'grey' as the authors takes the Y of YIQ; 'yiq' multiplies S by
            the similarity of the chroma, `|S_I S_Q|^0.03`, as piq's `chromatic`.
        blur_size: Width of the Gaussian over the saliency: 10 as the authors, even and so off the
            middle by half a pixel.
        downsample_rule: See `ops.downsample`.
        data_range: The value of white.
        return_map: Also return the local similarity.

    Returns:
        Scores `*b`; with `return_map` a pair of them and the map, `*b h/F w/F`.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown option.

    Source:
        Zhang, Li: SR-SIM: A fast and high performance IQA index based on spectral residual, ICIP
        2012, Eqs. 1 to 7, and the authors' SR_SIM.m.

    Notes:
        The logarithm of the spectrum ends at 1e-6, where the authors' code has that of 0 for a flat
        image.
    """
    check_choice('colour', colour, COLOURS)
    check_choice('downsample_rule', downsample_rule, RULES)
    if blur_size < 1:
        raise InputError(f'blur_size: expected at least 1, got {blur_size}')
    pair = check_pair(reference, distorted, data_range=data_range, min_side=16)
    factor = downsample_factor(*pair[0].shape[-3:-1], rule=downsample_rule)
    matrix = YIQ_MATRICES['four_digits'][:3 if colour == 'yiq' else 1]
    planes = [mixed_planes(255 * image, matrix) if image.shape[-1] == 3 else [255 * image]
              for image in pair]
    luma, *chroma = [jnp.stack([mean_downsample(plane, factor, rule=downsample_rule)
                                for plane in both]) for both in zip(*planes, strict=True)]
    saliency = _saliency(luma, blur_size)[..., 0]
    gradient = gradient_magnitude(luma, kernel='scharr', padding='zero')[..., 0]
    alike = (similarity(saliency[0], saliency[1], SALIENCY_CONSTANT)
             * jnp.sqrt(similarity(gradient[0], gradient[1], GRADIENT_CONSTANT)))
    if chroma:
        first, second = (similarity(plane[0], plane[1], CHROMA_CONSTANT) for plane in chroma)
        alike = alike * real_power(jnp.abs(first * second)[..., 0], CHROMA_EXPONENT)
    score = weighted_mean(alike, jnp.maximum(saliency[0], saliency[1]))
    return (score, alike) if return_map else score


def _saliency(image, blur_size: int):
    """Of `*b h w 1`: the image of a spectrum whose logarithm lost its local mean, squared."""
    height, width = image.shape[-3:-1]
    small = [math.ceil(side * SALIENCY_SCALE) for side in (height, width)]
    reduced = resize(image, small, kernel='bicubic', scale=SALIENCY_SCALE)[..., 0]
    spectrum = _spectrum(reduced)
    amplitude = safe_sqrt(spectrum.real ** 2 + spectrum.imag ** 2)
    level = jnp.log(jnp.maximum(amplitude, LEAST_AMPLITUDE))
    local_mean = box_blur(level[..., None], AVERAGE_SIZE, padding='edge')[..., 0]
    # exp(residual + i phase) is the spectrum over the geometric mean of its neighbours
    image = jnp.fft.ifft2(spectrum * jnp.exp(-local_mean))
    energy = (image.real ** 2 + image.imag ** 2)[..., None]
    taps = gaussian_kernel(BLUR_SIGMA, size=blur_size)
    energy = filter_separable(energy, taps, taps, padding='zero')
    low = energy.min((-3, -2), keepdims=True)
    span = energy.max((-3, -2), keepdims=True) - low
    varied = span > 0
    stretched = jnp.where(varied, (energy - low) / jnp.where(varied, span, 1.0), 0.0)
    return resize(stretched, (height, width), kernel='bicubic')


def _spectrum(plane):
    """Of `*b h w`; frequency 0 apart, so that a flat image has no rounding noise elsewhere."""
    mean = plane.mean((-2, -1), keepdims=True)
    origin = np.zeros(plane.shape[-2:])
    origin[0, 0] = plane.shape[-2] * plane.shape[-1]
    origin = jnp.asarray(origin, plane.dtype).reshape((1,) * (plane.ndim - 2) + origin.shape)
    return jnp.fft.fft2(plane - mean) + origin * mean
