"""Sparse X: the same numbers as dense, whatever the format, at a cost in memory of a few vectors."""

import functools
import tracemalloc

import numpy as np
import pytest
from cases import rules_at
from reference import LOSSES, assert_close
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor

RULES = rules_at(0.003, gd=0.05, sgd=0.02, adam=0.02)
PENALTIES = {
    "none": {},
    "l2": {"penalty": "l2", "alpha": 0.2},
    "l1": {"penalty": "l1", "alpha": 0.1},
    "elasticnet": {"penalty": "elasticnet", "alpha": 0.2, "l1_ratio": 0.5},
}


def make_rows(rows=90, features=12, outputs=1, seed=0):
    """Three quarters zeros; one column, and every tenth row, hold nothing else."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)) * (rng.random((rows, features)) < 0.25)
    X[:, 5] = 0.0
    X[::10] = 0.0
    y = X @ rng.normal(size=(features, outputs)) + 0.3 * rng.normal(size=(rows, outputs)) + 1.0
    return X, y[:, 0] if outputs == 1 else y, rng.uniform(0.2, 2.0, rows)


def fit(X, y, rule, weight=None, **options):
    options = {"standardize": False, "epochs": 8, "tol": None, "random_state": 1, "batch_size": 7} | options
    return GradientDescentRegressor(**RULES[rule] | options).fit(X, y, sample_weight=weight)


def assert_same_model(actual, expected, relative=1e-10):
    assert actual.t_ == expected.t_
    for name in ("coef_", "intercept_", "loss_curve_"):
        assert_close(getattr(actual, name), getattr(expected, name), relative)
    assert np.array_equal(np.asarray(actual.coef_) == 0.0, np.asarray(expected.coef_) == 0.0)


@pytest.mark.parametrize("batch_size", [1, 7, 90])
@pytest.mark.parametrize("average", [False, True], ids=["iterate", "average"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("rule", RULES)
def test_sparse_rows_are_the_same_numbers(rule, penalty, average, batch_size):
    for weighted, fit_intercept, outputs in [
        (False, True, 1),
        (True, False, 1),
        (True, True, 2),
        (False, False, 2),
    ]:
        X, y, weight = make_rows(outputs=outputs)
        options = PENALTIES[penalty] | {
            "average": average,
            "batch_size": batch_size,
            "fit_intercept": fit_intercept,
        }
        options["epochs"] = 100 if batch_size == 90 else 8
        dense = fit(X, y, rule, weight if weighted else None, **options)
        assert_same_model(fit(sparse.csr_array(X), y, rule, weight if weighted else None, **options), dense)
        assert dense.loss_curve_[-1] < dense.loss_curve_[0]


@pytest.mark.parametrize("schedule", ["constant", "invscaling", "cosine", "adaptive"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES)
def test_losses_and_schedules(rule, loss, schedule):
    X, y, weight = make_rows(seed=1)
    options = LOSSES[loss] | {
        "loss": loss,
        "penalty": "l2",
        "alpha": 0.1,
        "schedule": schedule,
        "average": True,
    }
    dense = fit(X, y, rule, weight, **options)
    assert_same_model(fit(sparse.csr_matrix(X), y, rule, weight, **options), dense)


@pytest.mark.parametrize("penalty", ["none", "l2", "elasticnet"])
@pytest.mark.parametrize("rule", RULES)
def test_many_updates_under_a_strong_penalty(rule, penalty):
    """Scalars that stand for all coefficients shrink by thousands of factors, and must not underflow."""
    X, y, _ = make_rows(seed=2)
    options = PENALTIES[penalty] | {"average": True, "batch_size": 1, "epochs": 200}
    if penalty != "none":
        options["alpha"] = 2.0
    assert_same_model(fit(sparse.csr_array(X), y, rule, **options), fit(X, y, rule, **options), 1e-8)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("average", [False, True], ids=["iterate", "average"])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_rare_features_are_shrunk_as_if_each_update_met_them(penalty, average, standardize):
    """Many shrink to zero between two rows that have them; all are brought up to date after 1100 updates."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1300, 1100)) * (rng.random((1300, 1100)) < 2e-3)
    y = X @ rng.normal(size=1100) + 0.1 * rng.normal(size=1300)
    options = PENALTIES[penalty] | {"average": average, "standardize": standardize, "epochs": 2}
    # Without an intercept dense rows are not centred either.
    options |= {"alpha": 1e-3, "batch_size": 1, "fit_intercept": False, "learning_rate": 0.1}
    if standardize:
        options |= {"alpha": 0.02, "learning_rate": 2e-4}
    dense = fit(X, y, "sgd", **options)
    assert_same_model(fit(sparse.csr_array(X), y, "sgd", **options), dense)
    left = np.count_nonzero(dense.coef_)
    assert 50 < left < (1101 if average else 1050)  # averages are exactly zero later than iterates


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "quantile"},
        {"loss": "epsilon_insensitive"},
        {"loss": "squared_error", "early_stopping": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("alpha", [0.03, 0.3, 3.0])
def test_averages_of_what_an_l1_penalty_holds_at_zero_are_zero(options, alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 80)) * (rng.random((400, 80)) < 0.05)
    y = 3.0 * X[:, :5].sum(axis=1) + 0.1 * rng.normal(size=400)
    options = options | {"penalty": "l1", "alpha": alpha, "learning_rate": "auto", "batch_size": 32}
    dense = fit(X, y, "sgd", **options)
    assert_same_model(fit(sparse.csr_array(X), y, "sgd", **options), dense, 1e-9)
    assert np.count_nonzero(dense.coef_ == 0.0) >= {0.03: 0, 0.3: 1, 3.0: 40}[alpha]


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("average", [False, True], ids=["iterate", "average"])
def test_a_rate_at_which_the_l2_penalty_overshoots(average, batch_size):
    """What the l1 penalty holds at zero stays there, though each update multiplies coefficients by -1.5."""
    X, y, _ = make_rows(rows=400)
    options = {"penalty": "elasticnet", "alpha": 50.0, "l1_ratio": 0.5, "learning_rate": 0.1}
    options |= {"average": average, "batch_size": batch_size}
    dense = fit(X, y, "sgd", **options)
    assert_same_model(fit(sparse.csr_array(X), y, "sgd", **options), dense)
    assert np.all(dense.coef_ == 0.0)


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_streams(rule):
    X, y, weight = make_rows(seed=3, outputs=2)
    models = []
    for rows in (X, sparse.csr_array(X)):
        model = fit(rows[:30], y[:30], rule, weight[:30], average=True, penalty="l2", alpha=0.1)
        for part in (slice(30, 31), slice(31, 90), slice(0, 90)):
            model.partial_fit(rows[part], y[part], sample_weight=weight[part])
        models.append(model)
    assert_same_model(models[1], models[0])
    assert_close(models[1].predict(sparse.csr_matrix(X)), models[0].predict(X), 1e-10)


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("rule", RULES)
def test_standardize_is_a_scaler_that_does_not_centre(rule, penalty, weighted):
    X, y, weight = make_rows(seed=4)
    X = X * np.geomspace(1e-3, 1e3, 12)
    weight = weight if weighted else None
    scaler = StandardScaler(with_mean=False)
    scaled = scaler.fit_transform(sparse.csr_array(X), sample_weight=weight)
    # An intercept that starts at the mean of y cannot be told to the pipeline: start both at 0.
    options = (
        PENALTIES[penalty] | {"epochs": 5, "epsilon": 1e-2, "tol": None, "random_state": 0} | RULES[rule]
    )
    model = GradientDescentRegressor(**options)
    plain = GradientDescentRegressor(**options, standardize=False)
    start = {"coef_init": np.zeros(12), "intercept_init": 0.0, "sample_weight": weight}
    model.fit(sparse.csr_array(X), y, **start)
    plain.fit(scaled, y, **start)
    assert_close(model.coef_ * scaler.scale_, plain.coef_, 1e-9)
    assert_close(model.predict(sparse.csr_array(X)), plain.predict(scaled), 1e-9)
    assert model.coef_[5] == 0.0  # nothing but zeros


@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_defaults_find_least_squares(solver):
    rng = np.random.default_rng(5)
    X = rng.random((3000, 30)) * (rng.random((3000, 30)) < 0.1) * np.geomspace(1e-4, 1e4, 30)
    X = sparse.csr_array(X)
    clean = X @ (1 / np.geomspace(1e-4, 1e4, 30) * rng.normal(size=30)) + 3.0
    y = clean + 0.1 * rng.normal(size=3000)
    model = GradientDescentRegressor(solver, random_state=0).fit(X, y)
    dense = np.column_stack([X.toarray() / np.geomspace(1e-4, 1e4, 30), np.ones(3000)])
    best = dense @ np.linalg.lstsq(dense, y, rcond=None)[0]
    assert np.sqrt(np.mean((model.predict(X) - y) ** 2)) <= 1.003 * np.sqrt(np.mean((best - y) ** 2))


# ----------------------------------------------------------------------------------------------- formats


def with_wide_indices(X):
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def with_duplicates(X):
    """Each value stored as two halves, in reverse order of columns, and zeros stored as well."""
    rows, columns = np.nonzero(np.ones_like(X))
    order = np.lexsort((-np.repeat(columns, 2), np.repeat(rows, 2)))
    halves, columns = np.repeat(X.ravel() / 2, 2)[order], np.repeat(columns, 2)[order]
    return sparse.csr_array((halves, columns, np.arange(0, 2 * X.size + 1, 2 * X.shape[1])), shape=X.shape)


def read_only(X):
    X = sparse.csr_array(X)
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    return X


FORMS = {
    "csr_matrix": sparse.csr_matrix, "csr_array": sparse.csr_array, "csc_matrix": sparse.csc_matrix,
    "csc_array": sparse.csc_array, "coo_matrix": sparse.coo_matrix, "coo_array": sparse.coo_array,
    "lil": sparse.lil_array, "dok": sparse.dok_array, "bsr": sparse.bsr_array, "int64": with_wide_indices,
    "duplicates": with_duplicates,  "read-only": read_only,
    "integers": lambda X: sparse.csr_array(X.astype(np.int32)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "dtype"),
    [*((form, np.float64) for form in FORMS), ("csr_array", np.float32), ("int64", np.float32)],
)
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_formats(rule, form, dtype):
    X, y, weight = make_rows(seed=6)
    X = np.round(4 * X).astype(dtype)
    given = FORMS[form](X)
    before = [array.copy() for array in (given.data, given.indices)] if given.format == "csr" else []
    options = {"learning_rate": 1e-3, "average": True, "penalty": "l2", "alpha": 0.1}
    model = fit(given, y, rule, weight, **options)
    expected = np.float64 if form == "integers" else dtype
    assert model.coef_.dtype == expected
    assert_same_model(
        model, fit(X.astype(expected), y, rule, weight, **options), 1e-10 if expected == np.float64 else 1e-6
    )
    predicted = model.predict(given)
    assert predicted.shape == (90,)
    assert predicted.dtype == expected
    for array, copy in zip((given.data, given.indices) if before else (), before, strict=True):
        assert np.array_equal(array, copy)  # the caller's matrix is left alone


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_nothing_but_zeros(solver, standardize):
    X, y = sparse.csr_array((40, 6)), np.arange(40.0)
    model = GradientDescentRegressor(
        solver, standardize=standardize, tol=None, epochs=300, random_state=0
    ).fit(X, y)
    assert np.array_equal(model.coef_, np.zeros(6))
    assert model.intercept_ == pytest.approx(19.5, abs=1.0)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("penalty", [None, "l2"])
@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
def test_memory_is_a_few_vectors(solver, penalty, standardize):
    """Of length d for the parameters and of length n for order and targets; never X again."""
    rng = np.random.default_rng(7)
    rows, features, each = 4000, 20_000, 80
    indices = np.sort(
        rng.integers(0, features // each, (rows, each)) + np.arange(each) * (features // each), axis=1
    )
    X = sparse.csr_array(
        (rng.normal(size=rows * each), indices.ravel(), np.arange(0, rows * each + 1, each)),
        shape=(rows, features),
    )
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    y = rng.normal(size=rows)
    options = {"penalty": penalty, "standardize": standardize, "tol": None, "epochs": 2, "random_state": 0}
    GradientDescentRegressor(solver, **options).fit(X[:50], y[:50])  # imports what it needs
    model = GradientDescentRegressor(solver, **options)
    vectors = 8 * (30 * features + 10 * rows)
    own = X.data.nbytes + X.indices.nbytes
    for method in (model.fit, model.partial_fit):
        tracemalloc.start()
        method(X, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < vectors
        assert peak < 2 * own  # so that a copy of X beside the vectors would be seen


# -------------------------------------------------------------------------------------------------- text


@functools.cache
def reviews(count=800):
    """Texts of words as frequent as in a language, each more or less likely with a text's mark."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(3000)])
    frequency, leaning = 1.0 / np.arange(3.0, 3003.0), rng.normal(size=3000)
    texts, marks = [], rng.normal(size=count)
    for mark, length in zip(marks, rng.lognormal(4.5, 0.6, count).astype(int) + 10, strict=True):
        likely = frequency * np.exp(0.5 * mark * leaning)
        texts.append(" ".join(rng.choice(words, length, p=likely / likely.sum())) + ".")
    return texts, 5.0 + 2.0 * marks


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
def test_text_is_learned_in_a_stream(solver, standardize):
    texts, y = reviews()
    words = HashingVectorizer(n_features=2**13, alternate_sign=False)
    held_out = len(texts) * 3 // 4
    starts = range(0, held_out, 100)
    chunks = [
        (words.transform(texts[i : min(i + 100, held_out)]), y[i : min(i + 100, held_out)]) for i in starts
    ]
    model = GradientDescentRegressor(
        solver, random_state=0, penalty="l2", alpha=0.01, standardize=standardize
    )
    for _ in range(10):
        for X, target in chunks:
            assert sparse.issparse(X)
            model.partial_fit(X, target)
    assert model.coef_.shape == (2**13,)
    assert model.score(words.transform(texts[held_out:]), y[held_out:]) > 0.4
    first, last = model.loss_curve_[: len(chunks)], model.loss_curve_[-len(chunks) :]
    assert np.mean(last) < 0.75 * np.mean(first)


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_text_pipeline_with_default_settings(solver):
    texts, y = reviews()
    words = HashingVectorizer(n_features=2**12, alternate_sign=False)
    pipeline = make_pipeline(words, TfidfTransformer(), GradientDescentRegressor(solver, random_state=0))
    half = len(texts) // 2
    assert pipeline.fit(texts[:half], y[:half]).score(texts[half:], y[half:]) > 0.5
