"""PieAPP, test set: 40 photographs, 600 distorted images, error 0 (none) and up, of one scale."""

import csv
import io
import re

import numpy as np
import tensorflow_datasets as tfds

from vision_jax.core.errors import InputError
from vision_jax.data.datasets import quality_builder

# distort_<photograph>_<type>_<inter or intra>_<number>.png
NAME = re.compile(r'distort_\d+_(?P<type>.+?)(?:_(?:inter|intra)(?:_.*)?)?\.\w+', re.IGNORECASE)


class Pieapp(quality_builder.QualityBuilder):
    """PieAPP, the test set, which has scores. `quality` is the error, from 0, LOWER is better.

    It is estimated from preferences between all pairs of images of a photograph (Bradley-Terry),
    the photograph itself being 0. `reference` is the number in the photograph's name,
    `distortion` numbers the sorted names of the types, which `distortion_name` holds. The training
    and validation sets have preferences only and are left out.
    """

    FILES = ('all_data_PieAPP_dataset_CVPR_2018.zip (test_reference_list.txt, labels/test/, '
             'reference_images/test/, distorted_images/test/)')
    HOMEPAGE = 'https://github.com/prashnani/PerceptualImageError'
    CITATION = ('E. Prashnani, H. Cai, Y. Mostofi, P. Sen, "PieAPP: Perceptual image-error '
                'assessment through pairwise preference", CVPR 2018.')
    SCALARS = {'reference': np.int32, 'distortion': np.int32,
               'distortion_name': tfds.features.Text()}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'{FILES} from {HOMEPAGE}'

    def rows(self, archive):
        rows = []
        for photograph in archive.read('test_reference_list.txt').decode('utf-8-sig').split():
            stem = photograph.rpartition('.')[0]
            table = archive.read(f'labels/test/{stem}_per_image_score.csv').decode('utf-8-sig')
            _, *scores = csv.reader(io.StringIO(table))
            rows += [(photograph, *row[1:3]) for row in scores if row]
        # the photograph stands among its own distorted images in some tables, with an error of 0
        rows = [row for row in rows if row[0] != row[1]]
        types = sorted({_type(image) for _, image, _ in rows})
        for photograph, image, score in rows:
            stem = photograph.rpartition('.')[0]
            yield {
                'path': f'distorted_images/test/{stem}/{image}', 'quality': score.strip(),
                'reference_path': f'reference_images/test/{photograph}',
                'reference': int(stem.rpartition('_')[2]),
                'distortion': types.index(_type(image)) + 1, 'distortion_name': _type(image),
            }


def _type(image: str) -> str:
    found = NAME.fullmatch(image)
    if found is None:
        raise InputError(f"pieapp: '{image}' is no name of a distorted image, as "
                         'distort_1_gaussian_blur_inter_1.png')
    return found['type']


def load(config, split: str):
    """PieAPP's test set as a source; see `quality_builder.load`."""
    return quality_builder.load(Pieapp, config, split)
