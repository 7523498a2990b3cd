"""LIVE release 2: 29 photographs, 5 distortions, 779 images, DMOS 0 (best) to 100 (worst)."""

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data.datasets import quality_builder, tables

FOLDERS = ('jp2k', 'jpeg', 'wn', 'gblur', 'fastfading')
COUNTS = (227, 233, 174, 174, 174)  # the order and the sizes that the release's readme.txt states


class Live(quality_builder.QualityBuilder):
    """LIVE release 2. `quality` is the DMOS of `dmos.mat`, about 0 to 100, LOWER is better.

    `quality_realigned` is `dmos_new` of `dmos_realigned.mat`, the scores of Sheikh, Sabir and Bovik
    (TIP 2006), which most tables quote; it is NaN if that file is not there, and
    `data.label='quality_realigned'` then says so. The 203 undistorted copies (`orgs`) are left out.
    `distortion` 1..5 is jp2k, jpeg, wn, gblur, fastfading; `reference` numbers the sorted names.
    """

    FILES = ('databaserelease2.zip, extracted (dmos.mat, dmos_realigned.mat, refnames_all.mat, '
             'jp2k/, jpeg/, wn/, gblur/, fastfading/, refimgs/),')
    HOMEPAGE = 'https://live.ece.utexas.edu/research/quality/subjective.htm'
    CITATION = ('H. R. Sheikh, M. F. Sabir, A. C. Bovik, "A statistical evaluation of recent full '
                'reference image quality assessment algorithms", IEEE TIP 15(11), 2006.')
    SCALARS = {'reference': np.int32, 'distortion': np.int32, 'quality_realigned': np.float32}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'
    counts = COUNTS

    def rows(self, archive):
        scores = archive.read('dmos.mat')
        dmos, undistorted = tables.read_mat(scores, 'dmos'), tables.read_mat(scores, 'orgs')
        names = tables.read_mat(archive.read('refnames_all.mat'), 'refnames_all')
        realigned = np.full(len(dmos), np.nan)
        if 'dmos_realigned.mat' in archive:
            realigned = tables.read_mat(archive.read('dmos_realigned.mat'), 'dmos_new')
        paths = [(f'{folder}/img{number + 1}.bmp', distortion)
                 for distortion, folder in enumerate(FOLDERS, start=1)
                 for number in range(self.counts[distortion - 1])]
        lengths = {len(paths), len(dmos), len(undistorted), len(names), len(realigned)}
        if len(lengths) != 1:
            raise InputError(f'live: expected {len(paths)} entries in dmos.mat and '
                             f'refnames_all.mat, got {sorted(lengths)}')
        _, references = np.unique(names, return_inverse=True)
        for index, (path, distortion) in enumerate(paths):
            if not undistorted[index]:
                yield {
                    'path': path, 'reference_path': f'refimgs/{names[index]}',
                    'quality': dmos[index], 'quality_realigned': realigned[index],
                    'reference': int(references[index]) + 1, 'distortion': distortion,
                }


def load(config, split: str):
    """LIVE as a source; see `quality_builder.load`."""
    return quality_builder.load(Live, config, split)
