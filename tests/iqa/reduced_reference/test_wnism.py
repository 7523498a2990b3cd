"""What is special to WNISM: figures are in `tests/golden`, here its density and its bits."""

import jax
import numpy as np
import pytest
from scipy import optimize, stats

from vision_jax.iqa.reduced_reference import generalized_gaussian as module
from vision_jax.iqa.reduced_reference.wnism import WnismFeatures, quantise

BINS = np.arange(-50, 51)


def _shares(scale: float, shape: float) -> np.ndarray:
    """By SciPy's distribution function, cut to the bins."""
    edges = stats.gennorm.cdf(np.append(BINS - 0.5, 50.5), shape, scale=scale)
    return np.diff(edges) / (edges[-1] - edges[0])


@pytest.fixture
def histogram():
    draws = stats.gennorm.rvs(0.8, scale=1.5, size=20000, random_state=0)
    return np.histogram(np.clip(draws, -50, 50), np.append(BINS - 0.5, 50.5))[0] / draws.size


@pytest.mark.parametrize(('scale', 'shape'), [(0.9, 0.6), (4.0, 1.0), (9.0, 2.0)])
def test_divergence_equals_that_of_the_distribution_function(scale, shape, histogram):
    share, filled = _shares(scale, shape), histogram > 0
    expected = np.sum((share * np.log(share / np.where(filled, histogram, 1)))[filled])
    got = module.mismatch(scale, shape, histogram)
    # a bin is integrated by 30 samples, of a density with a cusp where the exponent is under 1
    assert float(got) == pytest.approx(abs(expected) / share[filled].sum(), rel=1e-2)


def test_fit_equals_a_simplex_search(histogram):
    def value(parameters):
        return float(module.mismatch(*np.exp(parameters), histogram))
    with jax.enable_x64(True):
        found = [float(part) for part in jax.jit(module.fit)(histogram)]
        search = optimize.minimize(value, np.log([2, 0.6]), method='Nelder-Mead',
                                   options={'xatol': 1e-7, 'fatol': 1e-12})
        np.testing.assert_allclose(found, np.exp(search.x), rtol=1e-4)
        assert value(np.log(found)) <= search.fun * (1 + 1e-9)
    np.testing.assert_allclose(found, [1.5, 0.8], rtol=0.1)
    single = jax.jit(module.fit)(histogram.astype(np.float32))
    np.testing.assert_allclose(single, found, rtol=1e-4)


@pytest.mark.parametrize('share', [
    np.where(BINS == 0, 1.0, 0.0), np.full(101, 1 / 101), np.where(np.abs(BINS) == 50, 0.5, 0),
    np.where(BINS == 0, 0.5, np.where(BINS == 7, 0.5, 0))])
def test_histograms_of_no_density_have_a_finite_fit(share):
    found = jax.jit(module.fit)(share.astype(np.float32))
    assert np.isfinite(found).all()
    assert np.isfinite(module.mismatch(*found, share.astype(np.float32)))


def test_quantised_features_take_as_many_values_as_their_bits():
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-6, 1, (400, 6))
    shape, error = rng.uniform(0, 3, scale.shape), rng.uniform(0, 0.1, scale.shape)
    with jax.enable_x64(True):
        rounded = quantise(WnismFeatures(scale, shape, error, np.array([512, 512])))
        rounded, again = (jax.tree.map(np.asarray, part) for part in (rounded, quantise(rounded)))
    for part in range(3):
        np.testing.assert_allclose(rounded[part], again[part], rtol=1e-12)
    for part, step in ((1, 0.00625), (2, 0.00025)):
        codes = (rounded[part] - rounded[part].min()) / step
        np.testing.assert_allclose(codes, np.round(codes), atol=1e-6)
        assert len(np.unique(np.round(codes))) <= 256
    inside = scale[:, :2] >= 1e-6
    np.testing.assert_allclose(rounded.scale[:, :2][inside], scale[:, :2][inside],
                               rtol=9 / 512 + 1e-9)
