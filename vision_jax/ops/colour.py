"""Colour spaces. Images are `*b h w 3`; gradients are finite everywhere, black and grey included.

Packages disagree on a colour conversion in three ways: the digits of the matrix, the range (full or
studio), and the white point. Each is an argument or is written beside the constant.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.errors import InputError, nearest

# ITU-R BT.601 luma, as JFIF 1.02 and the NTSC YIQ matrix use it.
BT601 = (0.299, 0.587, 0.114)
GREY_WEIGHTS = {
    'bt601': BT601,
    # The first row of the inverse NTSC matrix, which MATLAB's rgb2gray uses.
    'matlab': (0.298936021293775, 0.587043074451121, 0.114020904255103),
    'bt709': (0.2126, 0.7152, 0.0722),
    'mean': (1 / 3, 1 / 3, 1 / 3),
}
GREY_RULES = (*GREY_WEIGHTS, 'matlab_uint8', 'bt601_uint8', 'bt601_studio')
# MATLAB's rgb2ntsc to three digits, and FCC's to four, which piq and scikit-image use.
YIQ_MATRICES = {
    'three_digits': ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)),
    'four_digits': (
        (0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)),
}
CHROMA_CENTRE = 128 / 255  # JFIF 1.02
# Linear sRGB to CIE XYZ under D65 (B. Lindbloom, www.brucelindbloom.com, "RGB/XYZ Matrices").
RGB_TO_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])
# CIE 1931 2 degree observer, Y = 1. D50 has the four digits of the ICC profile connection space.
WHITE_POINTS = {'D65': (0.95047, 1.0, 1.08883), 'D50': (0.9642, 1.0, 0.8251)}
PIXELS = 8  # that a grey conversion takes as one row of a matrix product
LAB_EPSILON, LAB_KAPPA = 0.008856, 903.3  # CIE 15: where the cube root meets its linear part


def mix_channels(image, matrix, *, axis: int = -1):
    """Multiplies the channels by a small matrix: `out[d] = sum_c matrix[d][c] image[c]`.

    A sum of scaled planes, which XLA fuses with its neighbours; a matmul 3 wide would not be.

    Args:
        image: Channels on `axis`, as many as `matrix` has columns.
        matrix: Static rows of numbers.
        axis: The axis of channels.

    Returns:
        An array with as many channels on `axis` as `matrix` has rows.
    """
    planes = _planes(image, axis)
    return jnp.stack(_mix(planes, matrix), axis=axis)


def mixed_planes(image, matrix) -> list:
    """As `mix_channels` of the last axis, each mix an image of one channel of its own.

    Rows stay contiguous, as filters want them, and a mix that is not used is not computed.

    Args:
        image: `*b h w c`.
        matrix: As in `mix_channels`.

    Returns:
        As many images `*b h w 1` as `matrix` has rows.
    """
    return [plane[..., None] for plane in _mix(_planes(image), matrix)]


def rgb_to_grey(image, *, weights: str = 'bt601', round_to_8bit: bool = False):
    """Weighted sum of the channels, `*b h w 3 -> *b h w 1`.

    Args:
        image: Floats in [0, 1].
        weights: 'bt601', 'matlab' (rgb2gray), 'bt709' or 'mean'.
        round_to_8bit: Round to multiples of 1/255, as MATLAB's rgb2gray does on uint8 images (half
            up); its gradient is zero.

    Returns:
        Grey image `*b h w 1`.

    Raises:
        InputError: On an unknown name in `weights` or a channel count other than 3.
    """
    if weights not in GREY_WEIGHTS:
        raise InputError(f"weights: unknown name '{weights}'{nearest(weights, GREY_WEIGHTS)}")
    _check_rgb(image)
    grey = _weighted_sum(image, GREY_WEIGHTS[weights])
    return jnp.floor(grey * 255 + 0.5) / 255 if round_to_8bit else grey


def to_grey(image, *, rule: str = 'matlab'):
    """Grey image for a metric that compares luminance; a grey image stays as it is.

    Args:
        image: `*b h w c` in [0, 1], with 1 or 3 channels.
        rule: 'matlab' (rgb2gray of doubles), 'matlab_uint8' (rgb2gray of 8-bit images, which rounds
            to multiples of 1/255; the gradient is that of 'matlab'), 'bt601' (Y of YIQ and of JPEG,
            as piq), 'bt601_uint8' (the same rounded, as pyiqa in some metrics), 'bt601_studio' (Y
            of MATLAB's rgb2ycbcr, in [16, 235] / 255), 'bt709' (scikit-image's rgb2gray) or
            'mean'.

    Returns:
        `*b h w 1`.

    Raises:
        InputError: On an unknown rule or another channel count.
    """
    if rule not in GREY_RULES:
        raise InputError(f"colour: unknown name '{rule}'{nearest(rule, GREY_RULES)}")
    if image.shape[-1] == 1:
        return image
    if rule == 'bt601_studio':
        return (16 + 219 * rgb_to_grey(image)) / 255
    grey = rgb_to_grey(image, weights=rule.removesuffix('_uint8'))
    if rule.endswith('_uint8'):
        rounded = jnp.floor(grey * 255 + 0.5) / 255
        return grey + jax.lax.stop_gradient(rounded - grey)
    return grey


def colour_planes(image, *, rule: str = 'matlab'):
    """The planes that a metric scores alone: grey, or every channel; channels first.

    Args:
        image: `*b h w c` in [0, 1], with 1 or 3 channels.
        rule: 'each' for every channel, or as in `to_grey` for the grey image alone.

    Returns:
        `*b p h w`, with `p` planes: contiguous rows for the filters.

    Raises:
        InputError: On an unknown rule or another channel count.
    """
    if rule != 'each' and rule not in GREY_RULES:
        raise InputError(f"colour: unknown name '{rule}'{nearest(rule, ('each', *GREY_RULES))}")
    return jnp.moveaxis(image if rule == 'each' else to_grey(image, rule=rule), -1, -3)


def rgb_to_ycbcr(image, *, full_range: bool = True):
    """Y'CbCr of BT.601, chroma centred on 128/255 in both ranges.

    Full range: `Y = 0.299 R + 0.587 G + 0.114 B`, `Cb = (B - Y) / 1.772 + 128/255`,
    `Cr = (R - Y) / 1.402 + 128/255`.

    Args:
        image: `*b h w 3` in [0, 1].
        full_range: True for JPEG: Y in [0, 1], Cb and Cr in [0.5, 255.5] / 255. False for studio
            range as in MATLAB's rgb2ycbcr: Y in [16, 235] / 255, Cb and Cr in [16, 240] / 255.

    Returns:
        `*b h w 3`, neither rounded nor clipped.

    Source:
        JFIF 1.02, "Conversion to and from RGB"; ITU-R BT.601 for studio range.

    Notes:
        OpenCV centres the chroma of floats on 0.5, that of 8 bits on 128.
    """
    _check_rgb(image)
    red, green, blue = _planes(image)
    luma, = _mix((red, green, blue), [BT601])
    blue_difference, red_difference = (blue - luma) / 1.772, (red - luma) / 1.402
    if full_range:
        return jnp.stack(
            [luma, blue_difference + CHROMA_CENTRE, red_difference + CHROMA_CENTRE], axis=-1)
    planes = [16 + 219 * luma, 128 + 224 * blue_difference, 128 + 224 * red_difference]
    return jnp.stack(planes, axis=-1) / 255


def ycbcr_to_rgb(image, *, full_range: bool = True):
    """The inverse of `rgb_to_ycbcr`; not clipped to [0, 1].

    Args:
        image: `*b h w 3` as `rgb_to_ycbcr` returns it.
        full_range: As there.

    Returns:
        `*b h w 3`; values leave [0, 1] where the input is outside the RGB cube.
    """
    _check_rgb(image)
    luma, blue_difference, red_difference = _planes(image)
    if full_range:
        blue_difference = blue_difference - CHROMA_CENTRE
        red_difference = red_difference - CHROMA_CENTRE
    else:
        luma = (255 * luma - 16) / 219
        blue_difference = (255 * blue_difference - 128) / 224
        red_difference = (255 * red_difference - 128) / 224
    red, blue = luma + 1.402 * red_difference, luma + 1.772 * blue_difference
    green = (luma - BT601[0] * red - BT601[2] * blue) / BT601[1]
    return jnp.stack([red, green, blue], axis=-1)


def rgb_to_yiq(image, *, digits: str = 'three_digits'):
    """NTSC YIQ by the matrix with three digits (MATLAB scripts) or four (piq, scikit-image).

    Args:
        image: `*b h w 3` in [0, 1].
        digits: 'three_digits' or 'four_digits'.

    Returns:
        `*b h w 3`: Y in [0, 1], I in about [-0.6, 0.6], Q in about [-0.53, 0.53].
    """
    if digits not in YIQ_MATRICES:
        raise InputError(f"digits: unknown name '{digits}'{nearest(digits, YIQ_MATRICES)}")
    _check_rgb(image)
    return mix_channels(image, YIQ_MATRICES[digits])


def srgb_to_linear(value):
    """IEC 61966-2-1: `v / 12.92` up to 0.04045, `((v + 0.055) / 1.055)^2.4` above.

    Args:
        value: An array of any shape, in [0, 1].
    """
    high = value > 0.04045
    base = (jnp.where(high, value, 1.0) + 0.055) / 1.055
    # exp(p log x): XLA's power costs five times as much on a CPU
    return jnp.where(high, jnp.exp(2.4 * jnp.log(base)), value / 12.92)


def linear_to_srgb(value):
    """The inverse of `srgb_to_linear`; negative input stays on the linear part.

    Args:
        value: An array of any shape, in [0, 1].
    """
    high = value > 0.0031308
    base = jnp.where(high, value, 1.0)
    return jnp.where(high, 1.055 * jnp.exp(jnp.log(base) / 2.4) - 0.055, value * 12.92)


def rgb_to_lab(image, *, white_point: str = 'D65', linearise: bool = True, axis: int = -1):
    """CIE L*a*b* of an sRGB image: L in [0, 100], a and b in about [-128, 127].

    `L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z))`, each of X, Y, Z divided by
    the white, `f` the cube root above 0.008856 and linear below.

    Args:
        image: `*b h w 3` in [0, 1].
        white_point: 'D65', the white of sRGB, so that grey has a = b = 0; or 'D50' as some authors
            take it with the D65 matrix (no adaptation, so that grey is not neutral).
        linearise: Undo the sRGB transfer curve first; False takes `image` as linear.
        axis: The axis of channels.

    Returns:
        Array of the shape of `image`.

    Source:
        CIE 15:2004, section 8.2.1; IEC 61966-2-1.
    """
    _check_rgb(image, axis)
    linear = srgb_to_linear(image) if linearise else image
    scaled = RGB_TO_XYZ / np.array(_white(white_point))[:, None]
    fx, fy, fz = (_lab_curve(t) for t in _mix(_planes(linear, axis), scaled))
    return jnp.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=axis)


def lab_to_rgb(image, *, white_point: str = 'D65', linearise: bool = True):
    """The inverse of `rgb_to_lab`; not clipped, so colours outside sRGB leave [0, 1].

    Args:
        image: `*b h w 3`, L in [0, 100].
        white_point: As in `rgb_to_lab`.
        linearise: As in `rgb_to_lab`.

    Returns:
        `*b h w 3`.
    """
    _check_rgb(image)
    lightness, a, b = _planes(image)
    fy = (lightness + 16) / 116
    scaled = [_inverse_lab_curve(f) for f in (fy + a / 500, fy, fy - b / 200)]
    inverse = np.linalg.inv(RGB_TO_XYZ) * np.array(_white(white_point))
    linear = jnp.stack(_mix(scaled, inverse), axis=-1)
    return linear_to_srgb(linear) if linearise else linear


def rgb_to_hsv(image):
    """Hue, saturation and value, all in [0, 1]; hue 0 for grey (its gradient there is zero).

    Args:
        image: `*b h w 3` in [0, 1].

    Returns:
        `*b h w 3`.
    """
    _check_rgb(image)
    red, green, blue = _planes(image)
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    divisor = jnp.where(chroma > 0, chroma, 1.0)
    hue = jnp.where(
        value == red, (green - blue) / divisor,
        jnp.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor))
    hue = jnp.where(chroma > 0, jnp.mod(hue / 6, 1.0), 0.0)
    saturation = jnp.where(value > 0, chroma / jnp.where(value > 0, value, 1.0), 0.0)
    return jnp.stack([hue, saturation, value], axis=-1)


def hsv_to_rgb(image):
    """The inverse of `rgb_to_hsv`.

    `v - v s clip(min(k, 4 - k), 0, 1)` with `k = (n + 6 hue) mod 6`, n = 5, 3, 1 for R, G, B.

    Args:
        image: `*b h w 3` in [0, 1]: hue, saturation, value.

    Returns:
        `*b h w 3` in [0, 1].
    """
    _check_rgb(image)
    hue, saturation, value = _planes(image)
    planes = []
    for offset in (5, 3, 1):
        k = jnp.mod(offset + 6 * hue, 6.0)
        planes.append(value - value * saturation * jnp.clip(jnp.minimum(k, 4 - k), 0.0, 1.0))
    return jnp.stack(planes, axis=-1)


def _planes(image, axis: int = -1) -> list:
    return [jnp.take(image, i, axis=axis) for i in range(image.shape[axis])]


def _weighted_sum(image, weights: tuple[float, ...]):
    """`*b h w 3 -> *b h w 1` as a product with a banded matrix, `PIXELS` pixels at a time.

    On a CPU slices with a stride of 3, once they feed a reduction, take thirty times as long.
    """
    *batch, height, width, channels = image.shape
    if height * width % PIXELS:
        return mix_channels(image, [weights])
    band = np.kron(np.eye(PIXELS), np.array(weights)[:, None])
    rows = image.reshape(*batch, height * width // PIXELS, PIXELS * channels)
    grey = jnp.matmul(rows, jnp.asarray(band, image.dtype), precision=jax.lax.Precision.HIGHEST)
    return grey.reshape(*batch, height, width, 1)


def _mix(planes, matrix) -> list:
    return [sum(float(weight) * plane for weight, plane in zip(row, planes, strict=True))
            for row in matrix]


def _check_rgb(image, axis: int = -1) -> None:
    if jnp.ndim(image) < 3 or jnp.shape(image)[axis] != 3:
        raise InputError(f'image: expected 3 channels in axis {axis}, got shape {jnp.shape(image)}')


def _white(name: str) -> tuple[float, ...]:
    if name not in WHITE_POINTS:
        raise InputError(f"white_point: unknown name '{name}'{nearest(name, WHITE_POINTS)}")
    return WHITE_POINTS[name]


def _lab_curve(t):
    high = t > LAB_EPSILON
    root = jnp.exp(jnp.log(jnp.where(high, t, 1.0)) / 3)
    return jnp.where(high, root, (LAB_KAPPA * t + 16) / 116)


def _inverse_lab_curve(f):
    high = f > LAB_EPSILON ** (1 / 3)
    return jnp.where(high, f * f * f, (116 * f - 16) / LAB_KAPPA)
