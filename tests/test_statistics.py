"""Statistics of samples against NumPy's, and how they merge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import assert_close
from scipy import sparse

from sklearn_sgdopt import _kernels, _statistics
from sklearn_sgdopt._losses import robust_spread, weighted_quantile
from sklearn_sgdopt._samples import dense_sample, make_samples, sampling_stride, without_weightless
from sklearn_sgdopt._statistics import Moments, SecondMoments

FORMS = {"dense": np.asarray, "csr": sparse.csr_array}


def problem(rows=203, features=4, outputs=2, seed=0):
    """Correlated columns of unlike size; integer weights, the first rows without."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features)) @ rng.standard_normal((features, features))
    X *= np.geomspace(0.1, 10.0, features)
    y = X @ rng.standard_normal((features, outputs)) + rng.standard_normal((rows, outputs))
    weight = rng.integers(0, 3, rows).astype(float)
    weight[: rows // 5] = 0.0
    return X, y, weight


def table(X, y, weight=None):
    """Mean and population covariance of all columns."""
    columns = np.column_stack([X, y])
    mean = np.average(columns, axis=0, weights=weight)
    w = np.ones(len(y)) if weight is None else weight
    return mean, ((columns - mean).T * w) @ (columns - mean) / w.sum()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block", [1, 68, 1 << 15])
def test_covariances_of_blocks_are_those_of_all_samples(block, weighted, dtype, monkeypatch):
    monkeypatch.setattr(_statistics, "BLOCK_VALUES", block)
    X, y, weight = problem()
    X += [0.0, 1e4, 0.0, -1e3]
    X[:, 2] = 0.75  # constant: its variance is 0 to the last bit
    X = X.astype(dtype)
    weight = weight if weighted else None
    moments = Moments.of(make_samples(X, y, weight), full=True)
    mean, covariance = table(X.astype(np.float64), y, weight)
    assert moments.is_full
    assert moments.mass == (203.0 if weight is None else weight.sum())
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.second, covariance, rtol=1e-9, atol=1e-9)
    assert moments.second[2, 2] == 0.0
    assert moments.mean[2] == 0.75
    parts = SecondMoments.of(moments, 4)
    assert_close(parts.covariance, moments.second[:4, :4], 0.0)
    assert_close(parts.cross, moments.second[4:, :4], 0.0)
    assert_close(parts.variance_y, np.diag(moments.second)[4:], 0.0)
    assert_close((*parts.mean_x, *parts.mean_y), moments.mean, 0.0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_variances(form, weighted):
    X, y, weight = problem()
    X *= np.random.default_rng(1).random(X.shape) < 0.5
    weight = weight if weighted else None
    moments = Moments.of(make_samples(FORMS[form](X), y, weight), full=False)
    mean, covariance = table(X, y, weight)
    assert not moments.is_full
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(moments.variance, np.diag(covariance), rtol=1e-12)
    np.testing.assert_allclose(moments.spread(), np.sqrt(np.diag(covariance)), rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 39), full=st.booleans(), weighted=st.booleans())
def test_moments_of_parts_merge_to_those_of_all(seed, cut, full, weighted):
    X, y, weight = problem(40, seed=seed)
    weight[[0, -1]] = 1.0
    parts = [
        Moments.of(make_samples(X[part], y[part], weight[part] if weighted else None), full=full)
        for part in (slice(0, cut), slice(cut, None))
    ]
    mean, covariance = table(X, y, weight if weighted else None)
    for one, two in (parts, parts[::-1]):
        merged = one.merged(two)
        assert merged.mass == (weight.sum() if weighted else 40.0)
        np.testing.assert_allclose(merged.mean, mean, rtol=1e-10, atol=1e-10)
        expected = covariance if full else np.diag(covariance)
        np.testing.assert_allclose(merged.second, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("full", [False, True])
def test_moments_merged_with_themselves_do_not_move(full):
    X, y, weight = problem()
    one = Moments.of(make_samples(X, y, weight / 3.0), full=full)
    many = one
    for times in range(2, 60):
        many = many.merged(one)
        assert np.array_equal(many.mean, one.mean)
        assert np.array_equal(many.second, one.second)
        assert many.mass == pytest.approx(times * one.mass, rel=1e-14)


def test_of_variances_merged_with_covariances_only_variances_are_known():
    X, y, _ = problem()
    known = Moments.of(make_samples(X[:50], y[:50], None), full=True)
    rest = Moments.of(make_samples(sparse.csr_array(X[50:]), y[50:], None), full=False)
    _, covariance = table(X, y)
    for merged in (known.merged(rest), rest.merged(known)):
        np.testing.assert_allclose(merged.variance, np.diag(covariance), rtol=1e-12)


def test_samples_without_weight_weigh_nothing():
    X, y, _ = problem(20)
    for full in (False, True):
        nothing = Moments.of(make_samples(X, y, np.zeros(20)), full=full)
        assert nothing.mass == 0.0
        some = Moments.of(make_samples(X, y, None), full=full)
        assert np.array_equal(some.merged(nothing).second, some.second)
        assert nothing.merged(nothing).mass == 0.0


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("constant", [0.1, 1e6 / 3.0, -1e-200])
def test_a_constant_has_no_spread(constant, full):
    X = np.column_stack([np.full(1000, constant), np.linspace(0.0, 1.0, 1000) * 1e-9 + 1e6 * constant])
    moments = Moments.of(make_samples(X, X[:, 1:].copy(), np.linspace(0.5, 2.0, 1000)), full=full)
    assert moments.spread()[0] == 0.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("rows", "features"), [(1, 3), (200, 3), (7, 3000), (5, 9000)])
def test_moments_of_columns_far_from_zero(rows, features, full, weighted):
    """Blocks may be one row each, the first and the last without weight."""
    if full and features > 1000:
        features //= 30
    rng = np.random.default_rng(0)
    X = 1e6 + rng.normal(size=(rows, features))
    weight = rng.uniform(0.0, 2.0, rows) * (np.arange(rows) % 4 > 0) + (rows == 1) if weighted else None
    moments = Moments.of(make_samples(X, X[:, :1].copy(), weight), full=full)
    mean = np.average(X - 1e6, axis=0, weights=weight)
    assert moments.mass == pytest.approx(rows if weight is None else weight.sum(), rel=1e-14)
    np.testing.assert_allclose(moments.mean[:features] - 1e6, mean, rtol=0.0, atol=1e-9)
    expected = np.average((X - 1e6 - mean) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(moments.variance[:features], expected, rtol=1e-8)


# ------------------------------------------------------------------------------------ samples of samples


@pytest.mark.parametrize(("total", "stride"), [(10, 1), (10, 3), (1000, 7), (24 * 400, 2), (24 * 400, 24)])
def test_a_sample_takes_a_row_of_each_stride_and_keeps_no_step(total, stride):
    sample = _kernels.sampled_rows(total, stride)
    assert np.array_equal(sample // stride, np.arange(-(-total // stride)))
    assert np.array_equal(sample, _kernels.sampled_rows(total, stride))
    if total >= 24 * 400:
        hours = np.bincount(sample % 24, minlength=24) / len(sample)
        assert np.all(np.abs(hours - 1 / 24) < 0.02)  # none of them is missed


@pytest.mark.parametrize("form", FORMS)
def test_dense_samples(form):
    X, y, weight = problem(100)
    samples = make_samples(FORMS[form](X), y, weight)
    for stride in (1, 7):
        rows = _kernels.sampled_rows(100, stride)
        few = dense_sample(samples, stride)
        assert np.array_equal(few.X, X[rows])
        assert np.array_equal(few.y, y[rows])
        assert few.weight is not None
        assert np.array_equal(few.weight, weight[rows])


def test_a_stride_leaves_so_many_samples_and_is_one_where_weights_are_not_fair():
    X, y, _ = problem(100)
    weight = np.ones(100)
    strides = [sampling_stride(make_samples(X, y, weight), least) for least in (7, 50, 51, 1000)]
    assert strides == [14, 2, 1, 1]
    weight[_kernels.sampled_rows(100, 14)] = 1e-3
    assert sampling_stride(make_samples(X, y, weight), 7) == 1


def test_samples_without_weight_are_left_out_where_they_are_the_most():
    X, y, weight = problem(100)
    weight[:50], weight[50:] = 0.0, 1.0
    kept = without_weightless(X, y, weight)
    assert [len(part) for part in kept] == [50] * 3
    assert np.array_equal(kept[0], X[50:])
    weight[0] = 1.0
    assert without_weightless(X, y, weight)[0] is X
    assert without_weightless(X, y, None)[2] is None


@given(seed=st.integers(0, 2**32 - 1), quantile=st.floats(0.01, 0.99))
def test_weights_of_a_quantile_count_samples(seed, quantile):
    rng = np.random.default_rng(seed)
    values, weight = rng.integers(0, 9, (12, 2)).astype(float), rng.integers(0, 4, 12).astype(float)
    weight[3] = 1.0
    repeated = np.sort(np.repeat(values, weight.astype(int), axis=0), axis=0)
    expected = repeated[int(np.ceil(np.round(quantile * weight.sum(), 9))) - 1]
    assert np.array_equal(weighted_quantile(values, weight, quantile), expected)


def test_robust_spreads_are_those_of_a_normal_distribution():
    rng = np.random.default_rng(0)
    y = rng.normal(3.0, 2.0, (20_001, 3))
    y[:3000, 1] = 1e9  # outliers
    y[:12_000, 2] = 3.0  # more than half are equal: 1.2533 times the mean absolute deviation
    deviation = 1.2533 * np.abs(y[:, 2] - 3.0).mean()
    assert robust_spread(y, None) == pytest.approx([2.0, 2.0, deviation], rel=0.3)
    assert robust_spread(y[:, :1], None)[0] == pytest.approx(2.0, rel=0.03)
    assert robust_spread(np.full((5, 1), 7.0), None)[0] == 0.0
