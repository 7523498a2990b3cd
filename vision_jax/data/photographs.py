"""Real colour photographs that lie in the wheels of scikit-image, scikit-learn and matplotlib.

Nothing is copied or downloaded: the files are read where those packages are installed. Origin and
licence are as the packages state them: scikit-image in the docstrings of `skimage.data`,
scikit-learn in `datasets/images/README.txt`. A telescope, a microscope and a fundus camera count as
cameras.

Left out: scikit-image's `motorcycle_right` (the scene of `motorcycle_left`: it would be on both
sides of a split), `color` and `logo` (drawn, not photographed), `skin`, `lily` and others
(downloaded on first use), `lfw_subset` and all other grey images.
"""

import importlib.util
import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image

from vision_jax.core.errors import InputError, nearest


class Photograph(NamedTuple):
    """Where a photograph lies and where it comes from.

    Attributes:
        name: Of the file, without its ending.
        package: The package to import.
        path: Within the package.
        size: Height and width in pixels.
        shrink: By how much it is averaged down when read, where the file is larger than its detail.
        origin: Who took it, and what it shows.
        licence: As its package states it.
    """

    name: str
    package: str
    path: str
    size: tuple[int, int]
    shrink: int
    origin: str
    licence: str


PHOTOGRAPHS = (
    Photograph('astronaut', 'skimage', 'data/astronaut.png', (512, 512), 1,
               'Eileen Collins; NASA Great Images database, flic.kr/p/r9qvLn',
               'public domain (NASA)'),
    Photograph('chelsea', 'skimage', 'data/chelsea.png', (300, 451), 1,
               'a cat; Stefan van der Walt', 'CC0'),
    Photograph('coffee', 'skimage', 'data/coffee.png', (400, 600), 1,
               'a cup of coffee; Rachel Michetti, courtesy of Pikolo Espresso Bar', 'CC0'),
    Photograph('hubble_deep_field', 'skimage', 'data/hubble_deep_field.jpg', (872, 1000), 1,
               'Hubble eXtreme Deep Field; NASA, hubblesite.org, 2012-37',
               'public domain (NASA)'),
    Photograph('ihc', 'skimage', 'data/ihc.png', (512, 512), 1,
               'stained tissue through a microscope; Center for Microscopy and Molecular Imaging',
               'no known copyright restrictions'),
    Photograph('motorcycle_left', 'skimage', 'data/motorcycle_left.png', (500, 741), 1,
               'left view of a stereo pair; Middlebury 2014 stereo benchmark '
               '(Scharstein et al., GCPR 2014)', 'not stated in the wheel'),
    Photograph('retina', 'skimage', 'data/retina.jpg', (1411, 1411), 2,
               'fundus of a left eye; Mikael Haggstrom, WikiJournal of Medicine 1 (2014)', 'CC0'),
    Photograph('rocket', 'skimage', 'data/rocket.jpg', (427, 640), 1,
               'launch of DSCOVR; SpaceX, flickr.com/photos/spacexphotos/16511594820',
               'public domain (SpaceX)'),
    Photograph('china', 'sklearn', 'datasets/images/china.jpg', (427, 640), 1,
               'a Chinese temple; flickr.com/photos/danielbuechele/6061409035', 'CC BY 2.0'),
    Photograph('flower', 'sklearn', 'datasets/images/flower.jpg', (427, 640), 1,
               'a flower; flickr.com/photos/vultilion/6056698931', 'CC BY 2.0'),
    Photograph('grace_hopper', 'matplotlib', 'mpl-data/sample_data/grace_hopper.jpg', (600, 512), 1,
               'Commodore Grace M. Hopper; James S. Davis, US Navy',
               'public domain (US Navy); not stated in the wheel'),
)


def load_photograph(name: str) -> np.ndarray:
    """Reads a photograph from the installed package.

    Args:
        name: One of `PHOTOGRAPHS`.

    Returns:
        uint8 `[h, w, 3]`, averaged down by the photograph's `shrink`.

    Raises:
        InputError: On an unknown name, a package that is not installed or that no longer holds the
            file.
    """
    rows = {row.name: row for row in PHOTOGRAPHS}
    if name not in rows:
        raise InputError(f"no photograph '{name}'{nearest(name, rows)}")
    row = rows[name]
    path = _package_folder(row) / row.path
    if not path.is_file():
        raise InputError(f"photograph '{name}': {row.package} holds no {row.path}; "
                         f'install another version of it')
    with Image.open(path) as image:
        if (image.height, image.width) != row.size:
            raise InputError(f"photograph '{name}': expected {row.size[0]}x{row.size[1]} pixels in "
                             f'{path}, got {image.height}x{image.width}')
        return np.asarray(image.convert('RGB').reduce(row.shrink))


def _package_folder(row: Photograph) -> pathlib.Path:
    spec = importlib.util.find_spec(row.package)
    if spec is None or spec.origin is None:
        distribution = {'skimage': 'scikit-image', 'sklearn': 'scikit-learn'}.get(
            row.package, row.package)
        raise InputError(f"photograph '{row.name}' lies in {distribution}, which is not installed; "
                         f"run: pip install 'vision_jax[demo]'")
    return pathlib.Path(spec.origin).parent
