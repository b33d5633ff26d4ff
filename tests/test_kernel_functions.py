"""The functions that the kernels offer besides training, against NumPy."""

import numpy as np
import pytest
from reference import LOSSES, assert_close, loss_and_slope
from scipy import sparse

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._coordinates import Coordinates
from sklearn_sgdopt._losses import LOSSES as RECORDS
from sklearn_sgdopt._samples import make_samples
from sklearn_sgdopt._update_rules import RULES


def long_csr(X):
    """Return CSR samples with indices of 64 bits."""
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


FORMS = {"dense": np.asarray, "csr": sparse.csr_array, "long": long_csr}
NARROW = {
    "dense32": np.float32,
    "csr32": lambda X: sparse.csr_array(X.astype(np.float32)),
    "long32": lambda X: long_csr(X.astype(np.float32)),
}
ALL_FORMS = FORMS | NARROW


def leaf(form, *, weighted, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((61, 7)) + offset) * (rng.random((61, 7)) < 0.7)
    X[:, 2] = 0.0
    if form in NARROW:
        X = X.astype(np.float32).astype(np.float64)
    y, weight = rng.standard_normal((61, 2)), rng.integers(0, 3, 61).astype(float)
    samples = make_samples(ALL_FORMS[form](X), y, weight if weighted else None)
    return X, y, weight if weighted else np.ones(61), samples


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", ALL_FORMS)
def test_losses_and_gradients_of_all_samples(form, loss, weighted):
    X, y, weight, samples = leaf(form, weighted=weighted)
    rng = np.random.default_rng(1)
    center = np.zeros(7) if samples.is_sparse else rng.standard_normal(7).astype(np.float32).astype(float)
    theta = rng.standard_normal((2, 8)).astype(np.float32).astype(np.float64)
    delta, quantile = np.array([0.5, 0.9]), 0.8
    objective = _kernels.Objective(RECORDS[loss].code, delta, quantile, 0.0, 0.0)
    value, slope = loss_and_slope(loss, (X - center) @ theta[:, :-1].T + theta[:, -1] - y, delta, quantile)
    relative = 3e-6 if form in NARROW else 1e-12
    found = _kernels.mean_losses(samples, center, theta, objective)
    assert_close(found, np.average(value, axis=0, weights=weight), relative)
    few = _kernels.sampled_rows(61, 4)
    found = _kernels.mean_losses(samples, center, theta, objective, 4)
    assert_close(found, np.average(value[few], axis=0, weights=weight[few]), relative)
    weighed = slope * (weight / weight.sum())[:, None]
    expected = np.column_stack([weighed.T @ (X - center), weighed.sum(axis=0)])
    if samples.is_sparse or loss != "quantile":
        assert_close(_kernels.whole_gradient(samples, center, theta, objective), expected, relative)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_at_their_corners(loss):
    residuals = np.array([-2.0, -0.5, -0.25, -0.0, 0.0, 0.25, 0.5, 2.0])
    expected, slopes = loss_and_slope(loss, residuals, 0.5, 0.8)
    objective = _kernels.Objective(RECORDS[loss].code, np.array([0.5]), 0.8, 0.0, 0.0)
    for residual, value, slope in zip(residuals, expected, slopes, strict=True):
        one = make_samples(np.zeros((1, 1)), np.array([[-residual]]), None)
        assert _kernels.mean_losses(one, np.zeros(1), np.zeros((1, 2)), objective) == value
        gradient = _kernels.whole_gradient(one, np.zeros(1), np.zeros((1, 2)), objective)
        assert np.array_equal(gradient, [[0.0, slope]])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ALL_FORMS)
def test_moments_and_sizes_of_samples(form, weighted):
    X, _, weight, samples = leaf(form, weighted=weighted)
    mean, variance, mass = _kernels.column_moments(samples)
    assert mass == weight.sum()
    np.testing.assert_allclose(mean, np.average(X, axis=0, weights=weight), rtol=1e-12, atol=1e-15)
    expected = np.average((X - np.average(X, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(variance, expected, rtol=1e-12)
    assert variance[2] == 0.0
    rng = np.random.default_rng(1)
    at = Coordinates(rng.standard_normal(7) * (not samples.is_sparse), rng.uniform(0.0, 2.0, 8))
    for intercept in (0.0, 1.0):
        sizes = 2.0 * (np.sum(((X - at.center) * at.scale[:-1]) ** 2, axis=1) + intercept)
        sizes *= weight / weight.mean()
        found = _kernels.sample_sizes(samples, at.record(), intercept)
        np.testing.assert_allclose(found, (sizes.max(), sizes.mean()), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["dense", "dense32"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_covariances_and_white_sizes(form, weighted, offset):
    X, y, weight, samples = leaf(form, weighted=weighted, offset=offset)
    mean, second, mass = _kernels.second_moments(samples)
    columns = np.column_stack([X, y]).astype(np.longdouble)
    expected = np.average(columns, axis=0, weights=weight)
    gap = columns - expected
    assert_close(mean, expected.astype(float), 1e-14)
    assert_close(second, ((gap * weight[:, None]).T @ gap / weight.sum()).astype(float), 1e-9)
    assert mass == weight.sum()
    assert not second[2].any()  # a constant
    rng = np.random.default_rng(1)
    half = rng.standard_normal((7, 7))
    at = Coordinates(expected[:7].astype(float), np.append(rng.random(7), 1.0), half + half.T, half, half)
    inside = (X - at.center) * at.scale[:-1] @ at.whitening
    sizes = weight / weight.mean() * (np.sum(inside**2, axis=1) + 0.5)
    assert_close(_kernels.white_sizes(samples, at.record(), 0.5), sizes, 1e-12)


def test_covariances_do_not_depend_on_the_place_of_a_column():
    X, y, weight, samples = leaf("dense", weighted=True)
    order = np.array([3, 0, 6, 5, 1, 2, 4])
    _, second, _ = _kernels.second_moments(samples)
    _, moved, _ = _kernels.second_moments(make_samples(np.ascontiguousarray(X[:, order]), y, weight))
    np.testing.assert_array_equal(moved[7:, :7], second[7:, order])


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("run", [1, 7, 8, 50])
@pytest.mark.parametrize("features", [1, 3, 21, 64, 65, 150])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_become_rows_at_their_places(dtype, features, run, past):
    columns = np.random.default_rng(0).standard_normal((features, 450)).astype(dtype)
    addresses = np.array([column.ctypes.data for column in columns])
    places = np.random.default_rng(1).permutation(400 // run) * run
    out = np.full((400, features), np.nan, dtype)
    _kernels.interleave(addresses, 30, places, run, out, past)
    rows = (places[:, None] + np.arange(run)).ravel()
    np.testing.assert_array_equal(out[rows], columns[:, 30 : 30 + len(rows)].T)
    assert np.isnan(np.delete(out, rows, axis=0)).all()


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_bias_correction_is_one_to_rounding_where_it_is_left_out(beta):
    rule = _kernels.Rule(RULES["adam"], 1.0, beta_1=beta, beta_2=0.0, epsilon=1.0)
    for t in (1, 2, 79, 80, 81, 399, 401, 39_999, 40_001):
        theta, first, second = np.zeros(1), np.zeros(1), np.zeros(1)
        _kernels.update_vector(rule, theta, np.ones(1), first, second, t)
        expected = -(1.0 - beta) / (1.0 - beta**t) / np.sqrt(2.0)
        assert theta[0] == pytest.approx(expected, rel=1e-15)


SIZES = [(2, 1), (100, 3), (4099, 3), (4992, 3), (3072, 40), (300, 600), (20_480, 3)]


@pytest.mark.parametrize(("rows", "features"), SIZES)
def test_shuffled_rows_are_a_permutation_that_keeps_locality(rows, features):
    state = np.array([7], np.uint64)
    first, other = (_kernels.shuffled(rows, features, state) for _ in range(2))
    again = _kernels.shuffled(rows, features, np.array([7], np.uint64))
    assert np.array_equal(np.sort(first), np.arange(rows))
    assert np.array_equal(again, first)
    assert rows == 2 or not np.array_equal(other, first)
    size = 16 if features <= 32 else 8
    if rows % size == 0:  # else a window may end between two multiples of its size
        for start in range(0, rows - 2 * 128 * size + 1, 128 * size):
            _, counts = np.unique(first[start : start + 128 * size] // size, return_counts=True)
            assert np.all(counts == size)


def test_shuffling_is_uniform():
    """Of five samples each comes at each place equally often, and each order of three as well."""
    state, times = np.array([0], np.uint64), 12_000
    orders = np.array([_kernels.shuffled(5, 1, state) for _ in range(times)])
    for place in range(5):
        counts = np.bincount(orders[:, place], minlength=5)
        assert np.all(np.abs(counts - times / 5) < 5.0 * np.sqrt(times / 5))
    state = np.array([1], np.uint64)
    threes = np.array([_kernels.shuffled(3, 1, state) for _ in range(times)])
    _, counts = np.unique(threes, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.all(np.abs(counts - times / 6) < 5.0 * np.sqrt(times / 6))


def test_blocks_come_in_uniform_order():
    """Samples of the first window come from everywhere."""
    state, seen = np.array([3], np.uint64), np.zeros(16)
    for _ in range(200):
        seen += np.bincount(_kernels.shuffled(16 * 2048, 3, state)[:2048] // 2048, minlength=16)
    assert np.all(np.abs(seen / seen.sum() - 1 / 16) < 0.01)
