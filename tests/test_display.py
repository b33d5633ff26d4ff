"""What the displays draw, and what they refuse."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import (
    DescentPathDisplay,
    GradientDescentRegressor,
    LossCurveDisplay,
    SolverComparisonDisplay,
)
from sklearn_sgdopt._path import record_path

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

SOLVERS = ("gd", "sgd", "momentum", "adam")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_data(rows=60, features=3):
    rng = np.random.default_rng(0)
    X = rng.normal([1.0, -20.0, 300.0][:features], [1.0, 5.0, 40.0][:features], (rows, features))
    return X, X @ [2.0, -1.0, 0.1][:features] + rng.normal(size=rows)


def make_estimator(solver="sgd", **parameters):
    return GradientDescentRegressor(solver, **{"epochs": 4, "tol": None, "random_state": 0, **parameters})


def fitted(solver="sgd", *, held_out=False, **parameters):
    X, y = make_data()
    validation = {"X_val": X[:10], "y_val": y[:10]} if held_out else {}
    return make_estimator(solver, **parameters).fit(X, y, **validation)


def assert_drawn(line, x, y):
    np.testing.assert_array_equal(line.get_xdata(), x)
    np.testing.assert_array_equal(line.get_ydata(), y)


def mean_squared_error(X, y, coef, intercept, weight=None):
    return np.average((y - X @ coef - intercept) ** 2, weights=weight)


# --- loss curves


def test_loss_curves_are_those_of_the_estimators():
    models = {solver: fitted(solver, held_out=True) for solver in SOLVERS}
    display = LossCurveDisplay.from_estimators(models)
    for name, model in models.items():
        assert_drawn(display.lines_[name], [1, 2, 3, 4], model.loss_curve_)
        assert_drawn(display.validation_lines_[name], [1, 2, 3, 4], model.validation_curve_)
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_ylabel() == "mean squared error (units of y squared)"
    assert display.ax_.get_yscale() == "linear"
    assert len({line.get_color() for line in display.lines_.values()}) == len(SOLVERS)
    assert len({line.get_marker() for line in display.lines_.values()}) == len(SOLVERS)


def test_loss_against_updates_on_a_log_scale():
    model = fitted("sgd", batch_size=25)  # three updates an epoch
    display = LossCurveDisplay.from_estimator(model, x="updates", log_scale=True)
    assert_drawn(display.lines_["sgd"], [3, 6, 9, 12], model.loss_curve_)
    assert display.ax_.get_xlabel() == "update"
    assert display.ax_.get_yscale() == "log"


def test_updates_after_early_stopping():
    X, y = make_data()
    model = make_estimator("adam", epochs=100, batch_size=20, early_stopping=True, n_iter_no_change=2)
    model.set_params(learning_rate=2.0).fit(X, y)
    assert model.t_ == 3 * model.n_iter_
    display = LossCurveDisplay.from_estimator(model, x="updates")
    np.testing.assert_array_equal(display.lines_["adam"].get_xdata(), 3 * np.arange(1, model.n_iter_ + 1))


def test_updates_after_divergence():
    X, y = make_data()
    model = make_estimator("sgd", standardize=False, learning_rate=1.4e-5, batch_size=20, epochs=20)
    with pytest.warns(UserWarning, match="diverged"):
        model.fit(X, y)
    assert model.t_ == 3 * (model.n_iter_ - 1) > 0
    display = LossCurveDisplay.from_estimator(model, x="updates", log_scale=True)
    assert display.lines_["sgd"].get_xdata()[-1] == 3 * model.n_iter_


def test_seconds_where_they_are_known():
    display = LossCurveDisplay(loss_curves={"mine": [3.0, 2.0]}, seconds={"mine": [0.5, 0.9]})
    assert display.plot(x="seconds") is display
    assert_drawn(display.lines_["mine"], [0.5, 0.9], [3.0, 2.0])
    assert display.ax_.get_xlabel() == "seconds"


def test_loss_curve_keywords_and_names():
    _, ax = plt.subplots()
    model = fitted(held_out=True)
    display = LossCurveDisplay.from_estimator(
        model, name="mine", ax=ax, line_kwargs={"color": "red"}, validation_kwargs={"linewidth": 3}
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.lines_["mine"].get_color() == "red"
    assert display.validation_lines_["mine"].get_linewidth() == 3
    assert display.plot(validation=False) is display
    assert display.ax_ is not ax
    assert not display.validation_lines_
    both = LossCurveDisplay.from_estimators([fitted("sgd"), fitted("sgd"), fitted("gd")])
    assert list(both.lines_) == ["sgd 0", "sgd 1", "gd"]


def test_part_of_a_validation_curve_is_not_drawn():
    X, y = make_data()
    model = fitted().partial_fit(X, y, X_val=X[:10], y_val=y[:10])
    assert not LossCurveDisplay.from_estimator(model).validation_lines_
    with pytest.raises(ValueError, match=r"'sgd' has 1 validation losses for 5 epochs.*early_stopping=True"):
        LossCurveDisplay.from_estimator(model, validation=True)


def test_label_names_the_loss():
    display = LossCurveDisplay.from_estimator(fitted(loss="quantile"))
    assert display.ax_.get_ylabel() == "mean quantile loss (units of y)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": "iterations"}, "x must be 'epochs', 'updates' or 'seconds'; got 'iterations'"),
        ({"x": "seconds"}, "keeps no times. SolverComparisonDisplay measures them"),
        ({"validation": True}, "'sgd' has 0 validation losses for 4 epochs. Give X_val and y_val"),
    ],
)
def test_loss_curve_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay.from_estimator(fitted(), **options)


def test_updates_must_be_known():
    with pytest.raises(ValueError, match="updates_per_epoch has no entry for 'mine'"):
        LossCurveDisplay(loss_curves={"mine": [1.0]}).plot(x="updates")


def test_loss_curve_needs_a_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LossCurveDisplay.from_estimator(make_estimator())


def test_loss_curves_share_a_loss():
    with pytest.raises(ValueError, match=r"must have one loss to share an axis; got \['huber', 'squared"):
        LossCurveDisplay.from_estimators([fitted(), fitted(loss="huber")])


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        (make_estimator(), TypeError, "a dict of names and estimators.*got GradientDescentRegressor.*one"),
        ({}, ValueError, "estimators is empty"),
        (
            {"piped": make_pipeline(StandardScaler(), make_estimator())},
            TypeError,
            r"'piped' must be a GradientDescentRegressor; got Pipeline.*pipeline\[-1\]",
        ),
    ],
)
def test_what_is_no_estimator_is_refused(estimators, error, message):
    X, y = make_data()
    for draw in (
        lambda: LossCurveDisplay.from_estimators(estimators),
        lambda: DescentPathDisplay.from_estimators(estimators, X, y),
        lambda: SolverComparisonDisplay.from_estimators(estimators, X, y),
    ):
        with pytest.raises(error, match=message):
            draw()


# --- descent paths


def test_path_of_the_plain_setting_is_record_path():
    X, y = make_data(features=1)
    models = {s: make_estimator(s, standardize=False, learning_rate=0.01, average=False) for s in SOLVERS}
    display = DescentPathDisplay.from_estimators(models, X, y, coordinates="data", max_updates=3)
    for name, model in models.items():
        _, coef, intercept = record_path(model, X, y, max_updates=3)
        assert len(coef) == 4
        assert_drawn(display.lines_[name], coef[:, 0, 0], intercept[:, 0])
        assert not hasattr(model, "coef_")
    assert_drawn(display.start_, [0.0], [0.0])
    best = LinearRegression().fit(X, y)
    np.testing.assert_allclose(display.minimum, [best.coef_[0], best.intercept_])
    assert_drawn(display.minimum_, *display.minimum[:, None])
    assert display.labels == ("coefficient of feature 0 (units of y per unit)", "intercept (units of y)")


def test_path_in_standardized_coordinates():
    X, y = make_data(features=1)
    model = make_estimator("momentum")
    display = DescentPathDisplay.from_estimator(model, X, y)
    _, coef, intercept = record_path(model, X, y)
    np.testing.assert_allclose(display.paths["momentum"][:, 0], coef[:, 0, 0] * X.std())
    np.testing.assert_allclose(
        display.paths["momentum"][:, 1], intercept[:, 0] + coef[:, 0, 0] * X.mean(), rtol=1e-12
    )
    # One standardised feature: the bowl is round.
    offset = np.hypot(display.xx0 - display.minimum[0], display.xx1 - display.minimum[1])
    np.testing.assert_allclose(display.response, display.least + offset**2)


@pytest.mark.parametrize("coordinates", ["data", "standardized"])
@pytest.mark.parametrize("parameters", [(0, 1), (2, "intercept"), ("intercept", -2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_surface_is_the_mean_squared_error(coordinates, parameters, weighted):
    X, y = make_data()
    weight = np.random.default_rng(1).integers(0, 3, len(y)) if weighted else None
    model = make_estimator("adam")
    display = DescentPathDisplay.from_estimator(
        model,
        X,
        y,
        parameters=parameters,
        sample_weight=weight,
        coordinates=coordinates,
        grid_resolution=7,
    )
    fit = record_path(model, X, y, weight)[0]
    mean, scale = np.zeros(3), np.ones(3)
    if coordinates == "standardized":
        mean = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    for i, j in ((0, 0), (3, 5), (6, 2)):
        theta = {**dict(enumerate(fit.coef_ * scale)), "intercept": fit.intercept_ + fit.coef_ @ mean}
        for parameter, value in zip(parameters, (display.xx0[i, j], display.xx1[i, j]), strict=True):
            theta[parameter if parameter == "intercept" else parameter % 3] = value
        coef = np.array([theta[k] for k in range(3)])
        expected = mean_squared_error((X - mean) / scale, y, coef, theta["intercept"], weight)
        assert display.response[i, j] == pytest.approx(expected, rel=1e-9)
    assert display.response.min() >= display.least
    levels = display.contour_.levels
    assert display.least < levels[0] < levels[-1] < display.response.max()


def test_everything_is_within_the_axes():
    X, y = make_data()
    display = DescentPathDisplay.from_estimators([make_estimator(s) for s in SOLVERS], X, y)
    points = np.vstack([*display.paths.values(), display.minimum])
    for low_high, values in ((display.ax_.get_xlim(), points[:, 0]), (display.ax_.get_ylim(), points[:, 1])):
        assert low_high[0] < values.min() < values.max() < low_high[1]


def test_a_path_along_one_axis_gets_a_plane():
    X, y = make_data(features=1)
    display = DescentPathDisplay.from_estimator(make_estimator("gd", epochs=200), X, y)
    assert np.ptp(display.paths["gd"][:, 1]) < 1e-9
    low, high = display.ax_.get_ylim()
    assert high - low > 0.3 * np.ptp(display.ax_.get_xlim())


def test_path_in_a_data_frame_and_a_sparse_matrix():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = make_estimator("sgd", epochs=1)
    display = DescentPathDisplay.from_estimator(model, X, y, parameters=("bmi", "bp"))
    assert display.labels[0] == "coefficient of bmi (units of y per standard deviation)"
    assert display.labels[1] == "coefficient of bp (units of y per standard deviation)"
    options = {"parameters": (2, "intercept"), "coordinates": "data"}
    dense = DescentPathDisplay.from_estimator(model.set_params(standardize=False), X, y, **options)
    rows = sparse.csr_array(X.to_numpy())
    thin = DescentPathDisplay.from_estimator(model, rows, y, **options)
    np.testing.assert_allclose(thin.response, dense.response)


def test_path_without_intercept():
    X, y = make_data()
    model = make_estimator("gd", fit_intercept=False)
    display = DescentPathDisplay.from_estimator(model, X, y, parameters=(0, 1))
    _, coef, _ = record_path(model, X, y)
    scale = np.sqrt(np.mean(X**2, axis=0))
    np.testing.assert_allclose(display.paths["gd"], coef[:, 0, :2] * scale[:2])


def test_path_keywords():
    X, y = make_data()
    _, ax = plt.subplots()
    display = DescentPathDisplay.from_estimator(
        make_estimator(), X, y, name="mine", ax=ax, path_kwargs={"linewidth": 4}, contour_kwargs={"levels": 3}
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.lines_["mine"].get_linewidth() == 4
    assert display.plot() is display


def test_a_smooth_path_lies_above_a_winding_one():
    X, y = make_data()
    models = [make_estimator(s, epochs=100, batch_size=1) for s in ("gd", "sgd")]
    display = DescentPathDisplay.from_estimators(models, X, y)
    assert display.lines_["gd"].get_zorder() > display.lines_["sgd"].get_zorder()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": (0, 1, 2)}, r"parameters must be two of.*got \(0, 1, 2\)"),
        ({"parameters": "intercept"}, "parameters must be two of.*got 'intercept'"),
        ({"parameters": (0, "bmi")}, "got 'bmi', but X has no feature names: use an index"),
        ({"parameters": (0, 3)}, "got 3, but X has 3 features"),
        ({"parameters": (1, -2)}, r"two different ones; got \(1, -2\)"),
        ({"coordinates": "raw"}, "coordinates must be 'standardized' or 'data'; got 'raw'"),
        ({"max_updates": 0}, "max_updates must be an integer of at least 1; got 0"),
        ({"sample_weight": np.zeros(60)}, "at least one non-zero"),
    ],
)
def test_path_refuses(options, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        DescentPathDisplay.from_estimator(make_estimator(), X, y, **options)


def test_path_refuses_an_unknown_name():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    with pytest.raises(ValueError, match=r"got 'weight', but the features are \['age', 'sex', 'bmi'"):
        DescentPathDisplay.from_estimator(make_estimator(), X, y, parameters=("bmi", "weight"))


def test_path_refuses_several_outputs():
    X, y = make_data()
    with pytest.raises(ValueError, match="y has 2 outputs, expected one"):
        DescentPathDisplay.from_estimator(make_estimator(), X, np.column_stack([y, y]))


def test_path_refuses_another_loss():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"'sgd' has loss='huber'. Set loss='squared_error'"):
        DescentPathDisplay.from_estimator(make_estimator(loss="huber"), X, y)


def test_path_refuses_a_constant_feature():
    X, y = make_data()
    X[:, 1] = 7.1
    with pytest.raises(ValueError, match=r"Feature 1 is constant.*coordinates='data'"):
        DescentPathDisplay.from_estimator(make_estimator(), X, y)


# --- comparison of solvers


def test_comparison_draws_the_loss_after_each_epoch():
    X, y = make_data()
    display = SolverComparisonDisplay.from_data(X, y, epochs=5, random_state=0)
    assert list(display.losses) == list(SOLVERS)
    best = np.mean((y - LinearRegression().fit(X, y).predict(X)) ** 2)
    assert display.least_squares == pytest.approx(best)
    for solver in SOLVERS:
        for epochs in (1, 5):
            model = make_estimator(solver, epochs=epochs).fit(X, y)
            expected = mean_squared_error(X, y, model.coef_, model.intercept_)
            assert display.losses[solver][epochs - 1] == pytest.approx(expected)
        excess = display.losses[solver] - display.least_squares
        assert_drawn(display.lines_[solver], [1, 2, 3, 4, 5], excess)
        assert_drawn(display.seconds_lines_[solver], display.seconds[solver], excess)
        assert (np.diff(display.seconds[solver]) >= 0.0).all()
        assert display.lines_[solver].get_color() == display.seconds_lines_[solver].get_color()
    assert len({str(line.get_linestyle()) for line in display.lines_.values()}) == len(SOLVERS)
    assert [axes.get_xlabel() for axes in display.axes_] == ["epoch", "seconds"]
    assert display.axes_[0].get_ylabel() == (
        "training mean squared error\nabove least squares (units of y squared)"
    )


def test_comparison_on_held_out_rows():
    X, y = make_data()
    base = make_estimator(early_stopping=True, loss="squared_error")
    display = SolverComparisonDisplay.from_data(
        X[:40], y[:40], solvers="sgd", estimator=base, epochs=3, X_val=X[40:], y_val=y[40:]
    )
    model = make_estimator("sgd", epochs=3).fit(X[:40], y[:40])
    expected = mean_squared_error(X[40:], y[40:], model.coef_, model.intercept_)
    assert display.losses["sgd"][-1] == pytest.approx(expected)
    assert_drawn(display.lines_["sgd"], [1, 2, 3], display.losses["sgd"])
    assert display.axes_[0].get_ylabel().startswith("validation mean squared error")


def test_comparison_of_estimators_on_given_axes():
    X, y = make_data()
    _, axes = plt.subplots(1, 2)
    models = {"small": make_estimator(batch_size=4), "large": make_estimator(schedule="cosine")}
    display = SolverComparisonDisplay.from_estimators(
        models, X, np.column_stack([y, -y]), epochs=3, ax=axes, line_kwargs={"linewidth": 3}
    )
    assert list(display.axes_) == list(axes)
    assert display.figure_ is axes[0].figure
    assert display.lines_["small"].get_linewidth() == 3
    assert not hasattr(models["small"], "coef_")
    assert display.plot(excess=False, log_scale=False) is display
    assert_drawn(display.lines_["large"], [1, 2, 3], display.losses["large"])
    assert display.axes_[0].get_yscale() == "linear"


def test_comparison_with_another_loss_has_no_least_squares():
    X, y = make_data()
    models = [make_estimator(loss="huber"), make_estimator("adam", loss="huber")]
    display = SolverComparisonDisplay.from_estimators(models, sparse.csr_matrix(X), y, epochs=2)
    assert display.least_squares is None
    assert display.axes_[0].get_ylabel() == "training mean huber loss\n(units of y squared)"
    with pytest.raises(ValueError, match=r"excess=True needs the loss of least squares.*'huber'"):
        display.plot(excess=True)


def test_times_far_apart_get_a_log_scale_and_converged_losses_a_floor():
    losses = {"slow": np.array([9.0, 3.0]), "quick": np.array([3.0, 1.0 + 1e-15])}
    seconds = {"slow": np.array([1.0, 20.0]), "quick": np.array([0.01, 0.02])}
    display = SolverComparisonDisplay(losses=losses, seconds=seconds, least_squares=1.0).plot()
    assert display.axes_[1].get_xscale() == "log"
    assert display.axes_[0].get_ylim()[0] == pytest.approx(1e-8)
    near = SolverComparisonDisplay(losses=losses, seconds=dict.fromkeys(losses, np.array([1.0, 2.0])))
    assert near.plot().axes_[1].get_xscale() == "linear"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solvers": ("sgd", "newton")}, "'solver' parameter must be one of.*got 'newton'"),
        ({"epochs": 0}, "'epochs' parameter must be.*got 0"),
        ({"X_val": np.ones((2, 3))}, "X_val and y_val must be given together"),
    ],
)
def test_comparison_refuses(options, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        SolverComparisonDisplay.from_data(X, y, **{"epochs": 1, **options})


def test_comparison_needs_two_axes():
    _, ax = plt.subplots()
    display = SolverComparisonDisplay(losses={"a": np.ones(1)}, seconds={"a": np.ones(1)})
    with pytest.raises(ValueError, match=r"two axes.*got 1. Make them with plt.subplots\(1, 2\)"):
        display.plot(ax)


# --- without matplotlib


def test_missing_matplotlib_is_said_before_training(monkeypatch):
    X, y = make_data()
    model = fitted()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setattr(GradientDescentRegressor, "_train", None)
    for draw in (
        lambda: LossCurveDisplay.from_estimator(model),
        lambda: DescentPathDisplay.from_estimator(model, X, y),
        lambda: SolverComparisonDisplay.from_data(X, y),
    ):
        with pytest.raises(ImportError, match=r"Display needs matplotlib.*pip install matplotlib"):
            draw()
