"""KonIQ-10k: 10 073 photographs with authentic distortions, MOS 1 (worst) to 5 (best)."""

import numpy as np

from vision_jax.data.datasets import quality_builder, tables


class Koniq10k(quality_builder.QualityBuilder):
    """KonIQ-10k at 1024x768. `quality` is the column MOS, 1 to 5, higher is better.

    `quality_zscore` is the column MOS_zscore, about 0 to 100, which most tables quote
    (`data.label='quality_zscore'`).
    """

    FILES = ('koniq10k_1024x768.zip (1024x768/) and koniq10k_scores_and_distributions.zip '
             '(koniq10k_scores_and_distributions.csv)')
    HOMEPAGE = 'https://database.mmsp-kn.de/koniq-10k-database.html'
    CITATION = ('V. Hosu, H. Lin, T. Sziranyi, D. Saupe, "KonIQ-10k: An ecologically valid '
                'database for deep learning of blind image quality assessment", IEEE TIP 29, 2020.')
    SCALARS = {'quality_zscore': np.float32}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        for row in tables.read_csv(archive.read('koniq10k_scores_and_distributions.csv')):
            yield {
                'path': f'1024x768/{row["image_name"]}', 'quality': row['MOS'],
                'quality_zscore': float(row['MOS_zscore']),
            }


def load(config, split: str):
    """KonIQ-10k as a source; see `quality_builder.load`."""
    return quality_builder.load(Koniq10k, config, split)
