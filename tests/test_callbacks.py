"""scikit-learn's callbacks: told of each epoch, able to stop, nested in other estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

X, Y = load_diabetes(return_X_y=True)


class Recorder:
    """Keeps what it is told, and wants to stop once ``last`` epochs have ended."""

    def __init__(self, last=None):
        self.last = last
        self.begun, self.ended, self.scores = [], [], []

    def setup(self, estimator, context):
        self.begun.append("setup")

    def teardown(self, estimator, context):
        self.ended.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.ended.append((context.task_name, context.task_id))
        self.scores.append(r2_score(y, fitted_estimator.predict(X)))
        return context.task_name == "epoch" and self.last is not None and context.task_id + 1 >= self.last


@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
@pytest.mark.parametrize("average", [True, False])
def test_each_epoch_is_a_task_with_the_parameters_of_that_moment(solver, average):
    recorder = Recorder()
    model = GradientDescentRegressor(solver, epochs=4, tol=None, average=average, random_state=0)
    watched = clone(model).set_callbacks(recorder).fit(X, Y)
    epochs = [("epoch", i) for i in range(4)]
    assert recorder.begun == ["setup", ("fit", 0), *epochs]
    assert recorder.ended == [*epochs, ("fit", 0), "teardown"]
    scores = [clone(model).set_params(epochs=k).fit(X, Y).score(X, Y) for k in (1, 2, 3, 4, 4)]
    np.testing.assert_allclose(recorder.scores, scores, rtol=1e-12)
    np.testing.assert_array_equal(watched.coef_, model.fit(X, Y).coef_)


@pytest.mark.parametrize("solver", ["gd", "adam"])
def test_a_callback_stops_the_training(solver):
    recorder = Recorder(last=3)
    model = GradientDescentRegressor(solver, epochs=50, tol=None, random_state=0)
    model.set_callbacks(recorder).fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert len(recorder.begun) == len(recorder.ended)


def test_every_task_that_begins_also_ends():
    recorder = Recorder()
    model = GradientDescentRegressor(epochs=200, early_stopping=True, random_state=0).set_callbacks(recorder)
    model.fit(X, Y)
    assert model.n_iter_ < 200
    begun = [task for task in recorder.begun if task != "setup"]
    assert sorted(begun) == sorted(task for task in recorder.ended if task != "teardown")


def test_a_stream_tells_of_each_chunk():
    recorder = Recorder()
    model = GradientDescentRegressor(random_state=0).set_callbacks(recorder)
    for start in (0, 100, 200):
        model.partial_fit(X[start : start + 100], Y[start : start + 100])
    assert recorder.ended == [("epoch", 0), ("fit", 0), "teardown"] * 3


def test_scoring_monitor_logs_each_epoch():
    monitor = callback.ScoringMonitor(scoring="r2")
    model = GradientDescentRegressor(epochs=5, tol=None, random_state=0).set_callbacks(monitor).fit(X, Y)
    scores = [row["r2"] for row in monitor.get_logs().data]
    assert len(scores) == 6  # five epochs and the fit
    assert scores[-1] == pytest.approx(model.score(X, Y))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_callbacks_see_frames_as_they_are_given(method):
    frame = load_diabetes(as_frame=True).data
    monitor = callback.ScoringMonitor(scoring="r2")
    model = GradientDescentRegressor(epochs=3, tol=None, random_state=0).set_callbacks(monitor)
    for _ in range(3):  # without a warning about names
        getattr(model, method)(frame, Y)
        scores = [row["r2"] for row in monitor.get_logs().data]
        assert scores[-1] == pytest.approx(model.score(frame, Y))


@pytest.mark.parametrize("nest", [
    lambda model: make_pipeline(StandardScaler(), model),
    lambda model: GridSearchCV(model, {"solver": ["sgd", "adam"]}, cv=2),
])  # fmt: skip
def test_progress_bar_nests(nest, capsys):
    pytest.importorskip("rich", reason="ProgressBar is drawn by rich")
    outer = nest(GradientDescentRegressor(epochs=3, tol=None, random_state=0))
    if not hasattr(outer, "set_callbacks"):
        pytest.fail("the installed scikit-learn cannot nest callbacks")
    outer.set_callbacks(callback.ProgressBar()).fit(X, Y)
    assert "GradientDescentRegressor" in capsys.readouterr().out
