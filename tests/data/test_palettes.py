"""Few colours and levels: each against a slow search, a loop, scikit-image or Pillow."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage.filters import threshold_multiotsu
from skimage.metrics import peak_signal_noise_ratio as psnr

from vision_jax.data import distortions as d


def test_otsu_thresholds_are_the_best_of_all():
    rng = np.random.default_rng(0)
    values = rng.choice([10, 40, 60, 110, 180, 200, 250], 300, p=[.1, .2, .1, .2, .1, .2, .1])
    levels = np.unique(values)

    def within(cuts):
        edges = [-1, *cuts, 255]
        classes = [values[(values > a) & (values <= b)] for a, b in itertools.pairwise(edges)]
        return sum(c.size * c.var() for c in classes)

    best = min(within(cuts) for cuts in itertools.combinations(levels[:-1], 3))
    ours = np.round(255 * np.asarray(d.otsu_thresholds(jnp.asarray(values / 255), thresholds=3)))
    np.testing.assert_allclose(within(ours), best, rtol=1e-5)


def test_otsu_thresholds_are_those_of_skimage(tile):
    pixels = np.round(tile * 255).astype(np.uint8)
    ours = np.round(255 * np.asarray(d.otsu_thresholds(tile, thresholds=3)))
    assert np.abs(ours - threshold_multiotsu(pixels.reshape(-1, 3), classes=4)).max() <= 1


def test_level_quantisation_takes_the_upper_threshold(tile):
    thresholds = np.round(255 * np.asarray(d.otsu_thresholds(tile, thresholds=4)))
    values = np.array([0, *thresholds[1:], 255])
    expected = values[np.digitize(np.round(tile * 255), thresholds, right=True)] / 255
    np.testing.assert_allclose(d.level_quantisation(tile, thresholds=4), expected, atol=1e-6)


def slow_wu(pixels: np.ndarray, colours: int) -> list[np.ndarray]:
    """Boxes of 8-bit pixels `[n, 3]`, cut as Wu says, by trying every plane of every axis."""
    def error(box):
        return ((box - box.mean(axis=0)) ** 2).sum()

    boxes, done = [pixels.astype(float)], []
    while boxes and len(boxes) + len(done) < colours:
        worst = boxes.pop(int(np.argmax([error(box) for box in boxes])))
        halves = [(worst[worst[:, axis] // 8 < plane], worst[worst[:, axis] // 8 >= plane])
                  for axis in range(3) for plane in range(1, 32)]
        halves = [(a, b) for a, b in halves if len(a) and len(b)]
        if halves:
            boxes += min(halves, key=lambda pair: error(pair[0]) + error(pair[1]))
        else:
            done.append(worst)
    return boxes + done


@pytest.mark.parametrize('colours', [2, 9])
def test_palette_is_that_of_a_slow_search(tile, colours):
    pixels = np.round(tile * 255).astype(int).reshape(-1, 3)
    expected = np.array([box.mean(axis=0) for box in slow_wu(pixels, colours)])
    ours = 255 * np.asarray(d.minimum_variance_palette(tile, colours=colours))
    np.testing.assert_allclose(ours[np.lexsort(ours.T)], expected[np.lexsort(expected.T)],
                               atol=1e-2)


def test_palette_of_fewer_colours_than_asked_for():
    image = np.zeros((8, 8, 3), np.float32)
    image[:4] = [1.0, 0.2, 0.6]
    palette = np.asarray(d.minimum_variance_palette(image, colours=5))
    assert len(np.unique(palette.round(4), axis=0)) == 2
    np.testing.assert_allclose(d.colour_quantisation(image, colours=5), image, atol=1e-6)


def test_dither_is_floyd_and_steinbergs_loop(tile):
    image = tile[:20, :17]
    palette = np.random.default_rng(1).uniform(size=(6, 3)).astype(np.float32)
    work, expected = image.astype(float), np.zeros(image.shape)
    height, width = image.shape[:2]
    for y, x in itertools.product(range(height), range(width)):
        chosen = palette[((palette - work[y, x]) ** 2).sum(axis=1).argmin()]
        error, expected[y, x] = work[y, x] - chosen, chosen
        for dy, dx, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
            if y + dy < height and 0 <= x + dx < width:
                work[y + dy, x + dx] += error * share / 16
    np.testing.assert_allclose(d.dither(image, jnp.asarray(palette)), expected, atol=1e-6)


def test_colour_quantisation_without_dither_beats_pillows_median_cut(tile):
    pixels = Image.fromarray(np.round(tile * 255).astype(np.uint8))
    cut = pixels.quantize(16, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    ours = d.colour_quantisation(tile, colours=16, dithered=False)
    assert len(np.unique(np.asarray(ours).reshape(-1, 3), axis=0)) <= 16
    cut = (np.asarray(cut.convert('RGB')) / 255).astype(np.float32)
    assert psnr(tile, np.asarray(ours), data_range=1) > psnr(tile, cut, data_range=1)
