"""The 25 types of KADID-10k with their levels, and `distort`, which applies one by its name."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from vision_jax.core.errors import InputError, nearest
from vision_jax.data.distortions import (
    blur,
    chroma,
    compression,
    noise,
    quantisation,
    spatial,
    tone,
)


class Distortion(NamedTuple):
    """One type of distortion.

    Attributes:
        number: In KADID-10k, 1 to 25.
        name: Of the function.
        function: `f(image, *, parameter)`, or `f(key, image, *, parameter)`.
        parameter: The name of the level's argument.
        levels: Its values at levels 1 to 5, by growing amount.
        random: Whether the function takes a key.
        traced: Whether the level's value may be traced, so that one compilation serves all levels.
        identity: The levels that leave an 8-bit image as it is.
        ranked: Whether VSI falls with every level on most photographs. Measured on the 88 tiles of
            192 pixels of `photo_distortions`: it does on 52 % of them for type 5, on 53 % for 7, on
            31 % for 18 and on 55 % for 25; on 93 % or more for each of the others.
    """

    number: int
    name: str
    function: Callable
    parameter: str
    levels: tuple[float, ...]
    random: bool = False
    traced: bool = True
    identity: tuple[int, ...] = ()
    ranked: bool = True


# Values: imdist_generator.m of KADIS-700k (Lin, Hosu, Saupe, "KADID-10k", QoMEX 2019). There, type
# 18 stands as .15 .08 0 -.08 -.15 and type 25 as .3 .15 0 -.4 -.6: not by severity. Here 18 is
# ordered by |amount| and 25 by the distance from its identity, -0.2.
DISTORTIONS = (
    Distortion(1, 'gaussian_blur', blur.gaussian_blur, 'sigma', (0.1, 0.5, 1, 2, 5),
               traced=False, identity=(1,)),
    Distortion(2, 'lens_blur', blur.lens_blur, 'radius', (1, 2, 4, 6, 8), traced=False),
    Distortion(3, 'motion_blur', blur.motion_blur, 'length', (1, 2, 4, 6, 10),
               random=True, traced=False, identity=(1,)),
    Distortion(4, 'colour_diffusion', chroma.colour_diffusion, 'amount', (1, 3, 6, 8, 12),
               traced=False),
    Distortion(5, 'colour_shift', chroma.colour_shift, 'pixels', (1, 3, 6, 8, 12), random=True,
               ranked=False),
    Distortion(6, 'colour_quantisation', quantisation.colour_quantisation, 'colours',
               (64, 48, 32, 16, 8), traced=False),
    Distortion(7, 'hsv_saturation', chroma.hsv_saturation, 'factor', (0.4, 0.2, 0.1, 0.0, -0.4),
               ranked=False),
    Distortion(8, 'lab_saturation', chroma.lab_saturation, 'factor', (1, 2, 3, 6, 9),
               identity=(1,)),
    Distortion(9, 'jpeg2000', compression.jpeg2000, 'ratio', (16, 32, 45, 120, 400), traced=False),
    Distortion(10, 'jpeg', compression.jpeg, 'quality', (43, 36, 24, 7, 4)),
    Distortion(11, 'white_noise', noise.white_noise, 'variance',
               (0.001, 0.002, 0.003, 0.005, 0.01), random=True),
    Distortion(12, 'colour_component_noise', noise.colour_component_noise, 'variance',
               (0.0001, 0.0005, 0.001, 0.002, 0.003), random=True),
    Distortion(13, 'impulse_noise', noise.impulse_noise, 'density',
               (0.001, 0.005, 0.01, 0.02, 0.03), random=True),
    Distortion(14, 'multiplicative_noise', noise.multiplicative_noise, 'variance',
               (0.001, 0.005, 0.01, 0.02, 0.05), random=True),
    Distortion(15, 'denoising', noise.denoising, 'variance', (0.01, 0.03, 0.05, 0.1, 0.15),
               random=True),
    Distortion(16, 'brighten', tone.brighten, 'amount', (0.1, 0.2, 0.4, 0.7, 1.1)),
    Distortion(17, 'darken', tone.darken, 'amount', (0.05, 0.1, 0.2, 0.4, 0.8)),
    Distortion(18, 'mean_shift', tone.mean_shift, 'amount', (0.0, 0.08, -0.08, 0.15, -0.15),
               identity=(1,), ranked=False),
    Distortion(19, 'jitter', spatial.jitter, 'amount', (0.05, 0.1, 0.2, 0.5, 1), random=True),
    Distortion(20, 'non_eccentricity_patches', spatial.non_eccentricity_patches, 'patches',
               (20, 40, 60, 80, 100), random=True),
    Distortion(21, 'pixelation', spatial.pixelation, 'strength', (0.01, 0.05, 0.1, 0.2, 0.5),
               traced=False),
    Distortion(22, 'level_quantisation', quantisation.level_quantisation, 'thresholds',
               (20, 16, 13, 10, 7), traced=False),
    Distortion(23, 'colour_blocks', spatial.colour_blocks, 'blocks', (2, 4, 6, 8, 10), random=True),
    Distortion(24, 'sharpening', tone.sharpening, 'amount', (1, 2, 3, 6, 12)),
    Distortion(25, 'contrast_change', tone.contrast_change, 'amount', (0.0, -0.4, 0.15, -0.6, 0.3),
               ranked=False),
)
IDENTITIES = tuple((row.number, level) for row in DISTORTIONS for level in row.identity)
LEVELS = 5


def find(*, name: str | None = None, number: int | None = None) -> Distortion:
    """The row of `DISTORTIONS` with a name or a number.

    Args:
        name: In `DISTORTIONS`; or
        number: in KADID-10k, 1 to 25.

    Raises:
        InputError: Unless exactly one is given, and on an unknown one (with the nearest name).
    """
    if (name is None) == (number is None):
        raise InputError('distortion: give either its name or its number')
    for row in DISTORTIONS:
        if name == row.name or number == row.number:
            return row
    if name is None:
        raise InputError(f'number: expected 1 to {len(DISTORTIONS)}, got {number}')
    raise InputError(f"name: no distortion '{name}'{nearest(name, [r.name for r in DISTORTIONS])}")


def distort(key: jax.Array, image, *, name: str | None = None, number: int | None = None,
            level: int):
    """Applies a type of distortion at one of its levels.

    Args:
        key: For the types that are random; the others leave it unused.
        image: `*b h w 3` in [0, 1].
        name: The type, a name in `DISTORTIONS`; or
        number: its number in KADID-10k, 1 to 25.
        level: 1 to 5.

    Returns:
        `*b h w 3` in [0, 1].

    Raises:
        InputError: On an unknown type or level.
    """
    row = find(name=name, number=number)
    if level not in range(1, LEVELS + 1):
        raise InputError(f'level: expected 1 to {LEVELS}, got {level}')
    return apply(key, image, row.levels[level - 1], row=row)


def apply(key: jax.Array, image, value, *, row: Distortion, **options):
    """Calls the function of a row with the value of its parameter.

    Args:
        key: For a type that is random.
        image: `*b h w 3` in [0, 1].
        value: Of the parameter `row.parameter`.
        row: The type.
        options: Further ones of the function.
    """
    arrays = (key, image) if row.random else (image,)
    return row.function(*arrays, **{row.parameter: value}, **options)
