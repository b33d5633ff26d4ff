"""The compiled loops on a dozen rows, in every combination of what they can do, update by update."""

import itertools
import pickle

import numba
import numpy as np
import pytest
from conftest import INTERPRETED
from reference import LOSSES, Descent, assert_close, loss_and_slope
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor, _kernels, _plan, _training
from sklearn_sgdopt._full_batch import moments_pay
from sklearn_sgdopt._objective import SMOOTH_LOSSES
from sklearn_sgdopt._optimizer_state import OptimizerState
from sklearn_sgdopt._path import record_path
from sklearn_sgdopt._rows import sampled_rows
from sklearn_sgdopt._standardize import Coordinates, RunningMoments

RULES = {
    "gd": {"solver": "gd", "learning_rate": 0.05},
    "sgd": {"solver": "sgd", "learning_rate": 1 / 32},
    "momentum": {"solver": "momentum", "learning_rate": 0.01, "momentum": 0.8},
    "nesterov": {"solver": "momentum", "learning_rate": 0.01, "nesterov": True},
    "adam": {"solver": "adam", "learning_rate": 0.05, "beta_2": 0.99, "epsilon": 1e-4},
}
PENALTIES = {
    "none": ({}, {}),
    "l2": ({"penalty": "l2", "alpha": 0.3}, {"l2": 0.3}),
    "l1": ({"penalty": "l1", "alpha": 0.2}, {"l1": 0.2}),
    "elasticnet": ({"penalty": "elasticnet", "alpha": 0.4, "l1_ratio": 0.25}, {"l1": 0.1, "l2": 0.3}),
}
SCHEDULES = ("constant", "invscaling", "cosine", "adaptive")
ROWS, EPOCHS = 12, 4


def in_halves(X):
    """Return CSR rows that hold each value as two halves."""
    X = sparse.csr_array(X)
    return sparse.csr_array((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)


FORMS = {"dense": np.asarray, "csr": sparse.csr_array, "halves": in_halves}


def tiny(outputs=1, seed=0):
    """Return rows with zeros, one of them and one column nothing else; targets; weights, one of them zero."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.5, 1.5, (ROWS, 4)) * (rng.random((ROWS, 4)) < 0.6) * [1.0, -1.0, 0.5, 0.0]
    X[3] = 0.0
    y = X @ rng.normal(size=(4, outputs)) + rng.normal(size=(ROWS, outputs)) + 1.0
    weight = rng.uniform(0.2, 2.0, ROWS)
    weight[5] = 0.0
    return X, y[:, 0] if outputs == 1 else y, weight


def coordinates_of(model, X, weight, *, centred):
    """Centre and inverse scale of the columns, from their definition."""
    if not model.standardize:
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    mean = np.average(X, axis=0, weights=weight)
    square = np.average((X - mean * model.fit_intercept) ** 2, axis=0, weights=weight)
    inverse = np.divide(1.0, np.sqrt(square), out=np.zeros_like(square), where=square > 0.0)
    return mean * (centred and model.fit_intercept), inverse


def plateaus(losses, patience):
    """Count the cuts of the adaptive rate: after so many epochs without a new least objective."""
    best, since, cuts = np.inf, 0, 0
    for loss in losses:
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since == patience:
            since, cuts = 0, cuts + 1
    return cuts


def settled(a, b, X, y, weight, loop, curvature):
    """Return averages after proximal steps on all rows, for squared error."""
    weight = np.ones(len(y)) if weight is None else weight
    rate = 1.0 / (curvature + loop.l2)
    for _ in range(_training.SETTLING):
        slope = 2.0 * (X @ a.T + b - y) * (weight / weight.sum())[:, None]
        a = a - rate * (slope.T @ X + loop.l2 * a)
        a = np.sign(a) * np.maximum(np.abs(a) - rate * loop.l1, 0.0)
        b = b - rate * slope.sum(axis=0)
    return a, b


def assert_same_path(model, form, data, *, relative=1e-10, max_updates=1000, **loop_options):
    """Assert that every iterate, the losses and what is reported are those of the hand-written loop."""
    X, y, weight = data
    fitted, coef, intercept = record_path(model, FORMS[form](X), y, weight, max_updates=max_updates)
    rate = loop_options.pop("rate", model.learning_rate)
    forgetting = _plan.GD_FORGETTING if model.solver == "gd" else _plan.FORGETTING
    names = ("fit_intercept", "momentum", "beta_1", "beta_2", "epsilon", "nesterov", "loss", "quantile")
    settings = {name: getattr(model, name) for name in names} | {"forgetting": forgetting, "rate": rate}
    settings |= {"delta": 1.0 if model.delta == "auto" else model.delta, **loop_options}
    batch_size = min(model.batch_size, ROWS)
    loop = Descent(
        model.solver, coef.shape[1], X.shape[1], batch_size=batch_size, intercept=intercept[0], **settings
    )
    center, inverse = coordinates_of(model, X, weight, centred=form == "dense")
    objectives = []
    for _ in range(model.epochs):
        loop.epoch((X - center) * inverse, y, weight)
        penalties = loop.l1 * np.abs(loop.a).sum() + loop.l2 / 2 * (loop.a**2).sum()
        objectives.append(loop.losses[-1] + penalties / len(loop.a))
        if model.schedule == "adaptive":
            loop.rate = rate / 5.0 ** plateaus(objectives, model.n_iter_no_change)
    assert (fitted.t_, fitted.n_iter_) == (loop.t, model.epochs)
    assert_close(fitted.loss_curve_, loop.losses, relative)
    assert np.allclose(fitted.learning_rate_, loop.rate, rtol=1e-14, atol=0.0)
    path = loop.path[: max_updates + 1]
    assert_close(coef, [a * inverse for a, _ in path], relative)
    assert_close(intercept, [b - a * inverse @ center for a, b in path], relative)
    a, b = loop.average if fitted.average else (loop.a, loop.b)
    if loop.l1 and model.learning_rate == "auto":
        a, b = settled(a, b, (X - center) * inverse, y, weight, loop, fitted._state.curvature.mean)
    elif loop.l1 and model.loss in SMOOTH_LOSSES:
        # A small average of steps that end at zero is reported as zero.
        a = np.where((loop.a == 0.0) & (np.abs(a) <= loop.l1), 0.0, a)
    assert_close(np.atleast_2d(fitted.coef_), a * inverse, relative)
    assert_close(np.atleast_1d(fitted.intercept_), b - a * inverse @ center, relative)
    return fitted


def make(rule, **options):
    return GradientDescentRegressor(
        **RULES[rule] | {"tol": None, "epochs": EPOCHS, "shuffle": False} | options
    )


def cases():
    """Each rule with each loss, penalty and form, and all else drawn at random."""
    rng = np.random.default_rng(0)
    for rule, loss, penalty, form in itertools.product(RULES, LOSSES, PENALTIES, FORMS):
        options = {
            "schedule": SCHEDULES[rng.integers(4)],
            "batch_size": int(rng.choice([1, 5, 100])),
            **{name: bool(rng.integers(2)) for name in ("standardize", "average", "fit_intercept")},
        }
        yield pytest.param(
            *(rule, loss, penalty, form, options, int(rng.integers(1, 3)), bool(rng.integers(2))),
            id="-".join([rule, loss, penalty, form]),
        )


@pytest.mark.parametrize(("rule", "loss", "penalty", "form", "options", "outputs", "weighted"), list(cases()))
def test_paths_are_the_formulas(rule, loss, penalty, form, options, outputs, weighted):
    X, y, weight = tiny(outputs)
    terms, strengths = PENALTIES[penalty]
    model = make(rule, loss=loss, **LOSSES[loss], **terms, **options, power_t=0.5, n_iter_no_change=1)
    if model.schedule == "invscaling":
        strengths = strengths | {"power": 0.5}
    if model.schedule == "cosine":
        batch_size = 12 if rule == "gd" else min(model.batch_size, 12)
        strengths = strengths | {"horizon": EPOCHS * -(-ROWS // batch_size)}
    assert_same_path(model, form, (X, y, weight if weighted else None), **strengths)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("rule", RULES)
def test_full_batches_of_standardised_rows(rule, penalty, fit_intercept, average):
    """Squared error on dense rows is trained on their second moments."""
    terms, strengths = PENALTIES[penalty]
    model = make(rule, **terms, average=average, fit_intercept=fit_intercept, batch_size=100, epochs=30)
    assert_same_path(model, "dense", tiny(outputs=2), **strengths)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
def test_a_short_batch_counts_less_at_the_automatic_rate(rule, form, penalty):
    X, y, weight = tiny(outputs=2)
    terms, strengths = PENALTIES[penalty]
    model = make(rule, **terms, batch_size=5, average=True, learning_rate="auto")
    rate = model.fit(FORMS[form](X), y, weight).learning_rate_[0]
    assert_same_path(model, form, (X, y, weight), rate=rate, whole=5, **strengths)


@pytest.mark.parametrize(("form", "shrinking", "average"), [
    *itertools.product(FORMS, [0.5, 0.999, 1.0, 1.001, 1.5], [False, True]),
])  # fmt: skip
def test_a_penalty_that_shrinks_to_nothing(form, shrinking, average):
    """A factor that stands for all coefficients falls to 1e-36 in an epoch, to 0, or changes sign."""
    alpha = shrinking / RULES["sgd"]["learning_rate"]
    model = make("sgd", penalty="l2", alpha=alpha, batch_size=1, average=average, standardize=False)
    assert_same_path(model, form, tiny(outputs=2), l2=alpha)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_a_path_may_be_longer_than_what_is_kept_of_it(rule, form):
    assert_same_path(make(rule, batch_size=5, average=True), form, tiny(), max_updates=2)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_descent_starts_where_it_is_told(rule, form, standardize, fit_intercept):
    X, y, weight = tiny(outputs=2)
    coef, intercept = np.arange(1.0, 9.0).reshape(2, 4), np.array([-1.0, 2.0])
    coef[:, 3] = 0.0  # of a column that does not vary
    for given in ((coef, intercept), (coef, None), (None, intercept), (None, None)):
        slopes = np.zeros((2, 4)) if given[0] is None else coef
        constants = given[1]
        if constants is None:  # through the means, or in the data's own coordinates at zero
            constants = np.average(y - X @ slopes.T, axis=0, weights=weight) * standardize
        model = make(
            rule, standardize=standardize, fit_intercept=fit_intercept, learning_rate=1e-14, epochs=1
        )
        model.fit(FORMS[form](X), y, weight, *given)
        np.testing.assert_allclose(model.coef_, slopes, rtol=0.0, atol=1e-10)
        np.testing.assert_allclose(model.intercept_, constants * fit_intercept, rtol=0.0, atol=1e-10)


def test_new_coordinates_leave_the_functions_as_they_were():
    """Columns keep their scale, change it, begin to vary, and stand still at their new centre."""
    rng = np.random.default_rng(0)
    state = OptimizerState.start(2, 4, rng)
    state.coordinates = Coordinates(rng.normal(size=4), np.array([2.0, 3.0, 0.0, 0.5, 1.0]))
    new = Coordinates(rng.normal(size=4), np.array([2.0, 0.1, 4.0, 0.0, 1.0]))
    state.stack[...] = rng.normal(size=state.stack.shape)
    before = state.stack.copy()
    X = rng.normal(size=(6, 4))
    X[:, 3] = new.center[3]

    def values(theta):
        coef, intercept = state.coordinates.to_data_units(theta)
        return X @ coef.T + intercept

    expected = values(state.theta), values(state.average)
    state.change_coordinates(new)
    assert state.coordinates is new
    assert_close((values(state.theta), values(state.average)), expected, 1e-14)
    # Moments are of gradients, which grow as the columns do.
    ratio = np.array([1.0, 0.1 / 3.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(state.stack[1], before[1] * ratio, rtol=1e-15)
    np.testing.assert_allclose(state.stack[2], before[2] * ratio**2, rtol=1e-15)


@pytest.mark.parametrize(("rows", "features", "epochs", "expected"), [
    (10, 128, 1, True),  # so that k epochs are as k calls with one
    (10_000, 200, 1, False),  # a product of matrices for one pass over the rows
    (10_000, 200, 1000, True),
    (600, 200, 1000, False),  # an epoch costs as much on moments
])  # fmt: skip
def test_moments_are_formed_where_that_is_cheaper(rows, features, epochs, expected):
    assert moments_pay(rows, features, epochs) == expected


# ------------------------------------------------------------------------------------------------ leaves


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_their_slopes(loss):
    delta, quantile = 0.5, 0.8
    for residual in (-2.0, -0.5, -0.25, -0.0, 0.0, 0.25, 0.5, 2.0):
        actual = _kernels.point_loss(_kernels.LOSSES[loss], residual, delta, quantile)
        expected = np.array(loss_and_slope(loss, np.float64(residual), delta, quantile))
        np.testing.assert_allclose(actual, expected, rtol=1e-15, atol=0.0)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_bias_correction_is_one_to_rounding_where_it_is_left_out(beta):
    for t in (1, 2, 79, 80, 81, 399, 401, 39_999, 40_001):
        assert _kernels.bias_correction(beta, t) == pytest.approx(1.0 / (1.0 - beta**t), rel=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("rows", "features"), [(1, 3), (200, 3), (7, 3000), (5, 9000)])
def test_moments_of_columns_far_from_zero(rows, features, weighted):
    """Blocks are of 8192 values: the first and the last row may be one each, and without weight."""
    rng = np.random.default_rng(0)
    X = 1e6 + rng.normal(size=(rows, features))
    weight = (
        rng.uniform(0.0, 2.0, rows) * (np.arange(rows) % 4 > 0) + (rows == 1) if weighted else np.empty(0)
    )
    moments = RunningMoments.of(X, weight)
    given = weight if weighted else None
    mean = np.average(X - 1e6, axis=0, weights=given)
    assert moments.mass == pytest.approx(weight.sum() if weighted else rows, rel=1e-14)
    np.testing.assert_allclose(moments.mean - 1e6, mean, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(
        moments.variance, np.average((X - 1e6 - mean) ** 2, axis=0, weights=given), rtol=1e-8
    )


@pytest.mark.parametrize(("total", "stride"), [(10, 1), (10, 3), (1000, 7), (24 * 400, 2), (24 * 400, 24)])
def test_a_sample_takes_a_row_of_each_stride_and_keeps_no_step(total, stride):
    sample = np.arange(total)[sampled_rows(total, stride)]
    assert np.array_equal(sample // stride, np.arange(-(-total // stride)))
    assert np.array_equal(sample, np.arange(total)[sampled_rows(total, stride)])
    if total >= 24 * 400:
        hours = np.bincount(sample % 24, minlength=24) / len(sample)
        assert np.all(np.abs(hours - 1 / 24) < 0.02)  # none of them is missed


@pytest.fixture
def orders(monkeypatch):
    """Return a list that takes the orders in which rows are visited, one a fit."""
    made, make_order = [], _training.make_order

    def recorded(*sizes, **options):
        made.append(make_order(*sizes, **options))
        return made[-1]

    monkeypatch.setattr(_training, "make_order", recorded)
    return made


SIZES = [(2, 1), (100, 3), (4099, 3), (4992, 3), (3072, 40), (300, 600)]


@pytest.mark.parametrize(("rows", "features"), SIZES)
def test_shuffled_rows_are_a_permutation_that_keeps_locality(rows, features, orders):
    nothing = sparse.csr_array((rows, features))
    for seed in (0, 0, 3):
        options = {"batch_size": rows - 1, "epochs": 1, "tol": None, "standardize": False}
        GradientDescentRegressor("sgd", **options, random_state=seed).fit(nothing, np.arange(rows))
        assert np.array_equal(np.sort(orders[-1].rows), np.arange(rows))
    first, again, other = orders
    assert np.array_equal(again.rows, first.rows)
    assert rows == 2 or not np.array_equal(other.rows, first.rows)
    size = first.block_rows
    assert first.window_rows == 128 * size
    if rows % size == 0:  # else a window may end between two multiples of its size
        for start in range(0, rows - 2 * first.window_rows + 1, first.window_rows):
            window = first.rows[start : start + first.window_rows]
            _, counts = np.unique(window // size, return_counts=True)
            assert np.all(counts == size)


@pytest.mark.skipif(not INTERPRETED, reason="what compiled loops ask of the cache cannot be seen")
@pytest.mark.parametrize("form", ["dense", "csr"])
def test_rows_are_asked_for_once_and_before_they_are_read(form, orders, monkeypatch):
    rows, features, ahead = 64, 3, 5
    X = np.random.default_rng(0).normal(size=(rows, features))
    X[::5] = 0.0
    asked, read, point_loss = {}, [], _kernels.point_loss

    def prefetch(array, start, stop):
        assert 0 <= start <= stop <= array.size
        spans = asked.setdefault((array.shape, array.dtype), [])
        spans.extend((index, len(read)) for index in range(start, stop))

    monkeypatch.setattr(_kernels, "prefetch", prefetch)
    monkeypatch.setattr(_kernels, "prefetch_one", lambda array, place: prefetch(array, place, place + 1))
    monkeypatch.setattr(_kernels, "point_loss", lambda *values: read.append(1) or point_loss(*values))
    monkeypatch.setattr(_kernels, "NEAR_ROWS", ahead)
    model = GradientDescentRegressor("sgd", batch_size=1, epochs=1, tol=None, random_state=0)
    model.fit(FORMS[form](X), X[:, 0])

    def elements(dtype, *shape):
        """Return when each element of an array was asked for; none twice."""
        times = asked[shape, np.dtype(dtype)]
        assert len(times) == len(dict(times))
        return dict(times)

    targets = elements(np.float64, rows, 1)
    visited = orders[0].rows
    assert len(read) == rows
    assert targets == {row: position for position, row in enumerate(visited[ahead:])}
    if form == "dense":
        assert set(targets) == {i // features for i in elements(np.float64, rows, features)}
    else:
        values = np.count_nonzero(X[[*targets]])
        assert len(elements(np.float64, np.count_nonzero(X))) == values
        assert len(elements(np.uint32, np.count_nonzero(X))) == values


def test_kernels_are_compiled_without_a_cache_where_none_can_be(monkeypatch):
    njit, asked = numba.njit, []

    def refuse(**options):
        asked.append(options.pop("cache", False))
        if asked[-1]:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refuse)
    assert _kernels.jit(lambda x: 2.0 * x)(1.5) == 3.0
    assert asked == [True, False]


def test_a_record_of_another_version_can_be_unpickled():
    """Numba reads the records in the index of its cache before it sees that the index is out of date."""
    record = pickle.loads(b"csklearn_sgdopt._kernels\nFormerRecord\n.")
    assert issubclass(record, tuple)
    with pytest.raises(AttributeError, match="no attribute 'former_function'"):
        _kernels.former_function  # noqa: B018
