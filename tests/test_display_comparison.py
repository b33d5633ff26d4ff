"""What SolverComparisonDisplay draws, and what it refuses."""

import numpy as np
import pytest
from drawing import SOLVERS, assert_drawn, make_data, make_estimator, mean_squared_error, plt
from scipy import sparse
from sklearn.linear_model import LinearRegression

from sklearn_sgdopt import SolverComparisonDisplay


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
