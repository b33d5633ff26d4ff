"""What all Displays take alike: what a regressor is wrapped in, keywords of curves, and what they refuse."""

import sys

import numpy as np
import pandas as pd
import pytest
from drawing import SOLVERS, assert_drawn, fitted, make_data, make_estimator, plt
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from sklearn_sgdopt import (
    CoefficientDisplay,
    DescentPathDisplay,
    GradientDescentRegressor,
    LossCurveDisplay,
    SolverComparisonDisplay,
)

SIZE = "gradientdescentregressor__batch_size"
X, Y = make_data()
NAMED = pd.DataFrame(X, columns=["mass", "heat", "age"])
TRANSFORMED = StandardScaler().fit_transform(Y[:, np.newaxis])[:, 0]
SCALED = StandardScaler().fit_transform(X)


def drawn(display, given, X, y):
    """The numbers that a Display draws of one estimator, without times, which differ."""
    if display in {LossCurveDisplay, CoefficientDisplay}:
        return display.from_estimator(clone(given).fit(X, y)).line_.get_xydata()
    if display is DescentPathDisplay:
        return display.from_estimator(given, X, y).line_.get_xydata()
    return display.from_estimators([given], X, y, epochs=3).line_.get_xydata()


def wrapped(case):
    """Return a regressor in wrappers, and the X and y that it then trains on."""
    inner = make_estimator("sgd", batch_size=20)
    scaled = make_pipeline(StandardScaler(), inner)
    return {
        "a pipeline": (scaled, SCALED, Y),
        "a pipeline of one step": (make_pipeline(inner), X, Y),
        "pipelines in a pipeline": (make_pipeline(StandardScaler(), make_pipeline(scaled)), SCALED, Y),
        "a supervised step": (make_pipeline(SelectKBest(f_regression, k=2), inner), X[:, 1:], Y),
        "another y": (
            TransformedTargetRegressor(inner, transformer=StandardScaler()),
            X,
            TRANSFORMED,
        ),
        "functions of y": (
            TransformedTargetRegressor(inner, func=np.arcsinh, inverse_func=np.sinh),
            X,
            np.arcsinh(Y),
        ),
        "another y around a pipeline": (
            TransformedTargetRegressor(scaled, transformer=StandardScaler()),
            SCALED,
            TRANSFORMED,
        ),
        "another y in a pipeline": (
            make_pipeline(StandardScaler(), TransformedTargetRegressor(inner, transformer=StandardScaler())),
            SCALED,
            TRANSFORMED,
        ),
        "a search": (
            GridSearchCV(scaled, {"gradientdescentregressor__batch_size": [20]}).fit(X, Y),
            SCALED,
            Y,
        ),
    }[case]


CASES = [
    "a pipeline",
    "a pipeline of one step",
    "pipelines in a pipeline",
    "a supervised step",
    "another y",
    "functions of y",
    "another y around a pipeline",
    "another y in a pipeline",
    "a search",
]
DISPLAYS = [LossCurveDisplay, CoefficientDisplay, DescentPathDisplay, SolverComparisonDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize("case", CASES)
def test_a_wrapped_regressor_is_drawn_on_the_data_that_it_sees(display, case):
    given, inner_X, inner_y = wrapped(case)
    expected = drawn(display, make_estimator("sgd", batch_size=20), inner_X, inner_y)
    assert_allclose(drawn(display, given, X, Y), expected, rtol=1e-9, atol=1e-9)


def test_units_of_a_transformed_target_are_named():
    given = TransformedTargetRegressor(make_estimator("sgd"), func=np.arcsinh, inverse_func=np.sinh)
    model = clone(given).fit(X, Y)
    label = "mean squared error (units of transformed y squared)"
    assert LossCurveDisplay.from_estimator(model).ax_.get_ylabel() == label
    path = DescentPathDisplay.from_estimator(given, X, Y)
    assert path.labels[0] == "coefficient of feature 0 (units of transformed y per standard deviation)"
    assert path.ax_.get_title() == f"contours: {label}"
    comparison = SolverComparisonDisplay.from_estimators([given], X, Y, epochs=1)
    assert comparison.axes_[0].get_ylabel().endswith("(units of transformed y squared)")
    assert "(units of transformed y per" in CoefficientDisplay.from_estimator(model).ax_.get_xlabel()
    with pytest.raises(ValueError, match=r"one loss to share an axis.*'squared_error of transformed y'"):
        LossCurveDisplay.from_estimators([model, fitted()])
    with pytest.raises(ValueError, match=r"must predict the same.*'0' predicts transformed y, '1' y"):
        CoefficientDisplay.from_estimators({0: model, 1: fitted()})


def test_names_go_through_the_steps():
    given = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), make_estimator())
    path = DescentPathDisplay.from_estimator(given, NAMED, Y, parameters=("mass heat", "age^2"))
    assert path.labels[0] == "coefficient of mass heat (units of y per standard deviation)"
    bars = CoefficientDisplay.from_estimator(given.fit(NAMED, Y))
    assert sorted(bars.feature_names or [])[:3] == ["age", "age^2", "heat"]
    nameless = make_pipeline(FunctionTransformer(), make_estimator()).fit(X, Y)
    assert CoefficientDisplay.from_estimator(nameless).feature_names is None
    kept = make_pipeline(StandardScaler().set_output(transform="pandas"), make_estimator()).fit(NAMED, Y)
    assert CoefficientDisplay.from_estimator(kept).feature_names == ["mass", "heat", "age"]


def test_held_out_samples_go_through_the_steps():
    given = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), make_estimator()), transformer=StandardScaler()
    )
    display = SolverComparisonDisplay.from_data(
        X[:40], Y[:40], estimator=given, solvers="gd", epochs=3, X_val=X[40:], y_val=Y[40:]
    )
    model = clone(given)
    model.regressor[-1].set_params(solver="gd", epochs=3)
    model.fit(X[:40], Y[:40])
    expected = np.mean((model.predict(X[40:]) - Y[40:]) ** 2) / np.var(Y[:40])
    assert display.losses["gd"][-1] == pytest.approx(expected)


@pytest.mark.parametrize("display", [DescentPathDisplay, SolverComparisonDisplay])
def test_paths_and_losses_on_different_data_do_not_share_axes(display):
    models = {"plain": make_estimator(), "scaled": make_pipeline(StandardScaler(), make_estimator())}
    with pytest.raises(ValueError, match="steps before 'plain' and 'scaled' make different data"):
        display.from_estimators(models, X, Y)
    same = {"one": models["scaled"], "other": make_pipeline(StandardScaler(), make_estimator("adam"))}
    assert list(display.from_estimators(same, X, Y).lines_) == ["one", "other"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_search_must_be_fitted(display):
    search = GridSearchCV(make_estimator(), {"batch_size": [20]})
    data = (X, Y) if display in {DescentPathDisplay, SolverComparisonDisplay} else ()
    with pytest.raises(NotFittedError, match="GridSearchCV instance is not fitted yet"):
        display.from_estimators([search], *data)
    with pytest.raises(NotFittedError, match="GridSearchCV instance is not fitted yet"):
        display.from_estimators([GridSearchCV(make_estimator(), {}, refit=False).fit(X, Y)], *data)


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        (make_estimator(), TypeError, "a dict of names and estimators.*got GradientDescentRegressor.*one"),
        ({}, ValueError, "estimators is empty"),
        ({"a": LinearRegression()}, TypeError, r"'a' must be a GradientDescentRegressor, or.*LinearRegr"),
        (
            [make_pipeline(StandardScaler(), LinearRegression())],
            TypeError,
            "'number 0' must be.*got Pipeline that holds LinearRegression",
        ),
    ],
)
def test_what_holds_no_regressor_is_refused(estimators, error, message):
    for draw in (
        lambda: LossCurveDisplay.from_estimators(estimators),
        lambda: CoefficientDisplay.from_estimators(estimators),
        lambda: DescentPathDisplay.from_estimators(estimators, X, Y),
        lambda: SolverComparisonDisplay.from_estimators(estimators, X, Y),
    ):
        with pytest.raises(error, match=message):
            draw()


def all_displays(models):
    """Each Display of several estimators, with the name of its keywords for curves."""
    trained = {name: clone(model).fit(X, Y) for name, model in models.items()}
    return [
        (LossCurveDisplay.from_estimators(trained), "line_kwargs"),
        (CoefficientDisplay.from_estimators(trained), "line_kwargs"),
        (DescentPathDisplay.from_estimators(models, X, Y), "path_kwargs"),
        (SolverComparisonDisplay.from_estimators(models, X, Y, epochs=2), "line_kwargs"),
    ]


def test_keywords_for_all_curves_and_for_each():
    for display, parameter in all_displays({"one": make_estimator("gd"), "two": make_estimator("sgd")}):
        display.plot(**{parameter: {"c": "red", "ms": 9}})
        assert [line.get_color() for line in display.lines_.values()] == ["red", "red"]
        assert [line.get_markersize() for line in display.lines_.values()] == [9, 9]
        display.plot(**{parameter: [{"color": "red"}, {}]})
        first, second = display.lines_.values()
        assert (first.get_color(), second.get_color()) == ("red", "#D55E00")
        for wrong, given in (([{}], "1 of them"), ("red", "str")):
            with pytest.raises(ValueError, match=f"{parameter} must be .* list of 2 dicts.*got {given}"):
                display.plot(**{parameter: wrong})


def test_a_single_curve_has_a_name_of_its_own():
    several = {solver: make_estimator(solver) for solver in SOLVERS}
    for display, _ in all_displays(several):
        with pytest.raises(AttributeError, match="There are 4 curves: lines_ holds them by name"):
            _ = display.line_
    for display, _ in all_displays({"mine": make_estimator()}):
        assert display.line_ is display.lines_["mine"]
    assert display.seconds_line_ is display.seconds_lines_["mine"]
    held_out = LossCurveDisplay.from_estimator(fitted(held_out=True))
    assert_drawn(held_out.validation_line_, *held_out.validation_lines_["sgd"].get_data())
    assert not hasattr(LossCurveDisplay.from_estimator(fitted()), "validation_line_")


def test_missing_matplotlib_is_said_before_training(monkeypatch):
    model = fitted()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setattr(GradientDescentRegressor, "_train", None)
    for draw in (
        lambda: LossCurveDisplay.from_estimator(model),
        lambda: CoefficientDisplay.from_estimator(model),
        lambda: DescentPathDisplay.from_estimator(model, X, Y),
        lambda: SolverComparisonDisplay.from_data(X, Y),
    ):
        with pytest.raises(ImportError, match=r"Display needs matplotlib.*pip install matplotlib"):
            draw()


def test_figures_are_closed_behind_each_test():
    assert not plt.get_fignums()
