"""Tests of differences between metrics: figures of R, rates of rejection, closed forms."""

import csv
import pathlib

import numpy as np
import pytest

from vision_jax.core.errors import InputError
from vision_jax.evaluators import correlation, logistic, significance

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden' / 'significance.csv'


def _rows():
    with GOLDEN.open(newline='') as file:
        return list(csv.DictReader(file))


def _arguments(text):
    """Numbers one by one, or two columns parted by a slash."""
    if '/' in text:
        return [np.array(part.split(), float) for part in text.split('/')]
    return [int(word) if word.isdigit() else float(word) for word in text.split()]


@pytest.mark.parametrize('row', _rows(), ids=lambda row: f'{row["name"]}-{row["quantity"]}')
def test_figures_of_r(row):
    found = getattr(significance, row['name'])(*_arguments(row['input']))
    # R's p of a large z is that of a rounded 1 - p
    assert getattr(found, row['quantity']) == pytest.approx(
        float(row['value']), rel=float(row['tolerance']), abs=1e-15)


def _metrics(seed, n, *, noise=(1.0, 1.0)):
    """A label and two metrics with noise, part of which they share."""
    generator = np.random.default_rng(seed)
    label, shared = generator.normal(size=(2, n))
    return label, [label + spread * (0.6 * shared + 0.8 * generator.normal(size=n))
                   for spread in noise]


def _p_values(label, first, second):
    residuals = [column - np.polyval(np.polyfit(label, column, 1), label)
                 for column in (first, second)]
    r = [np.corrcoef(pair)[0, 1] for pair in ((first, label), (second, label), (first, second))]
    return {'williams': significance.williams(*r, label.size).p_value,
            'steiger': significance.steiger(*r, label.size).p_value,
            'pitman_morgan': significance.pitman_morgan(*residuals).p_value}


@pytest.mark.parametrize(('noise', 'low', 'high'), [((1.0, 1.0), 0.03, 0.07), ((1.0, 3.0), 0.9, 1)])
def test_equal_metrics_are_told_apart_in_5_percent_and_unequal_ones_nearly_always(noise, low, high):
    found = [_p_values(label, *metrics) for label, metrics in (
        _metrics(seed, 60, noise=noise) for seed in range(1500))]
    for name in found[0]:
        assert low <= np.mean([row[name] < 0.05 for row in found]) <= high, name


def test_two_equal_correlations_do_not_differ():
    for test in (significance.williams(0.8, 0.8, 0.5, 50), significance.steiger(1, 1, 1, 50),
                 significance.fisher(0.3, 20, 0.3, 90)):
        assert test.statistic == 0
        assert test.p_value == 1


def test_swapping_turns_the_sign_and_keeps_the_p_value():
    one, two = significance.steiger(0.9, 0.8, 0.7, 99), significance.steiger(0.8, 0.9, 0.7, 99)
    assert (one.statistic, one.p_value) == pytest.approx((-two.statistic, two.p_value))
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=30), 2 * generator.normal(size=40)
    one, two = significance.variance_ratio(a, b), significance.variance_ratio(b, a)
    assert (one.statistic, one.p_value) == pytest.approx((1 / two.statistic, two.p_value))
    assert one.freedom == (29, 39)
    assert significance.variance_ratio(a, b, parameters=5).freedom == (25, 35)


def test_compare_finds_the_better_metric():
    label, (first, second) = _metrics(1, 300, noise=(0.5, 1.0))
    (pair, found), = significance.compare({'a': first, 'b': second}, label).items()
    assert pair == ('a', 'b')
    assert found.srocc == pytest.approx(correlation.srocc(first, label)
                                        - correlation.srocc(second, label))
    assert found.plcc == pytest.approx(correlation.plcc(first, label)
                                       - correlation.plcc(second, label))
    assert found.f == pytest.approx((correlation.rmse(second, label)
                                     / correlation.rmse(first, label)) ** 2, rel=1e-6)
    assert found.normal
    assert max(found.srocc_p, found.plcc_p, found.f_p, found.paired_p) < 1e-4


def test_kurtosis_guards_the_f_test():
    generator = np.random.default_rng(2)
    assert significance.kurtosis(generator.normal(size=20000)) == pytest.approx(3, abs=0.15)
    label, (first, second) = _metrics(3, 200)
    wild = label + 5 * (generator.random(200) < 0.03)
    predictions = {'a': first, 'b': second}
    assert significance.compare(predictions, label)[('a', 'b')].normal
    assert not significance.compare(predictions, wild)[('a', 'b')].normal


def test_a_constant_metric_leaves_the_comparison_undefined():
    label, (first, _) = _metrics(4, 40)
    found = significance.compare({'a': first, 'b': np.ones(40)}, label)[('a', 'b')]
    assert np.isnan([found.srocc_p, found.plcc_p, found.f_p, found.paired_p]).all()


def test_outliers_are_over_twice_the_deviation_or_the_error():
    label, error = np.arange(8.0), np.array([0, 1.9, 2.1, 0.5, 0, 0, 0.9, 1.1])
    options = {'deviation': np.ones(8), 'fit': 'none'}
    assert correlation.outlier_ratio(label + error, label, **options) == 1 / 8
    assert correlation.outlier_ratio(label + error, label, count=np.full(8, 4), **options) == 3 / 8
    curve = 20 * logistic.logistic4(np.linspace(-3, 3, 40), np.array([4.0, 1.0, 0.0, 0.7]))
    curve[5] += 9
    assert correlation.outlier_ratio(np.linspace(-3, 3, 40), curve, np.ones(40)) >= 1 / 40


@pytest.mark.parametrize(('call', 'message'), [
    (lambda: significance.williams(0.5, 0.4, 0.3, 3), 'n: expected at least 4 images, got 3'),
    (lambda: significance.williams(0.9, -0.9, 0.9, 30), 'no correlations of three columns'),
    (lambda: significance.steiger(1.0, 0.9, 0.9, 30), r'first: expected a correlation in \(-1, 1'),
    (lambda: significance.fisher(0.5, 3, 0.4, 9), 'at least 4 images'),
    (lambda: significance.variance_ratio([1.0], [2.0, 3.0]), r'first: .* at least 2, got shape'),
    (lambda: significance.variance_ratio([1.0, 1.0], [2.0, 3.0]), 'no variance'),
    (lambda: significance.pitman_morgan([1.0, 2, 3], [1.0, 2, 3, 4]), 'one length, got 3 and 4'),
    (lambda: correlation.outlier_ratio([1, 2], [1, 2], [1.0, -1.0]), r'deviation: expected \[2\]'),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
