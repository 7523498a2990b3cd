"""Sources: what they hold, how they are divided, and what is said about bad input."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from vision_jax import data
from vision_jax.core.errors import InputError
from vision_jax.data import quality, sources, transforms

GENERATOR = np.random.default_rng(0)


def write_images(folder, count, *, size=(12, 10)):
    """PNG files `0.png` ... of random pixels; returns the pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = GENERATOR.integers(0, 256, (count, *size, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f'{number}.png')
    return pixels


@pytest.fixture
def folder(tmp_path):
    """Six images of three references, with a table."""
    pixels = write_images(tmp_path / 'photos', 6)
    lines = [f'{i}.png,{i / 2},{i // 2},{i % 2}' for i in range(6)]
    (tmp_path / 'labels.csv').write_text('\n'.join(['path,quality,reference,distortion', *lines]))
    return tmp_path, pixels


def test_folder_reads_pixels_and_columns(folder):
    path, pixels = folder
    source = sources.FolderSource(path / 'photos', path / 'labels.csv')
    assert len(source) == 6
    np.testing.assert_array_equal(source[4]['image'], pixels[4])
    np.testing.assert_array_equal(source.column('quality'), np.arange(6, dtype=np.float32) / 2)
    assert source.column('reference').dtype == np.int32
    assert source[5]['path'] == '5.png'
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[1]['image'], pixels[1])


def test_load_folder_splits_by_reference(folder):
    path, _ = folder
    config = {'name': 'folder', 'folder': str(path / 'photos'), 'table': str(path / 'labels.csv'),
              'train_fraction': 0.67}
    parts = [data.load(config, split).column('reference') for split in ('train', 'test')]
    assert not set(parts[0]) & set(parts[1])
    assert sorted(np.concatenate(parts)) == [0, 0, 1, 1, 2, 2]
    other = data.load({**config, 'split_seed': 3}, 'test').column('reference')
    assert len(other) == 2


def test_a_split_column_in_the_table_decides(folder):
    path, _ = folder
    (path / 'photos' / 'labels.csv').write_text(
        'path,quality,split\n0.png,1,train\n1.png,2,test\n2.png,3,train\n')
    config = {'name': 'folder', 'folder': str(path / 'photos')}
    assert data.load(config, 'train').column('quality').tolist() == [1, 3]
    assert data.load(config, 'test').column('path').tolist() == ['1.png']
    assert len(data.load(config, 'all')) == 3


def test_where_keeps_the_named_values(folder):
    path, _ = folder
    config = {'name': 'folder', 'folder': str(path / 'photos'), 'table': str(path / 'labels.csv'),
              'distortions': (1,)}
    assert data.load(config, 'all').column('path').tolist() == ['1.png', '3.png', '5.png']


@pytest.mark.parametrize(
    ('table', 'message'),
    [
        ('path,quality\n0.png,1\n1.png,nan\n', r'row 2 \(1.png\): the label is nan'),
        ('path,quality\n0.png,good\n', "column 'quality' holds text"),
        ('path,score\n0.png,1\n', "no column 'quality'"),
        ('file,quality\n0.png,1\n', 'no column path, got file, quality'),
        ('path,quality\nabsent.png,1\n', r'no images found in .*photos \(1 rows'),
        ('path,quality\n', 'no images found in .*photos'),
        ('path,quality\n0.png\n', 'line 2: expected as many fields'),
    ],
)
def test_a_bad_table_is_one_clear_line(folder, table, message):
    path, _ = folder
    (path / 'photos' / 'labels.csv').write_text(table)
    with pytest.raises(InputError, match=message) as error:
        data.load({'name': 'folder', 'folder': str(path / 'photos')}, 'all')
    assert '\n' not in str(error.value)


def test_a_missing_table_and_wrong_names_are_said(tmp_path):
    with pytest.raises(InputError, match='no table .*labels.csv'):
        data.load({'name': 'folder', 'folder': str(tmp_path)}, 'all')
    with pytest.raises(InputError, match="no data set 'kadid'; did you mean 'kadid10k'"):
        data.load({'name': 'kadid'}, 'all')


def test_wrong_split_and_empty_split(folder):
    path, _ = folder
    config = {'name': 'folder', 'folder': str(path / 'photos'), 'table': str(path / 'labels.csv')}
    with pytest.raises(InputError, match="no split 'tests'; did you mean 'test'"):
        data.load(config, 'tests')
    with pytest.raises(InputError, match="no images found in split 'test'"):
        data.load({**config, 'train_fraction': 1.0}, 'test')


def test_corrupt_and_absent_files_are_named(folder):
    path, _ = folder
    whole = (path / 'photos' / '2.png').read_bytes()
    (path / 'photos' / '1.png').write_bytes(b'no image')
    (path / 'photos' / '2.png').write_bytes(whole[:-200])
    (path / 'photos' / '3.png').unlink()
    source = sources.FolderSource(path / 'photos', path / 'labels.csv')
    for number, reason in ((1, 'not an image'), (2, ''), (3, 'No such file')):
        with pytest.raises(transforms.CorruptImageError, match=f'{number}.png: {reason}'):
            source[number]


def test_concatenation_renumbers_photographs_and_distortions():
    def part(first, count, **more):
        fields = {'image': np.full((count, 2, 2, 3), first, np.uint8),
                  'quality': np.arange(count, dtype=np.float32) + first,
                  'reference': np.arange(count, dtype=np.int32) // 2,
                  'distortion': np.arange(count, dtype=np.int32) % 2 + 1}
        return sources.ArraySource({**fields, **more})

    both = sources.ConcatSource([part(0, 4), part(10, 6, level=np.zeros(6, np.int32))])
    assert both.columns == ('quality', 'reference', 'distortion')
    assert both.column('reference').tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert set(both.column('distortion')[:4]) & set(both.column('distortion')[4:]) == set()
    for index in (0, 3, 4, 9):
        assert both[index]['quality'] == both.column('quality')[index]
        assert both[index]['image'].max() == (0 if index < 4 else 10)


def test_array_source_wants_one_length():
    with pytest.raises(InputError, match='expected one length'):
        sources.ArraySource({'image': np.zeros((2, 4, 4, 3), np.uint8), 'quality': np.zeros(3)})


def test_label_scales_against_their_definitions():
    labels = quality.LABELS
    mos = np.array([0.0, 4.5, 9.0], np.float32)
    np.testing.assert_allclose(
        quality.scale_label(mos, labels['tid2013']['quality'], 'unit'), [0, 0.5, 1])
    np.testing.assert_allclose(
        quality.scale_label(np.array([0.0, 25, 100]), labels['live']['quality'], 'unit'),
        [1, 0.75, 0])
    # The first rows of the label files in MetaIQA's code: 5.51429 in TID2013, 32.561 in the Wild.
    metaiqa = quality.scale_label(np.array([5.51429]), labels['tid2013']['quality'], 'metaiqa')
    np.testing.assert_allclose(metaiqa, 0.612698889, rtol=1e-6)
    wild = quality.scale_label(np.array([32.561]), labels['live_in_the_wild']['quality'], 'metaiqa')
    np.testing.assert_allclose(wild, 0.32561, rtol=1e-6)
    kadid = quality.scale_label(np.array([4.57]), labels['kadid10k']['quality'], 'metaiqa')
    np.testing.assert_allclose(kadid, 0.814, rtol=1e-6)
    with pytest.raises(InputError, match='tid2013, kadid10k and live_in_the_wild only'):
        quality.scale_label(mos, labels['csiq']['quality'], 'metaiqa')
    with pytest.raises(InputError, match="no label scale 'units'; did you mean 'unit'"):
        quality.scale_label(mos, labels['csiq']['quality'], 'units')


def test_transforms_against_plain_slices_and_pillow():
    image = GENERATOR.integers(0, 256, (30, 47, 3), np.uint8)
    resized = transforms.resize_shorter_side(image, 20)
    assert resized.shape == (20, 31, 3)  # 47 * 20 / 30 = 31.3, truncated
    expected = Image.fromarray(image).resize((31, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resized, np.asarray(expected))
    np.testing.assert_array_equal(transforms.central_crop(image, 10), image[10:20, 18:28])
    unit = transforms.to_unit_float(image)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, image / 255.0, rtol=1e-6)


def test_random_crops_reach_every_place_and_flips_mirror():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    seeded = [np.random.default_rng(seed) for seed in range(60)]
    crops = {transforms.random_crop(generator, image, 3).tobytes() for generator in seeded}
    assert crops == {image[t:t + 3, x:x + 3].tobytes() for t in range(2) for x in range(3)}
    flips = [transforms.random_flip(np.random.default_rng(s), image) for s in range(60)]
    mirrored = [np.array_equal(flip, image[:, ::-1]) for flip in flips]
    assert all(m or np.array_equal(f, image) for m, f in zip(mirrored, flips, strict=True))
    assert 15 < sum(mirrored) < 45


def test_a_crop_that_does_not_fit_says_so():
    with pytest.raises(InputError, match='data.crop=9 does not fit an image of 8x12'):
        transforms.central_crop(np.zeros((8, 12, 3), np.uint8), 9)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', '1', 'I;16'])
def test_every_mode_decodes_to_8_bit_rgb(mode):
    white = Image.new('RGB', (6, 5), (255, 255, 255))
    half = np.full((5, 6), 128 * 257, np.uint16)
    stored = Image.fromarray(half) if mode == 'I;16' else white.convert(mode)
    file = io.BytesIO()
    stored.save(file, 'PNG')
    decoded = transforms.decode(file.getvalue(), path='x.png')
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, np.full((5, 6, 3), 128 if mode == 'I;16' else 255))
