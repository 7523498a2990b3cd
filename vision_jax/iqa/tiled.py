"""Scores of images too large for the memory, read and compared in bands of rows.

A metric can be tiled if it pools maps whose every place needs only its neighbours. Each such metric
has a plan here: its maps (the same functions that its whole form calls), how far a place sees, and
what becomes of the maps' means. Bands overlap by that far and begin at multiples of the metric's
down-sampling, so the result is that of the whole image but for rounding.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vision_jax.core.checks import check_finite, check_range, check_same_shape
from vision_jax.core.errors import InputError, nearest
from vision_jax.iqa.full_reference.gmsd import gmsd
from vision_jax.iqa.full_reference.gssim import gssim, gssim_map
from vision_jax.iqa.full_reference.ms_ssim import WEIGHTS, combine_scales, ms_ssim, scale_maps
from vision_jax.iqa.full_reference.mse import mse, squared_errors
from vision_jax.iqa.full_reference.psnr import error_planes, psnr, psnr_of_errors, psnr_y
from vision_jax.iqa.full_reference.ssim import DOWNSAMPLINGS, ssim, ssim_map
from vision_jax.iqa.full_reference.uqi import uqi, uqi_map
from vision_jax.ops.colour import colour_planes
from vision_jax.ops.downsample import downsample_factor


class Plan(NamedTuple):
    """How one metric is tiled, for one size of image and one set of options.

    Attributes:
        maps: Two images `h w c` in [0, 1] -> maps `p h/s w'`, whose first row is the images'.
        strides: Rows of the image to a row of the map, one number a map.
        halo: How many rows above and below a place its map depends on.
        finish: The means of the maps, `p` each -> the score.
    """

    maps: Callable
    strides: tuple[int, ...]
    halo: int
    finish: Callable


def tiled_score(name: str, reference, distorted, *, rows: int = 1024,
                data_range: float | None = None, **options) -> float:
    """The score of one pair, computed in bands of rows.

    The memory it takes is that of the metric on `rows` rows (and their halo), whatever the height.

    Args:
        name: Of the metric: one of `TILED`.
        reference: `h w c`, an array or a `numpy.memmap`, integers or floats.
        distorted: The same shape and dtype.
        rows: The height of a band.
        data_range: The value of white; `None` takes the largest integer of the dtype, or 1 for
            floats.
        **options: Those of the metric.

    Returns:
        The metric of the images divided by `data_range`: also the unit of an MSE.

    Raises:
        InputError: If the metric cannot be tiled, or as the metric does.
    """
    if name not in TILED:
        raise InputError(f'{name}: its score is no mean of maps whose places need only their '
                         f'neighbours, so bands cannot be joined{nearest(name, TILED)}')
    if rows < 1:
        raise InputError(f'rows: expected at least 1, got {rows}')
    shape = _check_arrays(reference, distorted)
    white = data_range or (np.iinfo(reference.dtype).max if reference.dtype.kind in 'ui' else 1.0)
    options = {key: tuple(value) if isinstance(value, list) else value
               for key, value in options.items()}
    plan, compare = _compiled(name, shape, float(white), tuple(sorted(options.items())))
    kept: list[list[np.ndarray]] = [[] for _ in plan.strides]
    for band in _bands(shape[0], rows, plan):
        window = [_read(argument, image, band, white)
                  for argument, image in (('reference', reference), ('distorted', distorted))]
        for parts, means, stride in zip(kept, compare(*window), plan.strides, strict=True):
            below = None if band.last is None else (band.last - band.start) // stride
            first = (band.first - band.start) // stride
            parts.append(np.asarray(means, np.float64)[..., first:below])
    return float(plan.finish([np.concatenate(parts, -1).mean(-1) for parts in kept]))


class _Band(NamedTuple):
    """Rows [start, stop) are read; those of [first, last) count, to the end if `last` is None."""

    start: int
    stop: int
    first: int
    last: int | None


def _bands(height: int, rows: int, plan: Plan) -> Iterator[_Band]:
    """Bands of one height but for the last, so that XLA compiles twice."""
    step = math.lcm(*plan.strides)
    rows, halo = (step * -(-count // step) for count in (rows, plan.halo))
    window = rows + 2 * halo
    if height <= window:
        yield _Band(0, height, 0, None)
        return
    for first in range(0, height, rows):
        start = max(0, first - halo)
        stop = start + window
        if stop > height:
            start, stop = (height - window) // step * step, height
        yield _Band(start, stop, first, first + rows if first + rows < height else None)


@functools.lru_cache(maxsize=16)
def _compiled(name: str, shape: tuple[int, ...], white: float, options: tuple):
    metric, make_plan = TILED[name]
    options = dict(options)
    image = jax.ShapeDtypeStruct(shape, np.float32)
    jax.eval_shape(functools.partial(metric, **options), image, image)  # the metric's own checks
    plan = make_plan(shape, **options)

    @jax.jit
    def compare(*window):
        pair = [part.astype(jnp.promote_types(part.dtype, jnp.float32))
                if jnp.issubdtype(part.dtype, jnp.floating) else part.astype(jnp.float32)
                for part in window]
        # rows alone: the host adds them up in float64
        return [local.mean(-1) for local in plan.maps(*(part / white for part in pair))]

    return plan, compare


def _check_arrays(reference, distorted) -> tuple[int, ...]:
    for name, image in (('reference', reference), ('distorted', distorted)):
        if not isinstance(image, np.ndarray) or image.dtype.kind not in 'uif':
            raise InputError(f'{name}: expected a NumPy array of integers or floats, '
                             f'got {type(image).__name__}')
        if image.ndim != 3:
            raise InputError(f'{name}: expected [height, width, channels], got shape {image.shape}')
    check_same_shape('reference', reference, 'distorted', distorted)
    if reference.dtype != distorted.dtype:
        raise InputError(f'reference and distorted must have the same dtype, '
                         f'got {reference.dtype} and {distorted.dtype}')
    return reference.shape


def _read(name: str, image, band: _Band, white: float) -> np.ndarray:
    rows = np.ascontiguousarray(image[band.start:band.stop])
    if image.dtype.kind == 'f':
        check_finite(name, rows)
        check_range(name, rows, low=0.0, high=white, slack=1e-4 * white)
    elif rows.min() < 0 or rows.max() > white:
        raise InputError(f'{name}: expected values in [0, {white:g}]')
    return rows


def _mse_plan(shape, *, colour: str = 'each') -> Plan:
    maps = functools.partial(squared_errors, colour=colour)
    return Plan(lambda *pair: [maps(*pair)], (1,), 0, lambda means: means[0].mean())


def _psnr_plan(shape, *, colour: str = 'each', average: str = 'image',
               epsilon: float = 0.0) -> Plan:
    return Plan(lambda *pair: [error_planes(*pair, colour=colour, average=average)], (1,), 0,
                lambda means: psnr_of_errors(means[0], epsilon=epsilon))


def _psnr_y_plan(shape, *, colour: str = 'bt601_studio', **options: Any) -> Plan:
    return _psnr_plan(shape, colour=colour, **options)


def _ssim_plan(shape, *, downsample: str = 'none', window_size: int = 11, **options: Any) -> Plan:
    rule = DOWNSAMPLINGS[downsample]
    factor = downsample_factor(*shape[:2], rule=rule) if rule else 1
    maps = functools.partial(ssim_map, downsample=downsample, window_size=window_size,
                             factor=factor, **options)
    return Plan(lambda *pair: [maps(*pair)], (factor,), (window_size + 1) * factor,
                lambda means: means[0].mean())


def _uqi_plan(shape, *, window_size: int = 8, **options: Any) -> Plan:
    maps = functools.partial(uqi_map, window_size=window_size, **options)
    return Plan(lambda *pair: [maps(*pair)], (1,), window_size, lambda means: means[0].mean())


def _gssim_plan(shape, *, colour: str = 'matlab', window_size: int = 11, **options: Any) -> Plan:
    def maps(*pair):
        planes = (colour_planes(image, rule=colour) for image in pair)
        return [gssim_map(*planes, window_size=window_size, **options)]
    return Plan(maps, (1,), window_size + 2, lambda means: means[0].mean())


def _ms_ssim_plan(shape, *, downsample: str = 'matlab', negative: str = 'relu',
                  combine: str = 'product', weights: tuple[float, ...] = WEIGHTS,
                  window_size: int = 11, **options: Any) -> Plan:
    if downsample not in ('matlab', 'crop'):
        raise InputError(f"downsample: '{downsample}' pads a scale before its first row where it "
                         f"is odd, so bands do not join; 'matlab' and 'crop' do not")
    scales = len(weights)
    maps = functools.partial(scale_maps, downsample=downsample, scales=scales,
                             window_size=window_size, **options)
    finish = functools.partial(combine_scales, negative=negative, combine=combine, weights=weights)
    return Plan(maps, tuple(2 ** scale for scale in range(scales)),
                window_size * 2 ** (scales - 1), finish)


def _gmsd_plan(shape, *, deviation: str = 'sample', ragged: str = 'zero', **options: Any) -> Plan:
    def maps(*pair):
        _, local = gmsd(*pair, ragged=ragged, return_map=True, **options)
        unlike = jnp.moveaxis(1 - (local if local.ndim == 3 else local[..., None]), -1, -3)
        return [unlike, unlike * unlike]

    height, width = (side // 2 if ragged == 'crop' else -(-side // 2) for side in shape[:2])
    count = height * width

    def finish(means):
        variance = np.maximum(means[1] - means[0] ** 2, 0)
        return np.sqrt(variance * count / (count - (deviation == 'sample'))).mean()

    return Plan(maps, (2, 2), 4, finish)


# Name -> the metric, whose checks hold for the whole image, and its plan.
TILED: dict[str, tuple[Callable, Callable]] = {
    'mse': (mse, _mse_plan),
    'psnr': (psnr, _psnr_plan),
    'psnr_y': (psnr_y, _psnr_y_plan),
    'ssim': (ssim, _ssim_plan),
    'ms_ssim': (ms_ssim, _ms_ssim_plan),
    'uqi': (uqi, _uqi_plan),
    'gssim': (gssim, _gssim_plan),
    'gmsd': (gmsd, _gmsd_plan),
}
