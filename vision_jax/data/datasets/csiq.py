"""CSIQ: 30 photographs, 6 distortions at 4 or 5 levels, 866 images, DMOS 0 (best) to 1 (worst)."""

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data.datasets import quality_builder, tables

# The spreadsheet's name of a distortion, and the word in the file names.
FILE_WORDS = {
    'noise': 'AWGN', 'jpeg': 'JPEG', 'jpeg 2000': 'jpeg2000', 'fnoise': 'fnoise', 'blur': 'BLUR',
    'contrast': 'contrast',
}


class Csiq(quality_builder.QualityBuilder):
    """CSIQ. `quality` is the DMOS, 0 to 1, LOWER is better.

    `distortion` is the spreadsheet's `dst_idx` (1..6), `level` its `dst_lev` (1..5), `reference`
    numbers the sorted names of the photographs. Reading the scores needs openpyxl (the extra
    `spreadsheets`).
    """

    FILES = 'csiq.DMOS.xlsx and dst_imgs.zip (src_imgs.zip, too, for full-reference metrics)'
    HOMEPAGE = 'https://s2.smu.edu/~eclarson/csiq.html'
    CITATION = ('E. C. Larson, D. M. Chandler, "Most apparent distortion: full-reference image '
                'quality assessment and the role of strategy", J. Electronic Imaging 19(1), 2010.')
    SCALARS = {'reference': np.int32, 'distortion': np.int32, 'level': np.int32}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        table = tables.read_xlsx(archive.read('csiq.DMOS.xlsx'), sheet='all_by_image',
                                 header='dst_type')
        rows = list(table)
        # One photograph is called 1600, which the spreadsheet holds as a number.
        names = sorted({_name(row['image']) for row in rows})
        for row in rows:
            if row['dst_type'] not in FILE_WORDS:
                raise InputError(f"csiq: unknown distortion '{row['dst_type']}' in the spreadsheet")
            name, level = _name(row['image']), int(row['dst_lev'])
            yield {
                'path': f'{name}.{FILE_WORDS[row["dst_type"]]}.{level}.png',
                'reference_path': f'{name}.png',
                'quality': row['dmos'], 'reference': names.index(name) + 1,
                'distortion': int(row['dst_idx']), 'level': level,
            }


def _name(cell) -> str:
    return cell if isinstance(cell, str) else str(int(cell))


def load(config, split: str):
    """CSIQ as a source; see `quality_builder.load`."""
    return quality_builder.load(Csiq, config, split)
