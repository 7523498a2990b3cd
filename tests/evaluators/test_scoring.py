"""Scores of files are those of the functions on the values in them, however they are batched."""

import collections
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image
from skimage import data

from vision_jax import catalog
from vision_jax.core.errors import InputError
from vision_jax.data import pair_reading
from vision_jax.data.pair_files import FilePair
from vision_jax.evaluators import asked_metrics, error_maps, scoring

TOLERANCE = 2e-5  # of float32: other fusions
SIZES = ((48, 64), (64, 48), (48, 64), (48, 64), (33, 40), (48, 64), (48, 64))


@pytest.fixture
def pictures(tmp_path) -> list[FilePair]:
    """Pairs of three sizes, PNG."""
    pairs, random = [], np.random.default_rng(0)
    for index, (height, width) in enumerate(SIZES):
        pixels = data.chelsea()[20 * index:20 * index + height, 90:90 + width]
        noisy = np.clip(pixels + random.normal(0, 4 * index, pixels.shape), 0, 255)
        pairs.append(save_pair(tmp_path, str(index), pixels, noisy.astype(np.uint8)))
    return pairs


def save_pair(folder: pathlib.Path, name: str, *pixels: np.ndarray) -> FilePair:
    paths = [folder / f'{name}_{which}.png' for which in ('reference', 'distorted')]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return FilePair(*paths)


def expected(name: str, pair: FilePair, **options) -> float:
    images = [np.asarray(Image.open(path), np.float32) / 255 for path in pair]
    return float(jax.jit(lambda a, b: catalog.get(name)(a, b, **options))(*images))


def score(pairs, metrics: str, **options) -> list[scoring.Scored]:
    found = list(scoring.score_files(pairs, asked_metrics.parse(metrics), **options))
    return sorted(found, key=lambda scored: (scored.index, scored.frame is None, scored.frame))


def test_scores_are_those_of_the_functions(pictures):
    found = score(pictures, 'psnr,gmsd:colour=bt601')
    assert [scored.index for scored in found] == list(range(len(pictures)))
    for scored, pair in zip(found, pictures, strict=True):
        assert not scored.errors
        assert scored.values['gmsd:colour=bt601'] == pytest.approx(
            expected('gmsd', pair, colour='bt601'), rel=TOLERANCE)
    assert found[0].values['psnr'] == np.inf
    assert found[3].values['psnr'] == pytest.approx(expected('psnr', pictures[3]), rel=TOLERANCE)


def test_batches_do_not_matter_and_each_size_is_compiled_once(pictures, monkeypatch):
    whole = score(pictures, 'gmsd')
    monkeypatch.setattr(scoring, 'LARGEST_BATCH', 2)  # of 5 pairs, the last batch is filled up
    monkeypatch.setattr(scoring, 'BYTES_WAITING', 50_000)  # some batches are not full
    lowered = collections.Counter()
    compiling = scoring._Programs._compile
    monkeypatch.setattr(scoring._Programs, '_compile', lambda self, kind, size: (
        lowered.update([kind]), compiling(self, kind, size))[1])
    parts = score(pictures, 'gmsd')
    np.testing.assert_allclose([scored.values['gmsd'] for scored in parts],
                               [scored.values['gmsd'] for scored in whole], rtol=TOLERANCE)
    assert list(lowered.values()) == [1, 1, 1]


def test_a_pair_that_cannot_be_read_is_named_and_the_rest_scored(pictures):
    pictures[1].distorted.write_bytes(pictures[1].distorted.read_bytes()[:200])
    pictures[2].reference.unlink()
    pictures[4] = FilePair(pictures[4].reference, pictures[5].distorted)
    found = score(pictures, 'psnr')
    errors = {scored.index: scored.errors for scored in found if scored.errors}
    assert set(errors) == {1, 2, 4}
    assert errors[1][0].startswith(f'{pictures[1].distorted}: ')
    assert errors[2] == (f'{pictures[2].reference}: No such file or directory',)
    assert errors[4] == (f'{pictures[4].distorted} has 64x48 pixels, its reference '
                         f'{pictures[4].reference} 40x33',)
    assert all(scored.values for scored in found if not scored.errors)


def test_a_metric_that_does_not_take_the_size_says_so_and_the_others_score(pictures):
    found = score(pictures[:1], 'ms_ssim,psnr')[0]
    assert list(found.values) == ['psnr']
    assert found.errors == (f'{pictures[0].distorted}: ms_ssim: needs sides of at least '
                            f'{catalog.entry("ms_ssim").min_side} pixels, got 48',)


def test_grey_is_repeated_where_a_metric_or_the_other_picture_needs_colour(tmp_path):
    colour = data.chelsea()[100:148, 90:154]
    grey, noisy = colour[..., 1], np.roll(colour[..., 1], 1, axis=0)
    repeated = [np.repeat(x[..., None], 3, -1) for x in (grey, noisy)]
    pairs = [save_pair(tmp_path, 'grey', grey, noisy), save_pair(tmp_path, 'both', colour, noisy),
             save_pair(tmp_path, 'colour', *repeated)]
    notes = []
    found = score(pairs, 'vsi,psnr', note=notes.append)
    assert found[0].values['vsi'] == pytest.approx(found[2].values['vsi'], rel=TOLERANCE)
    mse = ((colour / 255 - repeated[1] / 255) ** 2).mean()
    assert found[1].values['psnr'] == pytest.approx(-10 * np.log10(mse), rel=TOLERANCE)
    assert notes == ['1 pairs are of a grey and a colour picture: the grey one was repeated to RGB']


def test_16_bits_count(tmp_path):
    low = np.random.default_rng(0).integers(0, 65536, (48, 64)).astype(np.uint16) & 0xFF00
    pair = save_pair(tmp_path, 'deep', low, low | 1)  # equal in their upper bytes
    (found,) = score([pair], 'psnr', precision='float64')
    assert found.values['psnr'] == pytest.approx(20 * np.log10(65535), rel=1e-9)


def test_maps_are_zero_where_the_pictures_are_equal(tmp_path):
    pixels = data.chelsea()[100:148, 90:154]
    changed = pixels.copy()
    changed[:8, :8] = 255 - changed[:8, :8]
    pair = save_pair(tmp_path, 'x', pixels, changed)
    (found,) = score([pair], 'mse,gmsd,psnr', maps=True)
    assert set(found.maps) == {'mse', 'gmsd'}
    for errors in found.maps.values():
        rows, columns = np.nonzero(errors > 1e-6)
        assert 0 < rows.max() <= errors.shape[0] // 4
        assert 0 < columns.max() <= errors.shape[1] // 4
    np.testing.assert_allclose(
        found.maps['mse'], ((pixels / 255.0 - changed / 255.0) ** 2).mean(-1), atol=1e-6)


def test_reading_ahead_is_bounded(pictures, monkeypatch):
    started = []
    reading = pair_reading._read
    monkeypatch.setattr(pair_reading, '_read', lambda index, *rest: (
        started.append(index), reading(index, *rest))[1])
    size = pair_reading._decoded_bytes(pictures[0], 2 ** 27)
    assert 2 * 48 * 64 * 3 <= size <= 8 * 48 * 64 * 3
    reader = pair_reading.read_pairs(pictures * 10, bytes_ahead=3 * size)
    next(reader)
    reader.close()
    assert len(started) <= 5


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'no metrics'),
    ('ssm', "no metric 'ssm'; did you mean 'ssim'"),
    ('resnet', "no metric 'resnet'"),
    ('ssim:downsampl=auto', "ssim: no option 'downsampl'; did you mean 'downsample'"),
    ('ssim:downsample', 'ssim: downsample without a value'),
    ('ssim:downsample=ato', "ssim:downsample=ato: downsample: unknown name 'ato'; did you mean"),
    ('ssim:k1=a', "ssim:k1='a': expected a number"),
    ('ssim:data_range=255', "ssim: no option 'data_range'"),
])
def test_a_wrong_metric_is_answered_before_any_work(text, message):
    with pytest.raises(InputError, match='^' + message):
        asked_metrics.parse(text)


def test_options_reach_the_function(pictures):
    (found,) = score(pictures[3:4], 'ssim,ssim:k1=0.5:window=uniform:window_size=7')
    plain, other = found.values.values()
    assert plain == pytest.approx(expected('ssim', pictures[3]), rel=TOLERANCE)
    assert other == pytest.approx(
        expected('ssim', pictures[3], k1=0.5, window='uniform', window_size=7), rel=TOLERANCE)


def test_colours_grow_lighter_with_the_error():
    shown = error_maps.colours(np.linspace(0, 2, 50)[None], white=1.0)[0].astype(float)
    light = shown @ [0.299, 0.587, 0.114]
    assert tuple(shown[0]) == (0, 0, 0)
    assert (np.diff(light[:25]) > 0).all()
    assert (light[25:] == light[-1]).all()
    assert not error_maps.colours(np.zeros((2, 2)), white=0.0).any()
