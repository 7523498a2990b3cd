"""The builders of published quality data sets, each on a tiny archive in the published layout."""

import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from tensorflow_datasets.core import shuffle

from tests.data.tiny_archives import (
    WRITERS,
    kadid10k,
    koniq10k,
    live_release_2,
    picture,
    tid2013,
    write,
)
from vision_jax import data
from vision_jax.core.errors import InputError
from vision_jax.data.datasets import live, quality_builder


@pytest.fixture(autouse=True)
def two_images_a_distortion(monkeypatch):
    """LIVE's archive has 982 images; the tiny one has ten."""
    monkeypatch.setattr(live.Live, 'counts', (2,) * 5)


def open_tiny(name, tmp_path, **options):
    """Writes the tiny archive of `name` and opens it; also returns what it must hold."""
    expected = WRITERS[name](tmp_path / 'downloads' / 'manual' / name)
    return data.load({'name': name, 'directory': str(tmp_path), **options}, 'all'), expected


@pytest.mark.parametrize('name', WRITERS)
def test_a_tiny_archive_is_read_as_published(name, tmp_path):
    source, expected = open_tiny(name, tmp_path)
    assert len(source) == len(expected['quality'])
    for column, values in expected.items():
        np.testing.assert_allclose(source.column(column), values, rtol=1e-6, err_msg=column)
    values = [int(source[index]['image'].mean().round()) for index in range(len(source))]
    first = 1 if name == 'live' else 0
    expected_values = [1, 2, 11, 21, 22, 31, 32, 41, 42] if first else list(range(len(source)))
    np.testing.assert_array_equal(values, expected_values)
    assert source[0]['image'].shape == (12, 14, 3)


@pytest.mark.parametrize(
    ('sizes', 'ends'),
    [([4], [1]), ([2, 2, 2, 2], [2, 4]), ([3, 3, 3], [1, 2, 3]), ([1, 9, 1, 1, 1], [1, 2, 5]),
     ([9, 9], [1, 2]), ([0, 4, 1], [2, 3]), ([], [0])],
)
def test_parts_are_as_many_files_as_the_limit_takes(sizes, ends):
    assert quality_builder.part_ends(sizes, limit=4) == ends


def koniq_of(count, folder):
    """The archive of so many images; image i holds `i` everywhere, in a zip file."""
    folder.mkdir(parents=True)
    rows = ''.join(f'"{i:03d}.jpg",{i / 10},{i}\n' for i in range(count))
    write(folder, 'koniq10k_scores_and_distributions.csv', '"image_name",MOS,MOS_zscore\n' + rows)
    with zipfile.ZipFile(folder / 'koniq10k_1024x768.zip', 'w') as archive:
        for i in range(count):
            archive.writestr(f'1024x768/{i:03d}.jpg', picture(i, 'jpeg'))


def test_a_large_set_is_built_in_parts_and_read_in_order(tmp_path, monkeypatch, capfd):
    """TFDS's own buffer is made just larger than a part, so that a part over it would fail."""
    size = len(picture(0, 'jpeg'))
    monkeypatch.setattr(quality_builder, 'PART_BYTES', 2 * size)
    monkeypatch.setattr(shuffle, 'MAX_MEM_BUFFER_SIZE', 3 * size)
    koniq_of(25, tmp_path / 'downloads' / 'manual' / 'koniq10k')
    config = {'name': 'koniq10k', 'directory': str(tmp_path)}
    source = data.load(config, 'all')
    records = sorted(path.name for path in tmp_path.rglob('*array_record*'))
    assert len(records) == 13
    np.testing.assert_allclose(source.column('quality'), np.arange(25) / 10, rtol=1e-6)
    assert [round(source[i]['image'].mean()) for i in range(25)] == list(range(25))
    np.testing.assert_array_equal(  # the cache of the columns, on a second opening
        data.load(config, 'all').column('path'), source.column('path'))
    output, progress = capfd.readouterr()
    assert output == ''
    assert [line.split()[:3] for line in progress.splitlines()][-1] == [
        'building', 'koniq10k', '25/25']
    assert len(progress.splitlines()) == 10


@pytest.mark.parametrize('name', ['tid2013', 'csiq'])
def test_a_second_opening_needs_no_archive(name, tmp_path):
    source, expected = open_tiny(name, tmp_path)
    source.column('quality')
    for path in sorted((tmp_path / 'downloads').rglob('*'), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    again = data.load({'name': name, 'directory': str(tmp_path)}, 'all')
    np.testing.assert_allclose(again.column('quality'), expected['quality'], rtol=1e-6)
    np.testing.assert_array_equal(again[1]['image'], source[1]['image'])
    sent = pickle.loads(pickle.dumps(again))  # as to a worker process
    np.testing.assert_array_equal(sent[1]['image'], source[1]['image'])


def test_labels_and_scales_are_chosen_by_the_config(tmp_path):
    source, expected = open_tiny('koniq10k', tmp_path, label='quality_zscore', label_scale='unit')
    np.testing.assert_allclose(source.column('quality'), np.array([77.38, 70.28]) / 100, rtol=1e-6)
    assert source[0]['quality'] == source.column('quality')[0]
    source, _ = open_tiny('live', tmp_path, label='quality_realigned', label_scale='unit')
    np.testing.assert_allclose(source.column('quality')[:2], [0.99, 0.92], rtol=1e-6)


def test_tid2013_and_kadid10k_join(tmp_path):
    for name in ('tid2013', 'kadid10k'):
        WRITERS[name](tmp_path / 'downloads' / 'manual' / name)
    config = {'name': 'tid2013+kadid10k', 'directory': str(tmp_path), 'label_scale': 'metaiqa'}
    source = data.load(config, 'all')
    np.testing.assert_allclose(
        source.column('quality'), [0.61269889, 0.13333333, 0.33642, 0.814, 0.146], rtol=1e-5)
    assert source.column('distortion').tolist() == [1, 24, 8, 26, 50]
    assert source.column('reference').tolist() == [1, 1, 25, 27, 107]


@pytest.mark.parametrize('name', WRITERS)
def test_a_missing_archive_says_what_where_and_from_whom(name, tmp_path):
    with pytest.raises(InputError) as error:
        data.load({'name': name, 'directory': str(tmp_path)}, 'all')
    message = str(error.value)
    assert f'put it into {tmp_path}/downloads/manual/{name}' in message
    assert 'https://' in message
    assert '\n' not in message


@pytest.mark.parametrize(
    ('name', 'absent'),
    [
        ('tid2013', 'mos_with_names.txt'), ('tid2013', 'i25_08_3.bmp'), ('live', 'dmos.mat'),
        ('koniq10k', '10007357496.jpg'), ('spaq', 'MOS and Image attribute scores.xlsx'),
        ('live_in_the_wild', 'AllMOS_release.mat'),
    ],
)
def test_an_absent_file_is_named_and_the_build_can_be_repeated(name, absent, tmp_path):
    folder = tmp_path / 'downloads' / 'manual' / name
    WRITERS[name](folder)
    path = next(p for p in folder.rglob(absent) if '512x384' not in p.parts)
    content = path.read_bytes()
    path.unlink()
    config = {'name': name, 'directory': str(tmp_path)}
    with pytest.raises(InputError, match=f"{absent}' not found in {folder}.*https://"):
        data.load(config, 'all')
    path.write_bytes(content)
    assert len(data.load(config, 'all')) >= 2


def test_a_label_that_is_no_number_is_named_by_its_row(tmp_path):
    folder = tmp_path / 'downloads' / 'manual' / 'koniq10k'
    koniq10k(folder)
    table = folder / 'koniq10k_scores_and_distributions.csv'
    table.write_text(table.read_text().replace('3.479166667', 'nan'))
    with pytest.raises(InputError, match=r'row 2 \(1024x768/10007357496.jpg\): the label is nan'):
        data.load({'name': 'koniq10k', 'directory': str(tmp_path)}, 'all')


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('I01_01_1.bmp 5.5', "form at row 4: ValueError"), ('only_one_word', 'form at row 4'),
        ('5.5 I01.bmp', 'form at row 4'),
    ],
)
def test_a_table_in_another_form_is_named_by_its_row(line, message, tmp_path):
    folder = tmp_path / 'downloads' / 'manual' / 'tid2013'
    tid2013(folder)
    with (folder / 'mos_with_names.txt').open('a') as table:
        table.write(line)
    with pytest.raises(InputError, match=message):
        data.load({'name': 'tid2013', 'directory': str(tmp_path)}, 'all')


def test_half_a_download_is_said(tmp_path):
    folder = tmp_path / 'elsewhere'
    kadid10k(folder)
    whole = (folder / 'kadid10k.zip').read_bytes()
    (folder / 'kadid10k.zip').write_bytes(whole[:len(whole) // 2])
    config = {'name': 'kadid10k', 'directory': str(tmp_path), 'archive_directory': str(folder)}
    with pytest.raises(InputError, match='kadid10k.zip is not a whole zip file'):
        data.load(config, 'all')
    damaged = bytearray(whole)
    position = whole.index(picture(0, 'png')) + 60
    damaged[position] ^= 255
    (folder / 'kadid10k.zip').write_bytes(damaged)
    with pytest.raises(InputError, match='Bad CRC-32 .*download it again'):
        data.load(config, 'all')
    (folder / 'kadid10k.zip').write_bytes(whole)
    assert len(data.load(config, 'all')) == 2


def test_live_without_realigned_scores_says_so_when_they_are_asked_for(tmp_path):
    folder = tmp_path / 'downloads' / 'manual' / 'live'
    live_release_2(folder)
    (folder / 'databaserelease2/dmos_realigned.mat').unlink()
    config = {'name': 'live', 'directory': str(tmp_path)}
    assert len(data.load(config, 'all')) == 9
    with pytest.raises(InputError, match="'quality_realigned', row 1 .*the label is nan"):
        data.load({**config, 'label': 'quality_realigned'}, 'all')


def test_live_of_another_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(live.Live, 'counts', live.COUNTS)
    with pytest.raises(InputError, match='expected 982 entries'):
        open_tiny('live', tmp_path)


def test_a_corrupt_image_is_named_when_it_is_read(tmp_path):
    folder = tmp_path / 'downloads' / 'manual' / 'tid2013'
    tid2013(folder)
    write(folder, 'distorted_images/i01_24_5.bmp', b'damaged')
    source = data.load({'name': 'tid2013', 'directory': str(tmp_path)}, 'all')
    assert source.column('distortion')[1] == 24
    with pytest.raises(InputError, match='corrupt image distorted_images/I01_24_5.bmp of tid2013'):
        source[1]


def test_spreadsheets_without_openpyxl_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openpyxl', None)
    folder = tmp_path / 'downloads' / 'manual' / 'spaq'
    write(folder, 'Annotations/MOS and Image attribute scores.xlsx', b'')
    with pytest.raises(InputError, match=r"pip install 'vision_jax\[spreadsheets\]'"):
        data.load({'name': 'spaq', 'directory': str(tmp_path)}, 'all')


WITHOUT_TENSORFLOW = '''
import sys
from vision_jax import data
from vision_jax.data import pipeline
config = {'name': 'kadid10k', 'directory': sys.argv[1], 'batch_size': 2}
batch = next(pipeline.train_iterator(data.load(config, 'all'), config))
print(batch['image'].shape, sorted(m for m in sys.modules if m.split('.')[0] == 'tensorflow'))
'''


def test_building_and_reading_import_no_tensorflow(tmp_path, repository):
    kadid10k(tmp_path / 'downloads' / 'manual' / 'kadid10k')
    result = subprocess.run(
        [sys.executable, '-c', WITHOUT_TENSORFLOW, str(tmp_path)], cwd=repository,
        capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "(2, 12, 14, 3) []"
