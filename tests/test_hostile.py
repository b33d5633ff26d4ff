"""What a hostile trial broke, by the numbers of issue H; see test_transactions.py for 3 to 5, 7 and 12."""

import copy
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases import SOLVERS
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from sklearn_sgdopt import GradientDescentRegressor

N = 40


def problem(n=N, d=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, X @ np.arange(1.0, d + 1) + 0.1 * rng.normal(size=n)


X, Y = problem()


def make(solver="adam", **options):
    return GradientDescentRegressor(solver, **{"random_state": 0, **options})


def refuses(function, message, *, kind=(ValueError, TypeError)):
    with pytest.raises(kind) as caught:
        function()
    assert re.search(message, str(caught.value)), caught.value


# ------------------------------------------------------------- 1: momentum, short last batches, off-centre

SHORT: list[tuple[int, dict[str, Any]]] = [
    *((n, {}) for n in (33, 34, 35, 65, 66, 67, 97, 98, 129, 130)),
    *((n, {"momentum": 0.95}) for n in (129, 131, 136, 143)),
    *((n, {"momentum": 0.99}) for n in (257, 259, 267)),
    *((n, {"batch_size": 100}) for n in (305, 310, 317)),
]


@pytest.mark.filterwarnings("ignore:The loss was still falling")
@pytest.mark.parametrize(("form", "options"), [
    (sparse.csr_array, {}),
    (sparse.csr_array, {"nesterov": True}),
    (np.asarray, {"standardize": False}),
], ids=["csr", "nesterov", "dense"])  # fmt: skip
def test_short_last_batches_off_centre(form, options):
    for n, more in SHORT:
        rng = np.random.default_rng(0)
        rows = np.c_[1990 + rng.integers(0, 30, n), rng.normal(size=(n, 2))]
        y = rows @ [0.5, 1.0, -1.0] + rng.normal(size=n)
        model = make("momentum", epochs=100, **options, **more).fit(form(rows), y)
        assert np.mean((model.predict(rows) - y) ** 2) < 1.2 * np.var(y), (n, more)


# -------------------------------------------------------------------- 2: kinks with l2 in large units of y


@pytest.mark.filterwarnings("ignore:The loss was still falling")
@pytest.mark.parametrize("alpha", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("loss", ["quantile", "epsilon_insensitive"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_kinks_with_l2_do_not_explode(solver, loss, penalty, alpha):
    rows, y = load_diabetes(return_X_y=True)
    for scale in (1e5, 1e10):
        large = scale * y
        constant = np.abs(large - np.median(large)).mean()
        model = make(solver, loss=loss, penalty=penalty, alpha=alpha, epochs=20).fit(rows, large)
        assert np.abs(model.predict(rows) - large).mean() < 1.2 * constant
        model = make(solver, loss=loss, penalty=penalty, alpha=alpha)
        for _ in range(5):
            for start in range(0, 442, 64):
                model.partial_fit(rows[start : start + 64], large[start : start + 64])
        assert np.abs(model.predict(rows) - large).mean() < 1.2 * constant


# ------------------------------------------------------------------------------------ 6: malformed CSR


def broken(kind, form="csr"):
    matrix = sparse.csr_array(X) if form == "csr" else sparse.csc_array(X)
    width = matrix.shape[1] if form == "csr" else matrix.shape[0]
    if kind == "large":
        matrix.indices[4] = 10**6
    elif kind == "next":
        matrix.indices[4] = width
    elif kind == "negative":
        matrix.indices[4] = -1
    elif kind == "falling":
        matrix.indptr[2] = 0
    elif kind == "far":
        matrix.indptr[1:] = 10**6
    elif kind == "below":
        matrix.indptr[0] = -1
    elif kind == "short":
        matrix.indptr = matrix.indptr[:-2]
    elif kind == "few":
        matrix.data = matrix.data[:-3]
    elif kind == "none":
        matrix.indices = matrix.indices[:1]
    return matrix


MALFORMED = {
    "large": "row 1, column 1000000",
    "next": "row 1, column 3",
    "negative": "row 1, column -1",
    "falling": "row 1 .*from 3 to 0",
    "far": "row 0 .*to 1000000",
    "below": "row 0 .*from -1",
    "short": "indptr has 39 entries",
    "few": "row 39 .*at most at 117",
    "none": "row 0 .*at most at 1,",
}


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "X_val"])
def test_malformed_csr_is_refused(kind, method):
    for model in (make(), make().fit(X, Y)):
        if method == "predict" and not hasattr(model, "coef_"):
            continue
        call = {
            "fit": lambda model=model: model.fit(broken(kind), Y),
            "partial_fit": lambda model=model: model.partial_fit(broken(kind), Y),
            "predict": lambda model=model: model.predict(broken(kind)),
            "X_val": lambda model=model: model.fit(X, Y, X_val=broken(kind), y_val=Y),
        }[method]
        refuses(
            call,
            f"(?s)X{'_val' if method == 'X_val' else ''} is malformed.*{MALFORMED[kind]}",
            kind=ValueError,
        )


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_csc_and_coo_are_refused(kind):
    refuses(lambda: make().fit(broken(kind, "csc"), Y), "malformed", kind=ValueError)
    matrix = sparse.coo_array(X)
    matrix.col[4] = 3
    refuses(lambda: make().fit(matrix, Y), "row 1, column 3", kind=ValueError)


def test_csr_with_room_to_spare_is_taken():
    matrix = sparse.csr_array(X)
    expected = make(epochs=3, tol=None).fit(matrix, Y).coef_
    matrix.data, matrix.indices = (
        np.append(matrix.data, np.nan),
        np.append(matrix.indices, 99).astype(np.int32),
    )
    np.testing.assert_array_equal(make(epochs=3, tol=None).fit(matrix, Y).coef_, expected)


# --------------------------------------------------------------------------------- 7: numbers out of range

INTEGERS = ("epochs", "batch_size", "n_iter_no_change", "n_jobs", "verbose", "random_state")
NUMBERS = (
    *("delta", "quantile", "alpha", "l1_ratio", "learning_rate", "power_t", "momentum", "beta_1", "beta_2"),
    *("epsilon", "tol", "validation_fraction"),
)
BEYOND = (10**400, -(10**400), 10**5000)
HUGE = {
    **dict.fromkeys(INTEGERS, (2**62, 10**30, *BEYOND)),
    **{name: (np.longdouble("1e4000"), *BEYOND) for name in NUMBERS},
}


@pytest.mark.parametrize("name", HUGE)
def test_parameters_beyond_all_numbers(name):
    for value in HUGE[name]:
        for method in ("fit", "partial_fit"):
            call = getattr(make(**{name: value}), method)
            refuses(
                lambda call=call: call(X, Y),
                rf"'{name}' parameter must be .*(from|at least|in [\[(]).*; got ",
            )


@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "coef_init", "intercept_init", "X_val", "y_val"])
def test_data_beyond_all_numbers(name):
    data = {"X": X, "y": Y, "X_val": X, "y_val": Y}
    data[name] = {"coef_init": [10**400] * 3, "intercept_init": 10**400}.get(name, [10**400] * N)
    if name.startswith("X"):
        data[name] = [[10**400, 1.0, 1.0]] * N
    column = ".*column 0" if name.startswith("X") else ""
    refuses(lambda: make().fit(**data), rf"\b{name}\b.*float64{column}", kind=ValueError)


def test_what_does_not_concern_the_schedule_leaves_it_alone():
    def stream(**changes):
        model = make("sgd", schedule="adaptive", learning_rate=0.05, n_iter_no_change=1, tol=0.5)
        rates = []
        for _ in range(12):
            model.set_params(**changes).partial_fit(X, Y)
            rates.append(model.learning_rate_)
            changes = {
                name: (None if value == 2 else 2) if name == "n_jobs" else value + 1
                for name, value in changes.items()
            }
        return rates, model.coef_.tolist()

    expected = stream()
    assert expected[0][0] > expected[0][-1]  # the rate was cut
    for changes in ({"epochs": 1}, {"n_jobs": 2}, {"verbose": 1}):
        assert stream(**changes) == expected, changes


# ---------------------------------------------------------------------------------------------- 8: smaller


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_float32_columns_of_no_size(solver, form):
    """Columns whose coefficients float32 cannot hold are refused by name or left out."""
    rows = X.astype(np.float32)
    rows[:, 1] *= np.float32(1e-40)
    try:
        model = make(solver).fit(form(rows), Y)
    except ValueError as error:
        assert re.search("column 1.*float64", str(error))  # noqa: PT017
    else:
        assert np.isfinite(model.coef_).all()
        assert model.score(form(rows), Y) > 0.5


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_columns_far_off(solver):
    rng = np.random.default_rng(0)
    rows = X.astype(np.float32)
    rows[:, 1] = np.float32(1.5e8) + 16 * rng.integers(-1, 2, N).astype(np.float32)  # neighbours in float32
    y = Y - 2 * X[:, 1] + (rows[:, 1].astype(float) - 1.5e8) / 16
    model = make(solver).fit(rows, y)
    best = (
        LinearRegression()
        .fit(rows.astype(float) - [0, 1.5e8, 0], y)
        .score(rows.astype(float) - [0, 1.5e8, 0], y)
    )
    # A slope of 1/16 in float32 is off by 1e-9, which 1.5e8 makes 0.5 unless the intercept takes it up.
    assert np.isfinite(model.coef_).all()
    assert model.score(rows, y) > best - 0.1


@pytest.mark.parametrize("loss", ["huber", "epsilon_insensitive", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_targets_without_intercept_have_a_unit(solver, loss):
    one, other = (
        make(solver, loss=loss, fit_intercept=False).fit(X, np.full(N, unit)).coef_ / unit
        for unit in (1, 1024)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("large", [1e308, 1e200, -1e160])
def test_held_out_samples_whose_squares_overflow(large):
    refuses(
        lambda: make().fit(X, Y, X_val=np.full((3, 3), large), y_val=np.ones(3)), r"X_val.*columns 0, 1, 2"
    )
    refuses(lambda: make().fit(X, Y, X_val=X[:3], y_val=np.full(3, large)), r"y_val.*column 0")


@pytest.mark.filterwarnings("ignore:The least loss of the held-out samples")
@pytest.mark.parametrize("early_stopping", [True, False])
def test_losses_of_held_out_samples_that_overflow(early_stopping):
    model = make(early_stopping=early_stopping).fit(X, 1e10 * Y, X_val=1e150 * X, y_val=Y)
    assert np.isfinite(model.validation_curve_).all()


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_starts_beyond_all_bounds(solver, standardize):
    model = make(solver, standardize=standardize)
    refuses(lambda: model.fit(X, Y, coef_init=np.full(3, 1e200)), "coef_init.*1e\\+200")
    refuses(lambda: model.fit(X, Y, intercept_init=1e200), "intercept_init.*1e\\+200")
    assert not hasattr(model, "coef_")


DATES = pd.date_range("2020-01-01", periods=N)
TIMES = {
    "array": (DATES.to_numpy()[:, None].repeat(3, axis=1), Y, r"\bX\b.*dates"),
    "durations": ((DATES - DATES[0]).to_numpy()[:, None].repeat(3, axis=1), Y, r"\bX\b.*durations"),
    "frame": (pd.DataFrame({"a": Y, "when": DATES}), Y, r"\bX\b.*dates.*column 'when'"),
    "frame with zones": (
        pd.DataFrame({"a": Y, "when": DATES.tz_localize("UTC")}),
        Y,
        r"\bX\b.*column 'when'",
    ),
    "frame of durations": (pd.DataFrame({"a": Y, "when": DATES - DATES[0]}), Y, r"\bX\b.*column 'when'"),
    "objects": (np.c_[Y.astype(object), DATES.astype(object)], Y, r"\bX\b.*column 1"),
    "polars": (pl.DataFrame({"a": Y, "when": DATES.to_numpy()}), Y, r"\bX\b.*dates.*column 'when'"),
    "lazy": (pl.LazyFrame({"a": Y}), Y, r"\bX\b.*LazyFrame.*collect"),
    "y": (X, DATES.to_numpy(), r"\by\b.*dates"),
    "series": (X, pd.Series(DATES, name="when"), r"\by\b.*dates.*column 'when'"),
    "frame for y": (X, pd.DataFrame({"when": DATES}), r"\by\b.*dates.*column 'when'"),
    "lazy y": (X, pl.LazyFrame({"a": Y}), r"\by\b.*LazyFrame.*collect"),
    "missing y": (X, pd.Series([None, *Y[1:]], name="price"), r"\by\b.*column 'price'.*[Dd]rop"),
    "nullable y": (
        X,
        pd.Series([None, *range(1, N)], dtype="Int64", name="price"),
        r"\by\b.*'price'.*[Dd]rop",
    ),
    "missing in a frame": (
        X,
        pd.DataFrame({"a": Y, "b": np.where(Y > 0, Y, np.nan)}),
        r"\by\b.*'b'.*[Dd]rop",
    ),
    "complex y": (X, pd.Series(Y * 1j, name="price"), r"\by\b.*complex.*'price'.*real"),
}


@pytest.mark.parametrize("case", TIMES)
def test_dates_frames_that_wait_and_missing_targets_are_refused_by_name(case):
    rows, y, message = TIMES[case]
    for method in ("fit", "partial_fit"):
        call = getattr(make(), method)
        refuses(lambda call=call: call(rows, y), message)
    if y is Y and hasattr(rows, "shape"):
        refuses(lambda: make().fit(X[:, : rows.shape[1]], Y).predict(rows), message)


@pytest.mark.parametrize("name", ["sample_weight", "coef_init", "intercept_init"])
def test_dates_are_no_weights(name):
    refuses(lambda: make().fit(X, Y, **{name: DATES.to_numpy()}), rf"{name}.*real numbers.*dates")


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_share_nothing(way):
    model = make("momentum").partial_fit(X, Y, X_val=X, y_val=Y)
    other, same = way(model), way(model)
    model.partial_fit(X[:7], 100 * Y[:7], X_val=X, y_val=Y)
    for name in ("coef_", "loss_curve_", "validation_curve_", "t_"):
        np.testing.assert_array_equal(getattr(other, name), getattr(same, name))
    np.testing.assert_array_equal(other.partial_fit(X[:7], 100 * Y[:7]).coef_, model.coef_)
    assert len(same.loss_curve_) == 1


@pytest.mark.parametrize("first", [Y, Y[:, None]], ids=["1-D", "column"])
def test_the_first_targets_give_coef_its_shape(first):
    model = make().partial_fit(X, first)
    shape, predicted = model.coef_.shape, model.predict(X).shape
    for y in (Y[:, None], Y, Y[:, None]):
        model.partial_fit(X, y)
        assert (model.coef_.shape, model.predict(X).shape) == (shape, predicted)
    assert make().fit(X, first).fit(X, Y[:, None]).coef_.shape == (1, 3)  # a new fit is of its own


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", None), ("solver", 1), ("n_jobs", "all"), ("alpha", 1j)]
)
def test_one_error_for_parameters(name, value):
    for kind in (ValueError, TypeError):
        with pytest.raises(kind, match=name) as caught:
            make(**{name: value}).fit(X, Y)
        assert type(caught.value).__name__ == "InvalidParameterError"


# ------------------------------------------------------------- 9: held-out samples that are not transformed


@pytest.mark.parametrize("solver", SOLVERS)
def test_held_out_samples_that_arrive_untransformed(solver):
    rows = 1000.0 + 50.0 * X
    held_out = {"y_val": Y[25:]}
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    with pytest.warns(ConvergenceWarning, match=r"above that of a constant.*transform_input"):
        make(solver, early_stopping=True).fit(scaled[:25], Y[:25], X_val=rows[25:], **held_out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(solver, early_stopping=True).fit(scaled[:25], Y[:25], X_val=scaled[25:], **held_out)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_on_the_same_samples_after_another_schedule_stays_centred(solver):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 12)) + 3.0, rng.normal(size=10)
    model = GradientDescentRegressor(solver, random_state=0).fit(X, y)
    center = model._state.coordinates.center
    model.set_params(warm_start=True, schedule="invscaling", epochs=10, tol=None).fit(X, y)
    assert np.array_equal(model._state.coordinates.center, center)
    assert max(model.loss_curve_[-10:]) <= 1.01 * model.loss_curve_[-11] + 1e-12


@pytest.mark.parametrize("solver", SOLVERS)
def test_targets_whose_squares_nearly_vanish(solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 40))
    y = 1e-154 + 1e-161 * (X[:, 0] + rng.normal(size=200))
    model = GradientDescentRegressor(solver, random_state=0).fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert np.allclose(model.predict(X), y, rtol=1e-5, atol=0.0)


def test_samples_whose_squares_vanish_have_a_finite_rate():
    plain = {"standardize": False, "fit_intercept": False, "loss": "huber"}
    model = GradientDescentRegressor("gd", random_state=0, **plain).fit([[6e-161], [5e-161]], [1.0, 2.0])
    assert np.isfinite(model.learning_rate_)
    assert np.isfinite(model.coef_).all()
