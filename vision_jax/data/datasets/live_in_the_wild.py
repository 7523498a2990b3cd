"""LIVE in the Wild (LIVE Challenge): 1 162 photographs, MOS 0 (worst) to 100 (best)."""

import numpy as np

from vision_jax.core.errors import InputError
from vision_jax.data.datasets import quality_builder, tables

TRAINING_IMAGES = 7  # the first entries were shown to the observers as practice


class LiveInTheWild(quality_builder.QualityBuilder):
    """LIVE in the Wild. `quality` is the MOS, 0 to 100, higher is better.

    `deviation` is the standard deviation of the opinions. The seven practice images at the head of
    the list (t1 to t7, in `Images/trainingImages/`) are left out, as is usual.
    """

    FILES = 'ChallengeDB_release.zip (ChallengeDB_release/Data/ and Images/)'
    HOMEPAGE = 'https://live.ece.utexas.edu/research/ChallengeDB/index.html'
    CITATION = ('D. Ghadiyaram, A. C. Bovik, "Massive online crowdsourced study of subjective and '
                'objective picture quality", IEEE TIP 25(1), 2016.')
    SCALARS = {'deviation': np.float32}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        names, scores, deviations = (
            tables.read_mat(archive.read(f'Data/{name}.mat'), name)
            for name in ('AllImages_release', 'AllMOS_release', 'AllStdDev_release')
        )
        if not len(names) == len(scores) == len(deviations):
            raise InputError(f'live_in_the_wild: {len(names)} names, {len(scores)} scores and '
                             f'{len(deviations)} deviations; expected one of each an image')
        for index in range(TRAINING_IMAGES, len(names)):
            yield {
                'path': f'Images/{names[index]}', 'quality': scores[index],
                'deviation': deviations[index],
            }


def load(config, split: str):
    """LIVE in the Wild as a source; see `quality_builder.load`."""
    return quality_builder.load(LiveInTheWild, config, split)
