"""SSIMULACRA 2: structural similarity and edge differences at six scales of an opponent space."""

import functools

import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_choice, check_pair
from vision_jax.ops.colour import mix_channels, srgb_to_linear
from vision_jax.ops.filters import filter_separable, gaussian_kernel, pad_image

CONVENTIONS = ('libjxl', 'python')
SCALES, MIN_SIDE = 6, 8
BLUR_SIGMA = 1.5
SIMILARITY_CONSTANT = 0.0009  # K2^2 of SSIM
# libjxl's opsin_params.h: linear sRGB to the responses of the cones, before the cube root.
RGB_TO_CONES = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
CONE_BIAS = 0.0037930732552754493
# ssimulacra2.cc, MakePositiveXYB: the components are brought to about 0 to 1.
X_SCALE, X_OFFSET, Y_OFFSET, B_OFFSET = 14.0, 0.42, 0.01, 0.55
# ssimulacra2.cc, Score: for each component and scale, the mean and then the 4-norm of the errors in
# structure, of the added edges and of the lost edges.
WEIGHTS = (
    # X, scales 1:1 to 1:32
    0, 0.0007376606707406586, 0, 0, 0.0007793481682867309, 0,
    0, 0.0004371155730107379, 0,
    1.1041726426657346, 0.00066284834129271, 0.00015231632783718752,
    0, 0.0016406437456599754, 0,
    1.8422455520539298, 11.441172603757666, 0,
    0.0007989109436015163, 0.000176816438078653, 0,
    1.8787594979546387, 10.94906990605142, 0,
    0.0007289346991508072, 0.9677937080626833, 0,
    0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053,
    0.0004550992113792063, 0, 0, 0.0013648766163243398, 0, 0,
    # Y, scales 1:1 to 1:32
    0, 0, 0, 7.466890328078848, 0, 17.445833984131262,
    0.0006235601634041466, 0, 0,
    6.683678146179332, 0.00037724407979611296, 1.027889937768264,
    225.20515300849274, 0, 0,
    19.213238186143016, 0.0011401524586618361, 0.001237755635509985,
    176.39317598450694, 0, 0,
    24.43300999870476, 0.28520802612117757, 0.0004485436923833408,
    0, 0, 0, 34.77906344483772, 44.835625328877896, 0,
    0, 0, 0, 0, 0, 0,
    # B, scales 1:1 to 1:32
    0, 0.0008680556573291698, 0, 0, 0, 0,
    0, 0.0005313191874358747, 0, 0.00016533814161379112, 0, 0,
    0, 0, 0, 0.0004179171803251336, 0.0017290828234722833, 0,
    0.0020827005846636437, 0, 0,
    8.826982764996862, 23.19243343998926, 0,
    95.1080498811086, 0.9863978034400682, 0.9834382792465353,
    0.0012286405048278493, 171.2667255897307, 0.9807858872435379,
    0, 0, 0, 0.0005130064588990679, 0, 0.00010854057858411537,
)
# ssimulacra2.cc, Score: the weighted sum to the score, a cubic and then a power.
GAIN, CUBIC = 0.9562382616834844, (6.248496625763138e-05, -0.020884521182843837, 2.326765642916932)
SCORE_SCALE, SCORE_POWER = 10.0, 0.6276336467831387


def ssimulacra2(reference, distorted, *, convention: str = 'libjxl', data_range: float = 1.0):
    """SSIMULACRA 2 of pairs of colour images; 100 for equal ones, lower is worse, without a bound.

    `100 - 10 f(sum_i w_i e_i)^0.6276`, f a cubic, over 108 norms `e_i` of three maps of error, for
    three components of the space XYB and six scales:
    `1 - (1 - (m_1 - m_2)^2) (2 s_12 + C) / (s_11 + s_22 + C)` and both signs of
    `(1 + |x_2 - m_2|) / (1 + |x_1 - m_1|) - 1`, m and s the local means and covariances.

    Args:
        reference: `*b h w 3`, sRGB, floats in [0, data_range], at least 8 by 8.
        distorted: The same shape.
        convention: 'libjxl', as the authors' tool: the blur is Charalampidis' of truncated cosines,
            with zeros outside. 'python', as the package ssimulacra2 of PyPI, up to 7 points away:
            eleven samples of a Gaussian, with zeros left and right and a mirror above and below;
            and one scale less where the shorter side is under 225.
        data_range: The value of white.

    Returns:
        Scores `*b`, at most 100.

    Raises:
        InputError: On a wrong shape, dtype or range, or an unknown `convention`.

    Source:
        Sneyers (Cloudinary): SSIMULACRA 2.1, 2023, github.com/cloudinary/ssimulacra2; the blur is
        Charalampidis: Recursive Implementation of the Gaussian Filter Using Truncated Cosine
        Functions, IEEE TSP 64(14), 2016.

    Notes:
        Where an image is too small for six scales, the weights of those that are left are read on,
        as there, from the next component: scores of different sizes under 129 are not comparable.
        Alpha is not taken.
    """
    check_choice('convention', convention, CONVENTIONS)
    pair = check_pair(reference, distorted, data_range=data_range, channels=3, min_side=MIN_SIDE)
    linear = [srgb_to_linear(jnp.moveaxis(image, -1, -3)) for image in pair]  # [*b, 3, h, w]
    count = _scale_count(min(reference.shape[-3:-1]), convention)
    weights = np.array(WEIGHTS[:18 * count]).reshape(3, count, 2, 3)
    total = 0.0
    for scale in range(count):
        if scale:
            linear = [_halve(image) for image in linear]
        components = [_components(image) for image in linear]
        total = total + _weighted_errors(*components, weights[:, scale], convention)
    return _score(total)


def _scale_count(side: int, convention: str) -> int:
    """libjxl asks before it halves whether a scale is under 8 pixels, the package after."""
    count = 1
    while count < SCALES and side >= MIN_SIDE:
        side = (side + 1) // 2
        count += convention == 'libjxl' or side >= MIN_SIDE
    return count


def _halve(planes):
    """The mean of 2 by 2 pixels, the last row or column of an odd size repeated."""
    height, width = planes.shape[-2:]
    planes = pad_image(planes[..., None], rows=(0, height % 2), columns=(0, width % 2),
                       padding='edge')[..., 0]
    rows = planes[..., 0::2, :] + planes[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) / 4


def _components(linear):
    """XYB with B - Y in place of B, each in about 0 to 1."""
    cones = mix_channels(linear, RGB_TO_CONES, axis=-3) + CONE_BIAS
    # exp(log / 3): XLA's power costs five times as much on a CPU
    first, second, third = jnp.moveaxis(jnp.exp(jnp.log(cones) / 3) - CONE_BIAS ** (1 / 3), -3, 0)
    x, y = (first - second) / 2, (first + second) / 2
    return jnp.stack([x * X_SCALE + X_OFFSET, y + Y_OFFSET, third - y + B_OFFSET], axis=-3)


def _weighted_errors(first, second, weights, convention: str):
    """The sum of a scale's norms by their weights, 3 components by 2 norms by 3 maps."""
    means = [_blur(image, convention) for image in (first, second)]
    change = ((1 + jnp.abs(second - means[1])) / (1 + jnp.abs(first - means[0]))) - 1
    total = _norms(jnp.maximum(change, 0.0), weights[..., 1])
    total = total + _norms(jnp.maximum(-change, 0.0), weights[..., 2])
    used = np.flatnonzero(weights[..., 0].any(-1))  # a third of the weights are 0
    if used.size:
        images = [image[..., used, :, :] for image in (first, second)]
        structure = _structure(*images, *(mean[..., used, :, :] for mean in means), convention)
        total = total + _norms(structure, weights[used, :, 0])
    return total


def _structure(first, second, first_mean, second_mean, convention: str):
    """The SSIM error, from the variance of the difference: in float32 exactly 0 for equal images.

    `1 - l (2 s_12 + C) / D = (1 - l) + l s_dd / D`, `D = s_11 + s_22 + C`, `l = 1 - (m_1 - m_2)^2`.
    """
    offset = jnp.square(first_mean - second_mean)
    squares = _blur(jnp.square(first) + jnp.square(second), convention)
    difference = _blur(jnp.square(first - second), convention) - offset
    spread = squares - jnp.square(first_mean) - jnp.square(second_mean) + SIMILARITY_CONSTANT
    return jnp.maximum(offset + (1 - offset) * difference / spread, 0.0)


def _norms(errors, weights):
    """`sum_c w_c1 mean(e_c) + w_c2 mean(e_c^4)^(1/4)` of `*b c h w`."""
    weights = weights.reshape((1,) * (errors.ndim - 3) + weights.shape)
    fourth = jnp.square(jnp.square(errors)).mean((-2, -1))
    some = fourth > 0
    root = jnp.where(some, jnp.sqrt(jnp.sqrt(jnp.where(some, fourth, 1.0))), 0.0)
    mean = errors.mean((-2, -1))
    return (jnp.asarray(weights[..., 0], mean.dtype) * mean
            + jnp.asarray(weights[..., 1], mean.dtype) * root).sum(-1)


def _score(total):
    total = total * GAIN
    cubic = ((CUBIC[0] * total + CUBIC[1]) * total + CUBIC[2]) * total
    worse = cubic > 0
    power = jnp.exp(SCORE_POWER * jnp.log(jnp.where(worse, cubic, 1.0)))
    return jnp.where(worse, 100 - SCORE_SCALE * power, 100.0)


def _blur(planes, convention: str):
    image = planes[..., None]
    if convention == 'libjxl':
        taps = _truncated_cosine_taps()
        return filter_separable(image, taps, taps, padding='zero')[..., 0]
    taps = gaussian_kernel(BLUR_SIGMA, size=11)
    across = filter_separable(image, np.ones(1), taps, padding='zero')
    return filter_separable(across, taps, np.ones(1), padding='symmetric')[..., 0]


@functools.cache
def _truncated_cosine_taps() -> np.ndarray:
    """The response of libjxl's recursive blur, which is finite: `sum_k b_k cos(w_k n)`, |n| < N.

    Charalampidis 2016, Table I: half a period of the first cosine spans the window, and the weights
    b are such that sum and variance are those of the Gaussian, and that they fit it best.
    """
    radius = round(3.2795 * BLUR_SIGMA + 0.2546)  # Eq. 57
    frequency = np.array([1, 3, 5]) * np.pi / (2 * radius)
    sign = np.array([1, -1, 1])
    sums = sign / np.tan(frequency / 2)  # Eq. 37
    moments = sign * sums ** 2 / np.sin(frequency)  # Eq. 44
    fit = np.exp(-0.5 * (BLUR_SIGMA * frequency) ** 2) / radius  # Eq. 50
    free = np.cross(sums, moments)  # Eq. 52: the direction that leaves sum and variance
    matrix = np.stack([sums, moments, free])  # Eq. 56
    weights = np.linalg.solve(matrix, [1, radius ** 2 - BLUR_SIGMA ** 2, free @ fit])
    position = np.arange(1 - radius, radius)
    return weights @ np.cos(frequency[:, None] * position[None, :])
