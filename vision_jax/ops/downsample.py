"""The down-sampling that full-reference metrics do before they compare.

`F = max(1, round(min(height, width) / 256))`, then the mean of F by F pixels at every F-th pixel.
Ports disagree twice: MATLAB rounds a half up where Python rounds it to even, and MATLAB's
`conv2(..., 'same')` begins `(F - 1) // 2` pixels outside, over zeros, where others pad and pool, or
pool without padding.
"""

import math

from vision_jax.core.errors import InputError, nearest
from vision_jax.ops.filters import pad_image

RULES = ('matlab', 'imfilter', 'pool', 'crop')
MATLAB_RULES = ('matlab', 'imfilter')
BORDERS = {'matlab': 'zero', 'imfilter': 'symmetric', 'pool': 'edge', 'crop': 'edge'}
RAGGED = ('zero', 'repeat', 'crop')


def downsample_factor(height: int, width: int, *, target: int = 256, rule: str = 'matlab') -> int:
    """`max(1, round(min(height, width) / target))`.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        target: The shorter side that is aimed at.
        rule: 'matlab' and 'imfilter' round a half up (640 / 256 -> 3); 'pool' and 'crop' to even,
            as Python does (-> 2).

    Returns:
        The factor F.
    """
    _check_rule(rule)
    ratio = min(height, width) / target
    return max(1, math.floor(ratio + 0.5) if rule in MATLAB_RULES else round(ratio))


def mean_downsample(image, factor: int, *, rule: str = 'matlab'):
    """The mean of `factor` by `factor` pixels at every `factor`-th pixel.

    Args:
        image: `*b h w c`.
        factor: F, at least 1.
        rule: 'matlab': conv2 with `fspecial('average', F)`, 'same' (zeros outside), then
            `1:F:end`. 'imfilter': the same over a mirrored border (the SSIM authors' code). 'pool':
            repeat the border by `F // 2` above and left and `(F - 1) // 2` below and right, then
            average-pool (piq's VSI), which differs in phase. 'crop': average-pool without padding
            (piq's FSIM and SSIM): rows and columns that fill no block are lost.

    Returns:
        `*b ceil(h/F) ceil(w/F) c`; rounded down for 'crop'.

    Raises:
        InputError: On an unknown `rule` or a factor under 1.
    """
    _check_rule(rule)
    if factor < 1:
        raise InputError(f'factor: expected at least 1, got {factor}')
    if factor == 1:
        return image
    sides = image.shape[-3:-1]
    counts = [side // factor if rule == 'crop' else math.ceil(side / factor) for side in sides]
    before = {'crop': 0, 'pool': factor // 2}.get(rule, (factor - 1) // 2)
    # no more below and right than the last block takes: often nothing, and padding costs a copy
    rows, columns = ((before, max(0, count * factor - side - before))
                     for side, count in zip(sides, counts, strict=True))
    padded = pad_image(image, rows=rows, columns=columns, padding=BORDERS[rule])
    rows = _block_sum(padded, factor, counts[0], axis=-3)
    return _block_sum(rows, factor, counts[1], axis=-2) / factor ** 2


def halve(image, *, ragged: str = 'zero'):
    """The mean of 2 by 2 pixels; ports differ in what a last odd row or column becomes.

    Args:
        image: `*b h w c`.
        ragged: 'zero' takes zeros beyond it (MATLAB's conv2 'same', piq), 'repeat' the mean of the
            pixels there are (piqa), 'crop' leaves it out (pyiqa).

    Returns:
        `*b ceil(h/2) ceil(w/2) c`; rounded down for 'crop'.

    Raises:
        InputError: On an unknown name.
    """
    if ragged not in RAGGED:
        raise InputError(f"ragged: unknown name '{ragged}'{nearest(ragged, RAGGED)}")
    if ragged == 'repeat':
        rows, columns = ((0, side % 2) for side in image.shape[-3:-1])
        image = pad_image(image, rows=rows, columns=columns, padding='edge')
    return mean_downsample(image, 2, rule='crop' if ragged == 'crop' else 'matlab')


def _block_sum(image, factor: int, count: int, *, axis: int):
    """The sum of `count` blocks of `factor` rows (or columns), as a sum of strided slices."""
    def shifted(start: int):
        index = [slice(None)] * image.ndim
        index[axis] = slice(start, start + (count - 1) * factor + 1, factor)
        return image[tuple(index)]
    return sum((shifted(start) for start in range(1, factor)), shifted(0))


def _check_rule(rule: str) -> None:
    if rule not in RULES:
        raise InputError(f"rule: unknown name '{rule}'{nearest(rule, RULES)}")
