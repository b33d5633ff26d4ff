"""Work on several cores: the results are those of one, and of batches that are not summed in parts."""

import joblib
import numpy as np
import pytest
from reference import assert_close
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt import GradientDescentRegressor, _full_batch, _large_batches
from sklearn_sgdopt._full_batch import second_moments
from sklearn_sgdopt._rows import make_rows
from sklearn_sgdopt._threads import ordered_map

ROWS = 203  # not a multiple of the parts
CASES = {
    "gd huber": {"solver": "gd", "loss": "huber", "penalty": "l1", "alpha": 0.01},
    "gd that searches": {"solver": "gd", "loss": "huber", "penalty": "l2"},
    "sgd that searches": {"solver": "sgd", "batch_size": 1000, "loss": "squared_epsilon_insensitive"},
    "gd without intercept": {"solver": "gd", "loss": "quantile", "fit_intercept": False},
    "sgd": {"solver": "sgd", "batch_size": 90, "penalty": "l2"},
    "momentum": {"solver": "momentum", "batch_size": 100, "learning_rate": 1e-3, "shuffle": False},
    "adam": {"solver": "adam", "batch_size": 60, "loss": "huber"},
}


def problem(outputs):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 4)) * [1.0, 10.0, 0.1, 3.0] + [0.0, 50.0, 1.0, -2.0]
    y = X @ rng.standard_normal((4, outputs)) + rng.standard_normal((ROWS, outputs))
    return X, y[:, 0] if outputs == 1 else y, rng.integers(0, 3, ROWS).astype(float)


def learned(model):
    return [model.coef_, model.intercept_, model.loss_curve_, model.t_, model._state.stack]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("case", CASES)
def test_results_do_not_depend_on_the_number_of_threads(case, form, outputs, monkeypatch):
    X, y, weight = problem(outputs)
    found = {}
    for least in (1, 10**9):
        monkeypatch.setattr(_large_batches, "LEAST_VALUES", least)
        monkeypatch.setattr(_large_batches, "GRADIENTS_WEIGH", 0)
        for n_jobs in (None, 2, 3, -1):
            options = {"epochs": 12, "tol": None, "random_state": 0, "n_jobs": n_jobs} | CASES[case]
            model = GradientDescentRegressor(**options).fit(form(X), y, sample_weight=weight)
            found[least, n_jobs] = learned(model.partial_fit(form(X), y))
    for (least, _), values in found.items():
        for value, alone in zip(values, found[least, None], strict=True):
            np.testing.assert_array_equal(value, alone)
    for value, whole in zip(found[1, 2], found[10**9, None], strict=True):
        assert_close(value, whole, 1e-9)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_training_in_parts_stops_where_training_in_one_does(n_jobs, monkeypatch):
    X, y, _ = problem(1)
    for options in ({"learning_rate": 0.3}, {"learning_rate": 40.0}):
        ends = []
        for least in (1, 10**9):
            monkeypatch.setattr(_large_batches, "LEAST_VALUES", least)
            monkeypatch.setattr(_large_batches, "GRADIENTS_WEIGH", 0)
            model = GradientDescentRegressor(
                "gd",
                loss="squared_epsilon_insensitive",
                delta=0.1,
                average=False,
                epochs=3000,
                tol=1e-4,
                n_jobs=n_jobs,
                **options,
            )
            if options["learning_rate"] > 1.0:
                with pytest.warns(ConvergenceWarning, match="diverged"):
                    model.fit(X, y)
            else:
                model.fit(X, y)
            ends.append((model.n_iter_, model.coef_, model.loss_curve_))
        assert ends[0][0] == ends[1][0] < 3000
        assert_close(ends[0][1], ends[1][1], 1e-8)
        assert_close(ends[0][2], ends[1][2], 1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_blocks_are_those_of_all_rows(weighted, monkeypatch):
    X, y, weight = problem(2)
    X += [0.0, 1e6, 0.0, -1e3]
    X[:, 2] = 0.7  # constant: its variance is 0 to the last bit
    weight[:40] = 0.0  # the first blocks have no mass
    rows = make_rows(X, y, weight if weighted else None)
    monkeypatch.setattr(_full_batch, "CENTRED_VALUES", 4 * 17)
    alone = second_moments(rows)
    table = np.cov(np.column_stack([X, y]).T, aweights=weight if weighted else None, ddof=0)
    np.testing.assert_allclose(alone.covariance, table[:4, :4], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(alone.cross, table[4:, :4], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(alone.variance_y, np.diag(table)[4:], rtol=1e-12)
    np.testing.assert_allclose(
        alone.mean_x, np.average(X, axis=0, weights=weight if weighted else None), rtol=1e-14
    )
    assert alone.covariance[2, 2] == 0.0


def test_n_jobs_means_what_it_means_in_scikit_learn():
    with ordered_map(None, most=9) as (threads, _):
        assert threads == 1
    with joblib.parallel_backend("threading", n_jobs=3), ordered_map(None, most=9) as (threads, each):
        assert threads == 3
        assert list(each(lambda i: i * i, range(7))) == [0, 1, 4, 9, 16, 25, 36]


def test_sparse_batches_count_what_they_hold():
    """Not the width: summing sixteen gradients of it would take longer than the batch."""
    X = sparse.csr_array((np.ones(200), (np.arange(200), np.arange(200))), shape=(200, 50_000))
    wide = make_rows(X, np.zeros((200, 1)), None)
    assert not _large_batches.pays_in_parts(wide, 32, (1, 50_001))
    dense = make_rows(np.zeros((20, 40_000)), np.zeros((20, 1)), None)
    assert not _large_batches.pays_in_parts(dense, 20, (1, 40_001))
    long = make_rows(np.zeros((60_000, 20)), np.zeros((60_000, 1)), None)
    assert _large_batches.pays_in_parts(long, 60_000, (1, 21))
