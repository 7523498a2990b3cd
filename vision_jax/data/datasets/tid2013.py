"""TID2013: 25 photographs, 24 distortions at 5 levels, MOS 0 (worst) to 9 (best)."""

import numpy as np

from vision_jax.data.datasets import quality_builder


class Tid2013(quality_builder.QualityBuilder):
    """TID2013. `quality` is the MOS, 0 to 9, higher is better (observed: 0.24 to 7.21).

    `reference` 1..25, `distortion` 1..24 and `level` 1..5 are the numbers in the file names, as
    `i01_24_5.bmp`. Names differ in case between the table and the archive; that is no error.
    """

    FILES = ('tid2013.rar, extracted (mos_with_names.txt, distorted_images/, reference_images/),')
    HOMEPAGE = 'https://www.ponomarenko.info/tid2013.htm'
    CITATION = ('N. Ponomarenko et al., "Image database TID2013: Peculiarities, results and '
                'perspectives", Signal Processing: Image Communication 30, 2015.')
    SCALARS = {'reference': np.int32, 'distortion': np.int32, 'level': np.int32}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        for line in archive.read('mos_with_names.txt').decode().splitlines():
            if not line.strip():
                continue
            quality, name = line.split()
            reference, distortion, level = name.rpartition('.')[0][1:].split('_')
            yield {
                'path': f'distorted_images/{name}', 'quality': quality,
                'reference_path': f'reference_images/I{reference}.BMP',
                'reference': int(reference), 'distortion': int(distortion), 'level': int(level),
            }


def load(config, split: str):
    """TID2013 as a source; see `quality_builder.load`."""
    return quality_builder.load(Tid2013, config, split)
