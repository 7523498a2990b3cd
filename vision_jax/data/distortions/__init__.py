"""The 25 distortions of KADID-10k at 5 levels, as pure functions of images in [0, 1].

Each takes `*b h w 3` and the level's parameter by keyword; a random one takes a key first and draws
anew for each image of a batch. `DISTORTIONS` lists them with their levels.

    noisy = white_noise(key, image, variance=0.01)
    blurred = distort(key, image, name='lens_blur', level=3)

Source:
    H. Lin, V. Hosu, D. Saupe, "KADID-10k: a large-scale artificially distorted IQA database",
    QoMEX 2019, and the MATLAB generator of KADIS-700k by the same authors, for the constants.

Departures from the generator, beside those in the docstrings: it maps the range of an image to
[0, 1] before and after distorting, which undoes part of a mean shift and stretches flat images;
here values are clipped to [0, 1]. Its random numbers are MATLAB's.
"""

from vision_jax.data.distortions.blur import (
    disk_kernel,
    gaussian_blur,
    lens_blur,
    motion_blur,
    motion_kernel,
)
from vision_jax.data.distortions.chroma import (
    colour_diffusion,
    colour_shift,
    hsv_saturation,
    lab_saturation,
)
from vision_jax.data.distortions.compression import (
    CHROMA_TABLE,
    LUMA_TABLE,
    jpeg,
    jpeg2000,
    quality_table,
)
from vision_jax.data.distortions.noise import (
    colour_component_noise,
    dct_denoise,
    denoising,
    impulse_noise,
    multiplicative_noise,
    white_noise,
)
from vision_jax.data.distortions.palette import dither, minimum_variance_palette
from vision_jax.data.distortions.quantisation import (
    colour_quantisation,
    level_quantisation,
    otsu_thresholds,
)
from vision_jax.data.distortions.spatial import (
    colour_blocks,
    jitter,
    non_eccentricity_patches,
    pixelation,
    warp,
)
from vision_jax.data.distortions.table import (
    DISTORTIONS,
    IDENTITIES,
    LEVELS,
    Distortion,
    apply,
    distort,
    find,
)
from vision_jax.data.distortions.tone import (
    brighten,
    contrast_change,
    darken,
    mean_shift,
    sharpening,
)

__all__ = [
    'CHROMA_TABLE', 'DISTORTIONS', 'IDENTITIES', 'LEVELS', 'LUMA_TABLE', 'Distortion', 'apply',
    'brighten', 'colour_blocks',
    'colour_component_noise', 'colour_diffusion', 'colour_quantisation', 'colour_shift',
    'contrast_change', 'darken', 'dct_denoise', 'denoising', 'disk_kernel', 'distort', 'dither',
    'find', 'gaussian_blur', 'hsv_saturation', 'impulse_noise', 'jitter', 'jpeg', 'jpeg2000',
    'lab_saturation', 'lens_blur', 'level_quantisation', 'mean_shift', 'minimum_variance_palette',
    'motion_blur', 'motion_kernel', 'multiplicative_noise', 'non_eccentricity_patches',
    'otsu_thresholds', 'pixelation', 'quality_table', 'sharpening', 'warp', 'white_noise',
]
