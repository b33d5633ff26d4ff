"""Bad input raises, says which parameter or column, and leaves a fitted model as it was."""

import re
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from reference import make_problem
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor

ROWS = 30
METHODS = ("fit", "partial_fit")


def good():
    X, y, weight = make_problem(ROWS, features=3)
    return {"X": X, "y": y, "sample_weight": weight}


def having(name, index, value, dtype=None):
    """Return good data with one bad value."""
    data = good()
    data[name] = data[name].astype(dtype or data[name].dtype)
    data[name][index] = value
    return data


def replaced(**changes):
    return good() | changes


def frame(columns="abc", **columns_replaced):
    data = pd.DataFrame(good()["X"], columns=list(columns))
    return data.assign(**columns_replaced)


FIRST = np.arange(ROWS) == 0

# What is wrong: the data, and what the message must say.
BAD_ROWS = {
    "NaN in X": (having("X", (3, 1), np.nan), r"X.*column 1"),
    "infinity in X": (having("X", (3, 2), np.inf), r"X.*column 2"),
    "minus infinity in X": (having("X", (3, 0), -np.inf), r"X.*column 0"),
    "both infinities in X": (having("X", ([3, 4], 0), [np.inf, -np.inf]), r"X.*column 0"),
    "NaN in columns of X": (having("X", (3, [0, 2]), np.nan), r"X.*columns 0, 2"),
    "NaN in float32 X": (having("X", (3, 1), np.nan, np.float32), r"X.*column 1"),
    "NaN in a column of a frame": (replaced(X=frame(b=np.where(FIRST, np.nan, 1.0))), r"X.*column 'b'"),
    "infinity in a column of a frame": (replaced(X=frame(c=np.where(FIRST, np.inf, 1.0))), r"X.*column 'c'"),
    "text in a column of a frame": (replaced(X=frame(b=["red"] * ROWS)), r"X.*column 'b'"),
    "missing value in a nullable column": (
        replaced(X=frame(b=pd.array([None] + [1.0] * (ROWS - 1), dtype="Float64"))), r"X.*column 'b'"
    ),
    "text in a column of a polars frame": (
        replaced(X=pl.DataFrame({"a": FIRST, "b": ["red"] * ROWS, "c": FIRST})), r"X.*column 'b'"
    ),
    "text in X": (replaced(X=np.full((ROWS, 3), "red")), r"\bX\b"),
    "text among objects in X": (having("X", (3, 1), "red", object), r"\bX\b"),
    "complex X": (replaced(X=good()["X"] * 1j), "Complex data not supported"),
    "X of one dimension": (replaced(X=good()["X"][:, 0]), "Expected 2D array"),
    "X of three dimensions": (replaced(X=good()["X"][None]), r"dim 3|Found array with"),
    "X without rows": (replaced(X=np.empty((0, 3)), y=np.empty(0), sample_weight=None), r"0 sample"),
    "X without columns": (replaced(X=np.empty((ROWS, 0))), r"0 feature"),
    "NaN in sparse X": (replaced(X=sparse.csr_array(having("X", (3, 1), np.nan)["X"])), r"X.*column 1"),
    "infinity in sparse X": (replaced(X=sparse.csc_array(having("X", (3, 2), np.inf)["X"])), r"X.*column 2"),
    "X whose squares overflow": (having("X", (3, 1), 1e200), r"X.*squares overflow.*column 1"),
    "squares that overflow in a column of a frame": (
        replaced(X=frame(b=np.where(FIRST, 1e200, 1.0))), r"X.*squares overflow.*column 'b'"
    ),
    "y whose squares overflow": (having("y", 5, 1e200), r"y.*squares overflow.*column 0"),
    "X whose sum overflows": (having("X", ([3, 4], 1), 1.5e308), r"X.*squares overflow.*column 1"),
    "NaN in y": (having("y", 5, np.nan), r"y\b.*NaN"),
    "infinity in y": (having("y", 5, -np.inf), r"y\b.*infinity"),
    "NaN in y of two columns": (replaced(y=np.where(FIRST[:, None], [1.0, np.nan], 2.0)), r"y\b.*NaN"),
    "no y": (replaced(y=None), r"\by\b"),
    "text in y": (replaced(y=["red"] * ROWS), r"\by\b|string"),
    "complex y": (replaced(y=good()["y"] * 1j), r"\by\b|Complex"),
    "complex objects in y": (replaced(y=(good()["y"] * 1j).astype(object)), r"\by\b.*real numbers"),
    "a number for y": (replaced(y=3.0), r"\b[yY]\b|scalar"),
    "too few y": (replaced(y=good()["y"][1:]), "inconsistent numbers of samples"),
    "y of three dimensions": (replaced(y=np.ones((ROWS, 1, 1))), r"dim 3|\by\b"),
    "y without columns": (replaced(y=np.empty((ROWS, 0))), r"\by\b|0 feature"),
    "NaN in weights": (having("sample_weight", 5, np.nan), "sample_weight"),
    "infinite weight": (having("sample_weight", 5, np.inf), "sample_weight"),
    "negative weight": (having("sample_weight", 5, -0.5), "sample_weight"),
    "too few weights": (replaced(sample_weight=np.ones(ROWS - 1)), "sample_weight"),
    "weights of two dimensions": (replaced(sample_weight=np.ones((ROWS, 2))), "sample_weight"),
    "text in weights": (replaced(sample_weight=["heavy"] * ROWS), "sample_weight"),
    "complex weights": (replaced(sample_weight=np.ones(ROWS) * (1 + 1j)), "sample_weight"),
    "weights whose sum overflows": (replaced(sample_weight=np.full(ROWS, 1e308)), "sample_weight"),
    "weights too small to divide by": (replaced(sample_weight=np.full(ROWS, 1e-310)), "sample_weight"),
    "one text for weights": (replaced(sample_weight="balanced"), "sample_weight"),
    "X_val without y_val": (replaced(X_val=good()["X"]), "y_val"),
    "y_val without X_val": (replaced(y_val=good()["y"]), "X_val"),
    "NaN in X_val": (replaced(X_val=having("X", (3, 1), np.nan)["X"], y_val=good()["y"]), "X_val.*column 1"),
    "NaN in y_val": (replaced(X_val=good()["X"], y_val=having("y", 3, np.nan)["y"]), "y_val"),
    "X_val of other width": (replaced(X_val=good()["X"][:, :2], y_val=good()["y"]), "2 features"),
    "y_val of other width": (replaced(X_val=good()["X"], y_val=np.ones((ROWS, 2))), "y_val"),
}  # fmt: skip

BAD_FOR_FIT = {
    "weights all zero": (replaced(sample_weight=np.zeros(ROWS)), r"[Ww]eights.*zero"),
    "coef_init that overflows": (replaced(X=1e3 * good()["X"], coef_init=np.full(3, 1e307)), "coef_init"),
    "coef_init too long": (replaced(coef_init=np.ones(4)), "coef_init"),
    "coef_init for two outputs": (replaced(coef_init=np.ones((2, 3))), "coef_init"),
    "NaN in coef_init": (replaced(coef_init=[1.0, np.nan, 0.0]), "coef_init"),
    "text in coef_init": (replaced(coef_init=["a", "b", "c"]), "coef_init"),
    "complex coef_init": (replaced(coef_init=np.ones(3) * 1j), "coef_init"),
    "ragged coef_init": (replaced(coef_init=[[1.0], [1.0, 2.0]]), "coef_init"),
    "intercept_init too long": (replaced(intercept_init=[1.0, 2.0]), "intercept_init"),
    "infinite intercept_init": (replaced(intercept_init=np.inf), "intercept_init"),
    "text in intercept_init": (replaced(intercept_init="zero"), "intercept_init"),
}

# Fine for a new model, not for one that goes on.
BAD_TO_GO_ON = {
    "a feature too few": (replaced(X=good()["X"][:, :2]), "2 features.*3 features"),
    "a feature too many": (replaced(X=np.ones((ROWS, 4))), "4 features.*3 features"),
    "another number of outputs": (replaced(y=np.ones((ROWS, 2))), "2 outputs"),
}
BAD_FRAMES_TO_GO_ON = {
    "renamed": (replaced(X=frame("abd")), r"(?s)feature names.*- d"),
    "in another order": (replaced(X=frame()[["b", "a", "c"]]), r"(?s)feature names.*order"),
    "one missing": (replaced(X=frame()[["a", "b"]]), r"(?s)feature names.*- c"),
}

BAD_PARAMETERS = [
    (name, value)
    for name, values in {
        "solver": ("lbfgs", "ADAM", None, 1),
        "loss": ("mse", None),
        "delta": (-1.0, "big", np.nan, None),
        "quantile": (0.0, 1.0, -0.1, "half"),
        "penalty": ("l3", False),
        "alpha": (-1e-9, np.inf, None),
        "l1_ratio": (-0.1, 1.1),
        "epochs": (0, -1, 2.5, "many", None, True),
        "batch_size": (0, -3, 1.5, "auto", None, True),
        "learning_rate": (0, 0.0, -0.1, np.nan, np.inf, "optimal", None, 1j, True),
        "schedule": ("optimal", None),
        "power_t": (-1.0, np.nan),
        "momentum": (1.0, -0.1, np.nan, "high"),
        "nesterov": ("yes", 1),
        "beta_1": (1.0, -0.1, 2, None),
        "beta_2": (1.0, -0.1, np.inf),
        "epsilon": (0.0, -1e-8, None),
        "standardize": ("yes", None, 1),
        "fit_intercept": ("yes", None),
        "average": ("no", None, 10),
        "shuffle": ("yes", None),
        "tol": (-1e-3, np.nan, "auto"),
        "n_iter_no_change": (0, 1.5),
        "early_stopping": ("auto", None),
        "validation_fraction": (0.0, 1.0, -0.5),
        "warm_start": ("yes", None),
        "n_jobs": (0, 1.5, "all", True),
        "random_state": ("seed", -1, 1.5),
        "verbose": (-1, "loud"),
    }.items()
    for value in values
]


def fitted(X=None, **options):
    options = {"tol": None, "epochs": 3, "random_state": 0} | options
    return GradientDescentRegressor(**options).fit(good()["X"] if X is None else X, good()["y"])


def learned(model):
    """Everything but the parameters, down to moments and generator."""
    return {name: value for name, value in vars(model).items() if name not in model.get_params()}


def assert_refused(model, method, data, message):
    """Assert that a call raises, and that not a bit of the model is changed by it."""
    before = joblib.hash(learned(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an exception must come, not a warning that could be silenced
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(model, method)(**data)
    assert re.search(message, str(caught.value)), caught.value
    assert joblib.hash(learned(model)) == before


@pytest.mark.parametrize("warm_start", [False, True], ids=["anew", "warm"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(case, method, warm_start):
    data, message = BAD_ROWS[case]
    X = frame() if isinstance(data["X"], pd.DataFrame) else None
    assert_refused(fitted(X, warm_start=warm_start), method, data, message)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_leave_a_new_estimator_unfitted(case, method):
    model = GradientDescentRegressor()
    assert_refused(model, method, *BAD_ROWS[case])
    assert learned(model) == {}


@pytest.mark.parametrize("warm_start", [False, True], ids=["anew", "warm"])
@pytest.mark.parametrize("case", BAD_FOR_FIT)
def test_bad_for_fit(case, warm_start):
    assert_refused(fitted(warm_start=warm_start), "fit", *BAD_FOR_FIT[case])
    assert_refused(GradientDescentRegressor(warm_start=warm_start), "fit", *BAD_FOR_FIT[case])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD_TO_GO_ON)
def test_bad_to_go_on_with(case, method):
    data, message = BAD_TO_GO_ON[case]
    assert_refused(fitted(warm_start=True), method, data, message)
    assert fitted().fit(**data).n_features_in_ == data["X"].shape[1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BAD_FRAMES_TO_GO_ON)
def test_frames_with_other_columns(case, method):
    data, message = BAD_FRAMES_TO_GO_ON[case]
    assert_refused(fitted(frame(), warm_start=True), method, data, message)
    assert list(fitted(frame()).fit(**data).feature_names_in_) == list(data["X"].columns)
    assert_refused(fitted(frame()), "predict", {"X": data["X"]}, message)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
def test_bad_parameters(name, value, method):
    model = fitted()
    expected = model.predict(good()["X"])
    model.set_params(**{name: value})
    assert_refused(model, method, good(), rf"\b{name}\b")
    assert np.array_equal(model.predict(good()["X"]), expected)
    assert_refused(GradientDescentRegressor(**{name: value}), method, good(), rf"\b{name}\b")


HINTS = [
    ("learning_rate", "constant", "schedule='constant'"),
    ("learning_rate", "invscaling", "schedule='invscaling'"),
    ("learning_rate", "adaptive", "schedule='adaptive'"),
    ("learning_rate", "optimal", "learning_rate='auto'"),
    ("schedule", "optimal", "learning_rate='auto'"),
    ("schedule", "invscale", "'invscaling'"),
    ("penalty", "none", "None, without quotes"),
    ("penalty", "L2", "'l2'"),
    ("loss", "squared_loss", "loss='squared_error'"),
    ("loss", "mse", "loss='squared_error'"),
    ("loss", "MAE", "loss='quantile' with quantile=0.5"),
    ("loss", "log_loss", "SGDClassifier"),
    ("solver", "SGD", "'sgd'"),
    ("solver", " Adam", "'adam'"),
    ("solver", "nesterov", "solver='momentum' with nesterov=True"),
    ("solver", "lbfgs", "solver='gd'"),
    ("epochs", None, "epochs='auto'"),
    ("batch_size", "auto", "more|above"),
]


@pytest.mark.parametrize(("name", "value", "hint"), HINTS)
def test_values_of_neighbours_are_told_what_they_are_here(name, value, hint):
    message = rf"'{name}' parameter must be .*; got {re.escape(repr(value))}\. (Hint: |Did you mean ).*{hint}"
    assert_refused(GradientDescentRegressor(**{name: value}), "fit", good(), message)


@pytest.mark.parametrize(("given", "name"), [
    ("max_iter", "epochs"), ("n_epochs", "epochs"), ("eta0", "learning_rate"), ("lr", "learning_rate"),
    ("optimizer", "solver"),
    ("beta1", "beta_1"), ("seed", "random_state"), ("earlystopping", "early_stopping")
])  # fmt: skip
def test_parameters_of_neighbours_are_told_what_they_are_here(given, name):
    with pytest.raises(TypeError, match=rf"no parameter '{given}' \(here that is '{name}'\)"):
        GradientDescentRegressor(**{given: 1})
    with pytest.raises(ValueError, match=rf"no parameter '{given}' \(here that is '{name}'\)"):
        GradientDescentRegressor().set_params(**{given: 1})


def test_parameters_that_nobody_has():
    with pytest.raises(TypeError, match="no parameter 'colour'\\."):
        GradientDescentRegressor(colour="red")
    with pytest.raises(TypeError, match="positional"):
        GradientDescentRegressor("gd", "huber")


def test_parameters_are_checked_before_the_data():
    assert_refused(GradientDescentRegressor(batch_size=0), "fit", BAD_ROWS["NaN in X"][0], "batch_size")


def test_huber_needs_a_width():
    assert_refused(fitted().set_params(loss="huber", delta=0.0), "fit", good(), "'delta'.*above 0")


def test_targets_beyond_float32_are_refused_beside_float32_rows():
    data = good() | {"X": good()["X"].astype(np.float32), "y": 1e100 * good()["y"]}
    for method in METHODS:
        assert_refused(fitted(data["X"]), method, data, "float32")
    assert np.isfinite(GradientDescentRegressor().fit(good()["X"], data["y"]).coef_).all()


def test_options_may_be_strings_of_numpy():
    model = GradientDescentRegressor(np.str_("sgd"), random_state=0).fit(**good())
    assert np.array_equal(model.coef_, GradientDescentRegressor("sgd", random_state=0).fit(**good()).coef_)


def test_cosine_needs_an_end():
    assert_refused(fitted(schedule="cosine"), "partial_fit", good(), "schedule")


@pytest.mark.parametrize("weight", [np.eye(1, ROWS)[0], None], ids=["one row weighs", "too few rows"])
def test_a_split_that_cannot_be_made(weight):
    """The rows held out are drawn at random: a draw that is refused must not count."""
    data = (
        replaced(sample_weight=weight) if weight is not None else {"X": good()["X"][:1], "y": good()["y"][:1]}
    )
    model = fitted(warm_start=True).set_params(early_stopping=True)
    assert_refused(model, "fit", data, r"held out|n_samples|train set")


def test_one_weight_for_all_rows_is_none():
    model = GradientDescentRegressor(tol=None, epochs=3, random_state=0)
    expected = model.fit(good()["X"], good()["y"]).coef_
    for weight in (2.0, np.float32(0.5), np.full(ROWS, 2)):
        coef = model.fit(good()["X"], good()["y"], sample_weight=weight).coef_
        np.testing.assert_allclose(coef, expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [
    (having("X", (3, 1), np.nan)["X"], "NaN"),
    (good()["X"][:, :2], "2 features"),
    (np.full((ROWS, 3), "red"), "string|numeric"),
    (good()["X"][0], "2D"),
    (np.empty((0, 3)), "0 sample"),
], ids=["NaN", "width", "text", "one dimension", "empty"])  # fmt: skip
def test_predict_refuses(bad):
    assert_refused(fitted(), "predict", {"X": bad[0]}, bad[1])
