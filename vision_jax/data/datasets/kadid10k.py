"""KADID-10k: 81 photographs, 25 distortions at 5 levels, DMOS 1 (worst) to 5 (best)."""

import numpy as np

from vision_jax.data.datasets import quality_builder, tables


class Kadid10k(quality_builder.QualityBuilder):
    """KADID-10k. `quality` is the published DMOS, 1 to 5, which despite its name is best at 5.

    It is the mean of degradation category ratings (5: imperceptible). `reference` 1..81,
    `distortion` 1..25 and `level` 1..5 are the numbers in the file names, as `I01_25_05.png`.
    The column `var` of the table is left out.
    """

    FILES = 'kadid10k.zip (dmos.csv, images/)'
    HOMEPAGE = 'https://database.mmsp-kn.de/kadid-10k-database.html'
    CITATION = ('H. Lin, V. Hosu, D. Saupe, "KADID-10k: A large-scale artificially distorted IQA '
                'database", QoMEX 2019.')
    SCALARS = {'reference': np.int32, 'distortion': np.int32, 'level': np.int32}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        for row in tables.read_csv(archive.read('dmos.csv')):
            name = row['dist_img']
            reference, distortion, level = name.rpartition('.')[0][1:].split('_')
            yield {
                'path': f'images/{name}', 'quality': row['dmos'],
                'reference_path': f'images/{row["ref_img"]}',
                'reference': int(reference), 'distortion': int(distortion), 'level': int(level),
            }


def load(config, split: str):
    """KADID-10k as a source; see `quality_builder.load`."""
    return quality_builder.load(Kadid10k, config, split)
