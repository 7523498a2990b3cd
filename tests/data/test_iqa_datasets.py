"""The builders of published quality data sets, each on a tiny archive in the published layout."""

import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import openpyxl
import pytest
import scipy.io
from PIL import Image
from tensorflow_datasets.core import shuffle

from vision_jax import data
from vision_jax.core.errors import InputError
from vision_jax.data.datasets import live, quality_builder


def picture(value, kind):
    """An encoded image that holds `value` everywhere."""
    file = io.BytesIO()
    Image.new('RGB', (14, 12), (value, value, value)).save(file, kind)
    return file.getvalue()


def cells(texts):
    """A MATLAB cell array of texts, `[1, n]`."""
    array = np.empty((1, len(texts)), object)
    array[0] = [np.array([text]) for text in texts]
    return array


def spreadsheet(path, sheets):
    """Writes an .xlsx file of `{sheet: rows}`."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def write(folder, name, content):
    """Writes bytes or text below `folder`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def tid2013(folder):
    """Upper case in the table, lower case on disk, as published; 25 is lower case in both."""
    names = ['I01_01_1.bmp', 'I01_24_5.bmp', 'i25_08_3.bmp']
    scores = ['5.51429', '1.20000', '3.02778']
    table = ''.join(f'{score} {name}\r\n' for score, name in zip(scores, names, strict=True))
    write(folder, 'mos_with_names.txt', table)
    write(folder, 'reference_images/I01.BMP', picture(200, 'bmp'))
    write(folder, 'reference_images/i25.bmp', picture(225, 'bmp'))
    for value, name in enumerate(names):
        write(folder, f'distorted_images/{name.lower()}', picture(value, 'bmp'))
    return {'quality': [5.51429, 1.2, 3.02778], 'reference': [1, 1, 25],
            'distortion': [1, 24, 8], 'level': [1, 5, 3]}


def kadid10k(folder):
    """Inside its zip, as downloaded."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / 'kadid10k.zip', 'w') as archive:
        archive.writestr('kadid10k/dmos.csv', 'dist_img,ref_img,dmos,var\n'
                         'I01_01_01.png,I01.png,4.57,0.496\nI81_25_05.png,I81.png,1.23,0.42\n')
        archive.writestr('kadid10k/images/I01.png', picture(201, 'png'))
        archive.writestr('kadid10k/images/I81.png', picture(225, 'png'))
        archive.writestr('__MACOSX/kadid10k/images/._I01_01_01.png', b'junk')
        for value, name in enumerate(['I01_01_01.png', 'I81_25_05.png']):
            archive.writestr(f'kadid10k/images/{name}', picture(value, 'png'))
    return {'quality': [4.57, 1.23], 'reference': [1, 81], 'distortion': [1, 25], 'level': [1, 5]}


def live_release_2(folder):
    """Two images a distortion, of which the second jpeg is an undistorted copy."""
    root = folder / 'databaserelease2'
    for number, name in enumerate(live.FOLDERS):
        for image in (1, 2):
            write(root, f'{name}/img{image}.bmp', picture(10 * number + image, 'bmp'))
    for value, name in enumerate(['bikes', 'ocean'], start=1):
        write(root, f'refimgs/{name}.bmp', picture(200 + value, 'bmp'))
    copies = np.zeros((1, 10))
    copies[0, 3] = 1
    scores = np.arange(10.0)[None] * 7
    names = ['ocean.bmp', 'bikes.bmp'] * 5
    scipy.io.savemat(root / 'dmos.mat', {'dmos': scores, 'orgs': copies})
    scipy.io.savemat(root / 'dmos_realigned.mat',
                     {'dmos_new': scores + 1, 'orgs': copies, 'dmos_std': scores})
    scipy.io.savemat(root / 'refnames_all.mat', {'refnames_all': cells(names)})
    kept = [0, 1, 2, 4, 5, 6, 7, 8, 9]
    return {'quality': [7.0 * i for i in kept], 'quality_realigned': [7.0 * i + 1 for i in kept],
            'reference': [2 - i % 2 for i in kept], 'distortion': [i // 2 + 1 for i in kept]}


def csiq(folder):
    """The table begins below a heading, away from the corner; one name is a number."""
    rows = [
        (1600, 1, 'noise', 1, 0.05, 0.062), ('trolley', 3, 'jpeg 2000', 4, 0.1, 0.7),
        ('trolley', 6, 'contrast', 2, 0.1, 0.3),
    ]
    header = ('image', 'dst_idx', 'dst_type', 'dst_lev', 'dmos_std', 'dmos')
    table = [('CSIQ',), (), (None,), (None, None, None, *header)]
    table += [(None, None, None, *row) for row in rows] + [(None,) * 9]
    folder.mkdir(parents=True)
    spreadsheet(folder / 'csiq.DMOS.xlsx',
                {'all_by_distortion': [('other', 'table')], 'all_by_image': table})
    with zipfile.ZipFile(folder / 'dst_imgs.zip', 'w') as archive:
        for value, name in enumerate(['awgn/1600.AWGN.1.png', 'jpeg2000/trolley.jpeg2000.4.png',
                                      'contrast/trolley.contrast.2.png']):
            archive.writestr(name, picture(value, 'png'))
    with zipfile.ZipFile(folder / 'src_imgs.zip', 'w') as archive:
        for value, name in enumerate(['1600', 'trolley'], start=1):
            archive.writestr(f'src_imgs/{name}.png', picture(200 + value, 'png'))
    return {'quality': [0.062, 0.7, 0.3], 'reference': [1, 2, 2], 'distortion': [1, 3, 6],
            'level': [1, 4, 2]}


def koniq10k(folder):
    """Both resolutions side by side: the builder must take the larger."""
    write(folder, 'koniq10k_scores_and_distributions.csv',
          '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"\n'
          '"10004473376.jpg",0,0,25,73,7,105,3.828571429,0.527278894,77.38\n'
          '"10007357496.jpg",0,3,45,47,1,96,3.479166667,0.580003024,70.28\n')
    for value, name in enumerate(['10004473376.jpg', '10007357496.jpg']):
        write(folder, f'512x384/{name}', picture(200, 'jpeg'))
        write(folder, f'1024x768/{name}', picture(value, 'jpeg'))
    return {'quality': [3.828571429, 3.479166667], 'quality_zscore': [77.38, 70.28]}


def live_in_the_wild(folder):
    """Seven practice images, then two."""
    root = folder / 'ChallengeDB_release'
    names = [f't{i}.bmp' for i in range(1, 8)] + ['3.bmp', '4.JPG']
    for value, name in enumerate(['3.bmp', '4.JPG']):
        write(root, f'Images/{name}', picture(value, 'bmp'))
    (root / 'Data').mkdir()
    scores = np.append(np.full(7, 99.0), [63.96, 35.2])[None]
    images = cells(names).T
    scipy.io.savemat(root / 'Data/AllImages_release.mat', {'AllImages_release': images})
    scipy.io.savemat(root / 'Data/AllMOS_release.mat', {'AllMOS_release': scores})
    scipy.io.savemat(root / 'Data/AllStdDev_release.mat', {'AllStdDev_release': scores / 4})
    return {'quality': [63.96, 35.2], 'deviation': [15.99, 8.8]}


def spaq(folder):
    """Images beside annotations."""
    for value, name in enumerate(['00001.jpg', '00002.jpg']):
        write(folder, f'TestImage/{name}', picture(value, 'jpeg'))
    (folder / 'Annotations').mkdir()
    spreadsheet(folder / 'Annotations/MOS and Image attribute scores.xlsx', {'Sheet1': [
        ('Image name', 'MOS', 'Brightness', 'Colorfulness', 'Contrast', 'Noisiness', 'Sharpness'),
        ('00001.jpg', 28.75, 40.0, 45.0, 43.0, 31.0, 25.0),
        ('00002.jpg', 75.5, 66.0, 70.0, 69.0, 71.0, 80.0)]})
    return {'quality': [28.75, 75.5], 'brightness': [40, 66], 'sharpness': [25, 80]}


def pieapp(folder):
    """Inside its zip; the first table also has the photograph itself."""
    images = {'ref_9': ['distort_9_jpeg_inter_1.png', 'distort_9_sparse_sampling_intra_2.png'],
              'ref_23': ['distort_23_jpeg_inter_4.png']}
    scores = {'ref_9': ['ref_9.png,0', *(f'{name},{value}' for name, value in
                                         zip(images['ref_9'], ('0.75', '3.5'), strict=True))],
              'ref_23': [f'{images["ref_23"][0]},1.25']}
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / 'all_data_PieAPP_dataset_CVPR_2018.zip', 'w') as archive:
        archive.writestr('test_reference_list.txt', 'ref_9.png\r\nref_23.png\r\n')
        value = iter(range(3))
        for stem, names in images.items():
            number = int(stem.removeprefix('ref_'))
            archive.writestr(f'reference_images/test/{stem}.png', picture(200 + number, 'png'))
            for name in names:
                archive.writestr(f'distorted_images/test/{stem}/{name}',
                                 picture(next(value), 'png'))
            lines = ''.join(f'{stem}.png,{line}\n' for line in scores[stem])
            archive.writestr(f'labels/test/{stem}_per_image_score.csv',
                             'ref. image,distorted image A,score for A\n' + lines)
    return {'quality': [0.75, 3.5, 1.25], 'reference': [9, 9, 23], 'distortion': [1, 2, 1]}


WRITERS = {
    'pieapp': pieapp,
    'tid2013': tid2013, 'kadid10k': kadid10k, 'live': live_release_2, 'csiq': csiq,
    'koniq10k': koniq10k, 'live_in_the_wild': live_in_the_wild, 'spaq': spaq,
}


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
