"""Compression: KADID-10k types 9 and 10."""

import io

import jax.numpy as jnp
import numpy as np
from PIL import Image

from vision_jax.core.checks import check_image
from vision_jax.data.distortions.blocks import SIZE, dct_blocks, idct_blocks
from vision_jax.ops import colour

# ITU-T T.81 (JPEG), Annex K, tables K.1 and K.2.
LUMA_TABLE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
])
CHROMA_TABLE = np.array([
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    *[[99] * 8] * 4,
])


def jpeg(image, *, quality):
    """Baseline JPEG with 4:2:0 chroma, coded and decoded as libjpeg does (type 10).

    8-bit YCbCr, chroma averaged over 2x2, 8x8 DCT, coefficients rounded to multiples of the scaled
    standard tables, inverse DCT, chroma interpolated, 8-bit RGB. The lossless part, the entropy
    code, is left out.

    Args:
        image: `*b h w 3` in [0, 1].
        quality: Of libjpeg, 1 to 100; may be traced.

    Returns:
        `*b h w 3` in [0, 1], multiples of 1/255.

    Source:
        ITU-T T.81 and JFIF 1.02; scaling and interpolation of the Independent JPEG Group's libjpeg.

    Notes:
        The DCT is exact where libjpeg's is in fixed point, so a few coefficients round otherwise.
        The gradient is zero, by the rounding.
    """
    check_image('image', image, channels=3)
    *_, height, width, _ = image.shape
    ycbcr = _pad_edge(255 * colour.rgb_to_ycbcr(_to_8bit(image)), 2 * SIZE)
    luma, chroma = jnp.round(ycbcr[..., :1]), jnp.round(ycbcr[..., 1:])
    luma = _code_blocks(luma, quality_table(LUMA_TABLE, quality))
    chroma = _code_blocks(_halve(chroma), quality_table(CHROMA_TABLE, quality))
    # libjpeg interpolates the chroma of the image alone, without its padding
    chroma = chroma[..., :(height + 1) // 2, :(width + 1) // 2, :]
    chroma = _double(_double(chroma, -3), -2)
    bias = (8 - np.arange(chroma.shape[-2]) % 2) / 16  # 8, 7, 8, 7, ... across
    chroma = jnp.floor(chroma + _along_columns(bias, chroma))[..., :height, :width, :]
    decoded = jnp.concatenate([luma[..., :height, :width, :], chroma], axis=-1) / 255
    return _to_8bit(jnp.clip(colour.ycbcr_to_rgb(decoded), 0.0, 1.0))


def quality_table(table: np.ndarray, quality):
    """A table at a quality: `clip((table s + 50) / 100, 1, 255)`, s = 5000/q, or 200 - 2q from 50.

    Args:
        table: `8 8` steps at quality 50.
        quality: 1 to 100.

    Returns:
        `8 8` whole steps.
    """
    quality = jnp.asarray(quality, jnp.float32)
    scale = jnp.where(quality < 50, jnp.floor(5000 / jnp.maximum(quality, 1)), 200 - 2 * quality)
    return jnp.clip(jnp.floor((jnp.asarray(table, jnp.float32) * scale + 50) / 100), 1, 255)


def jpeg2000(image, *, ratio: float):
    """JPEG 2000 at a compression ratio, by OpenJPEG through Pillow (type 9).

    Runs on the host: neither jitted nor differentiated.

    Args:
        image: `*b h w 3` in [0, 1].
        ratio: Size of the raw 8-bit image over that of the code stream, over 1.

    Returns:
        NumPy array of the shape and dtype of `image`, multiples of 1/255.

    Notes:
        The lossy 9/7 wavelet and colour transform, as MATLAB's lossy mode. A small image cannot
        reach a great ratio, for the headers: compress the whole photograph, then cut it.
    """
    check_image('image', image, channels=3)
    pixels = np.asarray(jnp.round(255 * image)).astype(np.uint8)
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    decoded = np.stack([_jpeg2000_one(one, ratio) for one in flat]).reshape(pixels.shape)
    return (decoded / 255).astype(image.dtype)


def _jpeg2000_one(pixels: np.ndarray, ratio: float) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format='JPEG2000', quality_mode='rates',
                                 quality_layers=[ratio], irreversible=True)
    return np.asarray(Image.open(stream).convert('RGB'))


def _to_8bit(image):
    return jnp.round(255 * image) / 255


def _pad_edge(image, multiple: int):
    widths = [(0, 0)] * image.ndim
    for axis in (-3, -2):
        widths[axis] = (0, -image.shape[axis] % multiple)
    return jnp.pad(image, widths, mode='edge')


def _halve(chroma):
    """Means of 2x2 pixels, rounded to whole numbers; ties go up and down in turn, as libjpeg's."""
    *batch, height, width, channels = chroma.shape
    sums = chroma.reshape(*batch, height // 2, 2, width // 2, 2, channels).sum(axis=(-4, -2))
    bias = 1.0 + np.arange(width // 2) % 2  # 1, 2, 1, 2, ... across
    return jnp.floor((sums + _along_columns(bias, sums)) / 4)


def _along_columns(values, image):
    return jnp.asarray(values, image.dtype).reshape((1,) * (image.ndim - 2) + (-1, 1))


def _code_blocks(planes, table):
    """Quantises the DCT of 8-bit planes `*b h w c` and decodes them, rounded and clipped."""
    coefficients = dct_blocks(planes - 128)
    steps = table[:, None, :, None].reshape((1,) * (coefficients.ndim - 4) + (SIZE, 1, SIZE, 1))
    decoded = idct_blocks(jnp.round(coefficients / steps) * steps)
    return jnp.clip(jnp.round(decoded + 128), 0, 255)


def _double(image, axis: int):
    """Twice the samples on an axis, each 3/4 of the nearer and 1/4 of the farther neighbour."""
    size, axis = image.shape[axis], image.ndim + axis
    before = jnp.take(image, np.maximum(np.arange(size) - 1, 0), axis=axis)
    after = jnp.take(image, np.minimum(np.arange(size) + 1, size - 1), axis=axis)
    pairs = jnp.stack([0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after], axis=axis + 1)
    return pairs.reshape(*image.shape[:axis], 2 * size, *image.shape[axis + 1:])
