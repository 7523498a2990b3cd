"""The undistorted photographs of published sets, from tiny archives."""

import numpy as np
import pytest

from tests.data.tiny_archives import WRITERS
from vision_jax import data
from vision_jax.core.errors import InputError
from vision_jax.data.datasets import live, references
from vision_jax.data.pairs import open_pairs


@pytest.fixture(autouse=True)
def two_images_a_distortion(monkeypatch):
    monkeypatch.setattr(live.Live, 'counts', (2,) * 5)


def write_tiny(name, tmp_path):
    WRITERS[name](tmp_path / 'downloads' / 'manual' / name)
    return {'name': name, 'directory': str(tmp_path)}


@pytest.mark.parametrize('name', references.BUILDERS)
def test_each_image_has_its_own_photograph(name, tmp_path):
    config = write_tiny(name, tmp_path)
    photographs = references.load(config)
    numbers = photographs.column('reference').tolist()
    values = {number: int(photographs[i]['image'][0, 0, 0]) for i, number in enumerate(numbers)}
    # what the tiny archives paint: 200 and the photograph's number, in their order
    expected = {'csiq': {1: 201, 2: 202}, 'live': {1: 201, 2: 202}, 'kadid10k': {1: 201, 81: 225},
                'tid2013': {1: 200, 25: 225}, 'pieapp': {9: 209, 23: 223}}
    assert values == expected[name]
    pairs = open_pairs(config)
    for index, number in enumerate(pairs.source.column('reference')):
        reference, distorted = pairs[index]
        assert reference[0, 0, 0] == values[number]
        np.testing.assert_array_equal(distorted, pairs.source[index]['image'])


def test_a_set_is_trained_on_without_photographs_and_they_are_named_when_needed(tmp_path):
    config = write_tiny('csiq', tmp_path)
    path = tmp_path / 'downloads' / 'manual' / 'csiq' / 'src_imgs.zip'
    path.unlink()
    assert len(data.load(config, 'all')) == 3
    with pytest.raises(InputError, match="'1600.png' not found in .*https://"):
        references.load(config)


def test_a_set_without_references_says_so(tmp_path):
    with pytest.raises(InputError, match="'spaq' has no reference photographs"):
        references.load({'name': 'spaq', 'directory': str(tmp_path)})


def test_types_are_read_from_the_names_and_others_are_named(tmp_path):
    source = data.load(write_tiny('pieapp', tmp_path), 'all')
    assert source.column('distortion_name').tolist() == ['jpeg', 'sparse_sampling', 'jpeg']
    with pytest.raises(InputError, match="label_scale='unit' needs a scale with two ends"):
        data.load({'name': 'pieapp', 'directory': str(tmp_path), 'label_scale': 'unit'}, 'all')
