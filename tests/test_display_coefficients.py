"""What CoefficientDisplay draws, and what it refuses."""

import numpy as np
import pytest
from drawing import SOLVERS, assert_drawn, fitted, make_data, make_estimator, plt
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import CoefficientDisplay

PLAIN = {"standardize": False, "average": False, "learning_rate": 1e-6}


def names(axes):
    """The features from top to bottom, as a reader sees them."""
    ticks = sorted(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True), key=lambda tick: -tick[0])
    return [label.get_text() for _, label in ticks]


def test_largest_on_top_solvers_side_by_side():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    models = {solver: make_estimator(solver, epochs=20).fit(X, y) for solver in SOLVERS}
    display = CoefficientDisplay.from_estimators(models)
    spread = X.to_numpy().std(axis=0)
    expected = {name: model.coef_ * spread for name, model in models.items()}
    order = np.argsort(-np.max(np.abs([*expected.values()]), axis=0))
    assert names(display.ax_) == list(X.columns[order])
    assert display.features_.tolist() == order.tolist()
    heights = []
    for name, line in display.lines_.items():
        assert_allclose(line.get_xdata(), expected[name][order], rtol=1e-9)
        heights.append(line.get_ydata())
    # All marks of a feature lie between those of its neighbours, in the order of the legend from above.
    assert (np.diff(heights, axis=0) < 0).all()
    assert (np.max(heights, axis=0)[1:] < np.min(heights, axis=0)[:-1]).all()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == list(SOLVERS)
    assert display.ax_.get_xlabel() == "coefficient\n(units of y per standard deviation)"


def test_units_of_the_data():
    model = fitted("gd")
    display = CoefficientDisplay.from_estimator(model, units="data", name="mine")
    assert list(display.lines_) == ["mine"]
    order = np.argsort(-np.abs(model.coef_))
    assert_drawn(display.line_, model.coef_[order], [2, 1, 0])
    assert names(display.ax_) == [f"feature {i}" for i in order]
    assert display.ax_.get_xlabel() == "coefficient\n(units of y per unit of the feature)"
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("weighted", [False, True])
def test_standard_deviations_are_those_of_training_or_of_given_samples(make, weighted):
    X, y = make_data()
    weight = np.random.default_rng(1).integers(0, 3, len(y)) if weighted else None
    model = make_estimator("gd").fit(make(X), y, sample_weight=weight)
    display = CoefficientDisplay.from_estimator(model)
    mean = np.average(X, axis=0, weights=weight)
    spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    assert_allclose(display.coefficients["gd"], [model.coef_ * spread], rtol=1e-9)
    given = CoefficientDisplay.from_estimator(model, make(X[:30]))
    assert_allclose(given.coefficients["gd"], [model.coef_ * X[:30].std(axis=0)], rtol=1e-9)


def test_samples_go_through_the_steps_before_the_regressor():
    X, y = make_data()
    model = make_pipeline(StandardScaler(), make_estimator("sgd", **PLAIN)).fit(X, y)
    with pytest.raises(ValueError, match=r"'sgd' does not know them.*Give X, or units='data'"):
        CoefficientDisplay.from_estimator(model)
    display = CoefficientDisplay.from_estimator(model, X)
    assert_allclose(display.coefficients["sgd"], [model[-1].coef_], rtol=1e-9)


def test_several_outputs_get_axes_each():
    X, y = make_data()
    models = [make_estimator(s).fit(X, np.column_stack([y, -3 * y])) for s in ("gd", "sgd")]
    display = CoefficientDisplay.from_estimators(models, max_features=2)
    assert list(display.lines_) == ["gd, output 0", "sgd, output 0", "gd, output 1", "sgd, output 1"]
    size = np.max(np.abs(models[0].coef_ * X.std(axis=0)), axis=0)
    assert display.features_.tolist() == np.argsort(-size)[:2].tolist()
    for output in (0, 1):
        values = (models[0].coef_ * X.std(axis=0))[output, display.features_]
        assert_allclose(display.lines_[f"gd, output {output}"].get_xdata(), values)
        assert display.axes_[output].get_title() == f"output {output}"
    assert display.axes_[0].get_ylabel() == "the 2 of 3 features with the largest coefficients"
    assert not hasattr(display, "ax_")
    _, axes = plt.subplots(1, 2)
    assert list(display.plot(axes).axes_) == list(axes)
    with pytest.raises(ValueError, match=r"one axes for each output; got 1 for 2 outputs.*subplots\(1, 2\)"):
        display.plot(axes[0])


def test_made_by_hand():
    display = CoefficientDisplay(coefficients={"mine": [1.0, -2.0]}, feature_names=["a", "b"]).plot()
    assert names(display.ax_) == ["b", "a"]
    assert_drawn(display.line_, [-2.0, 1.0], [1.0, 0.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": "raw"}, "units must be 'standardized' or 'data'; got 'raw'"),
        ({"max_features": 0}, "max_features must be an integer of at least 1; got 0"),
    ],
)
def test_coefficients_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        CoefficientDisplay.from_estimator(fitted(), **options)


def test_coefficients_need_a_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        CoefficientDisplay.from_estimator(make_estimator())


def test_coefficients_of_different_features_do_not_share_axes():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    few = make_estimator().fit(X[["bmi", "bp"]], y)
    with pytest.raises(ValueError, match=r"shape \(1, 2\), 'all' of shape \(1, 10\)"):
        CoefficientDisplay.from_estimators({"few": few, "all": make_estimator().fit(X, y)})
    with pytest.raises(ValueError, match="same features; 'few' and 'others' name them differently"):
        CoefficientDisplay.from_estimators({"few": few, "others": make_estimator().fit(X[["s1", "bp"]], y)})
