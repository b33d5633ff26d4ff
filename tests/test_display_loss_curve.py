"""What LossCurveDisplay draws, and what it refuses."""

import numpy as np
import pytest
from drawing import SOLVERS, assert_drawn, fitted, make_data, make_estimator, plt
from sklearn.exceptions import NotFittedError

from sklearn_sgdopt import LossCurveDisplay


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
