"""Correlations against SciPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vision_jax import evaluators
from vision_jax.core.errors import InputError
from vision_jax.evaluators import correlation, logistic
from vision_jax.ops import ranks


def _pairs(seed=0, n=60, ties=False):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    y = x + generator.normal(size=n)
    return (np.round(x, 1), np.round(y, 1)) if ties else (x, y)


@pytest.mark.parametrize('ties', [False, True])
def test_coefficients_equal_scipy(ties):
    x, y = _pairs(ties=ties)
    assert correlation.srocc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert correlation.krocc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert correlation.plcc(x, y, fit='none') == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
    assert correlation.rmse(x, y, fit='none') == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))


def test_kendall_of_a_case_counted_by_hand():
    # pairs: (1,2) and (1,3) concordant, (2,3) tied in the label: 2 / sqrt(3 * 2)
    assert correlation.krocc([1, 2, 3], [1, 2, 2]) == pytest.approx(2 / np.sqrt(6))


@pytest.mark.parametrize(('curve', 'parameters'), [
    ('logistic4', [80.0, 20.0, 0.3, 0.2]),
    ('logistic5', [50.0, 6.0, 0.4, 8.0, 30.0]),
])
def test_fit_recovers_the_curve_that_made_the_labels(curve, parameters):
    x = np.linspace(-1, 2, 50)
    y = logistic.CURVES[curve][0](x, np.array(parameters))
    fitted, found = logistic.fit_logistic(x, y, curve=curve)
    np.testing.assert_allclose(fitted, y, atol=1e-5)
    np.testing.assert_allclose(np.abs(found), parameters, rtol=1e-3)
    assert correlation.plcc(x, y, fit=curve) == pytest.approx(1, abs=1e-9)
    assert correlation.rmse(x, y, fit=curve) < 1e-5


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e3])
@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('curve', ['logistic4', 'logistic5'])
def test_standard_start_does_not_hang_on_scale_or_sign(curve, scale, sign):
    x, y = _pairs(1)
    expected, _ = logistic.fit_logistic(x, y, curve=curve)
    fitted, parameters = logistic.fit_logistic(sign * scale * x, 50 + 10 * y, curve=curve)
    np.testing.assert_allclose(fitted, 50 + 10 * expected, atol=1e-3)
    np.testing.assert_allclose(
        fitted, logistic.CURVES[curve][0](sign * scale * x, parameters), atol=1e-9)


def test_fit_is_no_worse_than_a_line():
    x, y = _pairs(1)
    assert correlation.plcc(x, y) >= stats.pearsonr(x, y)[0]  # the line is one of the curves


@pytest.mark.parametrize('curve', ['logistic4', 'logistic5'])
def test_published_starts_agree_on_smooth_scores(curve):
    generator = np.random.default_rng(2)
    x = generator.uniform(0, 100, size=80)
    y = 100 / (1 + np.exp(-(x - 45) / 12)) + generator.normal(size=80)
    best, _ = logistic.fit_logistic(x, y, curve=curve)
    assert np.std(best - y) < 1.05
    for name in logistic.STARTS[curve]:
        fitted, _ = logistic.fit_logistic(x, y, curve=curve, start=name)
        np.testing.assert_allclose(fitted, best, atol=0.1, err_msg=name)


@pytest.mark.parametrize('x', [[1.0, 1.0, 1.0], [2.0]])
def test_undefined_coefficients_are_nan(x):
    y = np.arange(len(x), dtype=float)
    for statistic in (correlation.srocc, correlation.krocc, correlation.plcc):
        assert np.isnan(statistic(x, y))
        assert np.isnan(statistic(y, x))


def test_fewer_points_than_parameters_leave_plcc_nan_and_srocc_defined():
    x = np.arange(4.0)
    assert np.isnan(correlation.plcc(x, x, fit='logistic5'))
    assert correlation.srocc(x, x) == pytest.approx(1)


def test_bootstrap_interval_of_a_mean_is_the_normal_one():
    x = np.random.default_rng(3).normal(size=400)
    low, high = correlation.bootstrap_interval(lambda a, b: a.mean(), x, x, samples=2000)
    half = 1.96 * x.std() / 20
    assert low == pytest.approx(x.mean() - half, abs=0.01)
    assert high == pytest.approx(x.mean() + half, abs=0.01)
    assert (low, high) == correlation.bootstrap_interval(
        lambda a, b: a.mean(), x, x, samples=2000)


def test_bootstrap_of_clusters_sees_that_copies_add_nothing():
    x, y = _pairs(4, n=20)
    copies, ids = (np.repeat(x, 10), np.repeat(y, 10)), np.repeat(np.arange(20), 10)
    apart = correlation.bootstrap_interval(correlation.srocc, x, y)
    whole = correlation.bootstrap_interval(correlation.srocc, *copies, cluster=ids)
    np.testing.assert_allclose(whole, apart, atol=1e-6)
    naive = correlation.bootstrap_interval(correlation.srocc, *copies)
    assert naive[1] - naive[0] < 0.6 * (whole[1] - whole[0])


def test_evaluate_leaves_padding_out():
    x, y = _pairs(5)
    padded = {'quality': np.append(x, [np.nan, 9]), 'label/quality': np.append(y, [0, np.nan]),
              'mask': np.append(np.ones(60), [0, 0])}
    got = correlation.evaluate(padded)
    expected = correlation.evaluate({'quality': x, 'label/quality': y})
    assert got == expected
    assert got['examples'] == 60
    assert got['srocc'] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_evaluate_by_group_is_the_mean_of_the_groups():
    x, y = _pairs(6, n=40)
    kind = np.repeat([3, 7], 20)
    result = correlation.evaluate({'quality': x, 'label/quality': y, 'kind': kind}, group='kind')
    by_hand = [stats.spearmanr(x[kind == one], y[kind == one]).statistic for one in (3, 7)]
    assert result['srocc_group_mean'] == pytest.approx(np.mean(by_hand))
    assert result['srocc_group/7'] == pytest.approx(by_hand[1])
    assert result['srocc'] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_episodes_are_groups_and_a_constant_one_is_counted_out():
    x, y = (v.reshape(3, 20) for v in _pairs(7))
    x[2] = 0.5
    result = correlation.evaluate({'quality': x, 'label/quality': y})
    by_hand = [stats.spearmanr(x[i], y[i]).statistic for i in range(2)]
    assert result['srocc_group_mean'] == pytest.approx(np.mean(by_hand))
    assert (result['groups'], result['groups_undefined']) == (3, 1)


def test_intervals_hold_the_figure():
    x, y = _pairs(8)
    pairs = {'quality': x, 'label/quality': y}
    result = correlation.evaluate(pairs, bootstrap=200, fit='logistic4')
    for name in ('srocc', 'krocc', 'plcc', 'rmse'):
        assert result[f'{name}_low'] < result[name] < result[f'{name}_high']


@pytest.mark.parametrize(('outputs', 'options', 'message'), [
    ({'quality': [1.0, np.nan, 2.0]}, {}, 'quality: 1 of 3 values are NaN'),
    ({'label/quality': [1.0, np.inf, 2.0]}, {}, 'label/quality: 1 of 3'),
    ({'label/quality': [1.0, 2.0]}, {}, r'label/quality: expected the shape \(3,\)'),
    ({'mask': [0, 0, 0]}, {}, 'no examples left'),
    ({}, {'group': 'kind'}, "no field 'kind'"),
    ({}, {'fit': 'logistic6'}, "did you mean 'logistic"),
    ({'quality': [[[1.0]]]}, {}, r'expected shape \[n\] or \[t, q\]'),
])
def test_bad_input_is_named(outputs, options, message):
    good = {'quality': [1.0, 2.0, 3.0], 'label/quality': [1.0, 3.0, 2.0]}
    outputs = {name: np.asarray(values) for name, values in {**good, **outputs}.items()}
    with pytest.raises(InputError, match=message):
        correlation.evaluate(outputs, **options)


def test_table_of_evaluators_resolves_and_helps():
    assert all(callable(evaluators.get(name)) for name in evaluators.EVALUATORS)
    with pytest.raises(InputError, match="did you mean 'correlation'"):
        evaluators.get('corelation')


def test_array_spearman_equals_scipy_under_vmap(strict_dtypes):
    x, y = (np.stack(v).astype(np.float32) for v in zip(
        *(_pairs(seed, n=30, ties=True) for seed in range(3)), strict=True))
    got = jax.jit(jax.vmap(ranks.spearman))(jnp.asarray(x), jnp.asarray(y))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(got, expected, atol=2e-6)
    np.testing.assert_allclose(ranks.average_ranks(x), stats.rankdata(x, axis=-1))


def test_array_spearman_leaves_padding_out_and_constants_nan():
    x, y = _pairs(9, n=20, ties=True)
    mask = np.arange(20) < 15
    got = ranks.spearman(jnp.asarray(x), jnp.asarray(y), mask=jnp.asarray(mask, float))
    assert got == pytest.approx(stats.spearmanr(x[:15], y[:15]).statistic, abs=2e-6)
    assert np.isnan(ranks.spearman(jnp.full(7, 0.3), jnp.arange(7.0)))
