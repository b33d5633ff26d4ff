"""What DescentPathDisplay draws, and what it refuses."""

from typing import Any

import numpy as np
import pytest
from drawing import SOLVERS, assert_drawn, make_data, make_estimator, mean_squared_error, plt
from matplotlib.animation import AbstractMovieWriter
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from sklearn_sgdopt import DescentPathDisplay
from sklearn_sgdopt._path import record_path


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
        theta: dict[int | str, float] = dict(enumerate(fit.coef_ * scale))
        theta["intercept"] = fit.intercept_ + fit.coef_ @ mean
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
    options: dict[str, Any] = {"parameters": (2, "intercept"), "coordinates": "data"}
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


# --- animation


@pytest.mark.slow
class Watching(AbstractMovieWriter):
    """Looks at each frame instead of writing it."""

    def __init__(self, look):
        super().__init__()
        self.look = look

    def setup(self, fig, outfile, dpi=None):
        super().setup(fig, outfile, dpi)

    def grab_frame(self, **_):
        self.look()

    def finish(self):
        """There is no file."""


def test_paths_grow_together_to_what_is_drawn(tmp_path):
    X, y = make_data()
    models = {
        "short": make_estimator("gd", epochs=5),
        "long": make_estimator("sgd", epochs=40, batch_size=20),
    }
    display = DescentPathDisplay.from_estimators(models, X, y, max_updates=100)
    animation = display.animate(frames=7, interval=40)
    assert display.paths["short"].shape == (6, 2)
    assert display.paths["long"].shape == (101, 2)
    shown = [0, 17, 33, 50, 67, 83, 100]
    assert list(animation.new_frame_seq()) == shown
    due = iter(shown)

    def look():
        update = next(due)
        for name, path in display.paths.items():
            assert_drawn(display.lines_[name], *path[: update + 1].T)
        assert display.ax_.get_title().endswith(f"\nupdate {update} of 100")
        assert display.lines_["long"].get_markevery() == [update]

    animation.save(tmp_path / "none", writer=Watching(look))
    assert not [*due]
    assert animation.to_jshtml(embed_frames=True).count("data:image/png;base64") == len(shown)
    assert animation._repr_html_() == animation.to_jshtml()


def test_an_animation_has_no_more_frames_than_updates():
    X, y = make_data()
    _, ax = plt.subplots()
    display = DescentPathDisplay.from_estimator(make_estimator("gd"), X, y)
    animation = display.animate(ax, path_kwargs={"linewidth": 3})
    assert list(animation.new_frame_seq()) == [0, 1, 2, 3, 4]
    assert display.ax_ is ax
    assert display.line_.get_linewidth() == 3
    animation.to_jshtml()
    with pytest.raises(ValueError, match="frames must be an integer of at least 2; got 1"):
        display.animate(frames=1)


def test_grid_keywords():
    X, y = make_data()
    display = DescentPathDisplay.from_estimator(make_estimator(), X, y, grid_resolution=5, margin=1.0)
    assert display.response.shape == (5, 5)
    near = DescentPathDisplay.from_estimator(make_estimator(), X, y)
    assert display.xx0.min() < near.xx0.min() < near.xx0.max() < display.xx0.max()
