"""SPAQ: 11 125 photographs by smartphones, MOS 0 (worst) to 100 (best)."""

import numpy as np

from vision_jax.data.datasets import quality_builder, tables

ATTRIBUTES = ('Brightness', 'Colorfulness', 'Contrast', 'Noisiness', 'Sharpness')


class Spaq(quality_builder.QualityBuilder):
    """SPAQ. `quality` is the MOS, 0 to 100, higher is better.

    The five attributes (`brightness`, `colorfulness`, `contrast`, `noisiness`, `sharpness`) are
    0 to 100 as published. Reading the scores needs openpyxl (the extra `spreadsheets`). The images
    are up to 20 megapixels: `data.resize` (512 in the paper) shrinks them as they are read.
    """

    FILES = 'SPAQ.zip, extracted (TestImage/, Annotations/MOS and Image attribute scores.xlsx),'
    HOMEPAGE = 'https://github.com/h4nwei/SPAQ'
    CITATION = ('Y. Fang, H. Zhu, Y. Zeng, K. Ma, Z. Wang, "Perceptual quality assessment of '
                'smartphone photography", CVPR 2020.')
    SCALARS = {name.lower(): np.float32 for name in ATTRIBUTES}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        scores = archive.read('MOS and Image attribute scores.xlsx')
        for row in tables.read_xlsx(scores, header='Image name'):
            yield {
                'path': f'TestImage/{row["Image name"]}', 'quality': row['MOS'],
                **{name.lower(): float(row[name]) for name in ATTRIBUTES},
            }


def load(config, split: str):
    """SPAQ as a source; see `quality_builder.load`."""
    return quality_builder.load(Spaq, config, split)
