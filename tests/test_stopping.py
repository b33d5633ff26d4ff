"""When training ends: `tol`, the adaptive rate, held-out rows, divergence; and what is said of it."""

import re
from typing import Any

import numpy as np
import pytest
from cases import rules_at
from reference import Descent, assert_close, loss_and_slope
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt import GradientDescentRegressor, _samples, _training
from sklearn_sgdopt._kernels import sampled_rows
from sklearn_sgdopt._stopping import Patience

RULES = rules_at(0.02, gd=0.1, sgd=0.05, adam=0.1)
for name in ("momentum", "nesterov"):
    RULES[name]["momentum"] = 0.5
RULES["adam"]["epsilon"] = 1e-2
PENALTIES = {
    "none": ({}, {}),
    "elasticnet": ({"penalty": "elasticnet", "alpha": 0.2, "l1_ratio": 0.5}, {"l1": 0.1, "l2": 0.1}),
}
FORMS = {"dense": np.asarray, "csr": sparse.csr_array}
ROWS = 12


def tiny(seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, (rows, 3))
    return (
        X,
        X @ rng.normal(size=(3, 2)) + 0.3 * rng.normal(size=(rows, 2)) + 1.0,
        rng.uniform(0.5, 2.0, rows),
    )


def make(rule, **options):
    plain = {"standardize": False, "shuffle": False, "batch_size": 5, "average": False}
    return GradientDescentRegressor(**RULES[rule] | plain | options)


def loop_of(model, **options):
    """Return the hand-written loop with the settings of ``model``."""
    names = ("fit_intercept", "momentum", "epsilon", "nesterov", "batch_size", "loss")
    settings = {name: getattr(model, name) for name in names} | {"forgetting": _training.FORGETTING}
    return Descent(model.solver, 2, 3, rate=model.learning_rate, **settings | options)


def losses_of_outputs(loss, X, y, weight, a, b):
    value, _ = loss_and_slope(loss, X @ a.T + b - y, 1.0, 0.5)
    return np.average(value, axis=0, weights=weight)


def mean_loss(*problem):
    return losses_of_outputs(*problem).mean()


def flat_from(values, tol, patience, first):
    """Return the epoch that `tol` ends: too long without a gain on the best, looked at ever less often.

    ``values`` holds those of each output, any of which may gain; ``first`` is the epoch of the first look.
    """
    best, at, look = np.full(np.shape(values[0]) if values else (), np.inf), 0, first
    for done, value in enumerate(values, 1):
        if done < look:
            continue
        look = done + 1 + done // 10
        if np.any(value < (1.0 - tol) * best):
            best, at = np.minimum(value, best), done
        elif done - at >= max(patience, _training.SLOW * at) and np.all(value <= 2.0 * best):
            return done
    return None


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_tol_stops_where_the_objective_is_flat(
    rule, form, penalty, fit_intercept, average, weighted, monkeypatch
):
    monkeypatch.setattr(_samples, "LOOKED_AT", 11)  # one row in four is watched
    X, y, weight = tiny(rows=44)
    y[:, 1] *= 3.0  # outputs count alike, whatever their units
    terms, strengths = PENALTIES[penalty]
    options = {"fit_intercept": fit_intercept, "average": average, "tol": 1e-3, "n_iter_no_change": 3}
    model = make(rule, **terms, **options, epochs=1000)
    weight = weight if weighted else None
    few = slice(None) if (rule, form) == ("gd", "dense") else sampled_rows(44, 4)  # moments hold all rows
    watched = {"X": X[few], "y": y[few], "weight": None if weight is None else weight[few]}
    # A velocity, or a moment, settles first; before, a loss tells nothing.
    inertia = {"momentum": 0.5, "nesterov": 0.5, "adam": 0.9}.get(rule, 0.0)
    first = int(np.ceil(20.0 / (1.0 - inertia) / (1 if rule == "gd" else 9) - 1e-9))
    loop = loop_of(model, **strengths)
    values: list[Any] = []
    parameters: list[Any] = []
    while len(values) < 1000 and not flat_from(values, 1e-3, 3, first):
        loop.epoch(X, y, weight)
        parameters.append(loop.average if average else (loop.a, loop.b))
        a, b = parameters[-1]
        l1, l2 = strengths.get("l1", 0.0), strengths.get("l2", 0.0)
        penalties = (l1 * np.abs(a) + l2 / 2 * a**2).sum(axis=1)
        values.append(losses_of_outputs(model.loss, **watched, a=a, b=b) + penalties)
    model.fit(FORMS[form](X), y, sample_weight=weight)
    assert model.n_iter_ == len(values) < 1000
    a, b = parameters[-1]
    assert_close(model.coef_, np.where((model.coef_ == 0.0) & (np.abs(a) <= 0.1), 0.0, a), 1e-9)
    assert np.allclose(model.intercept_, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("values", "tol", "epochs", "share", "expected"), [
    ([5, 4, 3, 3, 3, 3], 0.0, 3, 0.0, 6),
    ([5, 4, 3, 3, 3, 2, 2, 2, 2], 0.0, 3, 0.0, 9),
    ([5, 4, 3, 3, 3, 3, 3, 3, 3], 0.0, 2, 2.0, 9),
    ([100, 99, 98, 97], 0.05, 3, 0.0, 4),  # falls, and has not gained a twentieth
    ([100, 98, 96, 94.9, 93, 92, 91], 0.05, 3, 0.0, 7),  # in three epochs it has
    ([np.nan, np.nan, np.nan], 0.0, 3, 0.0, 3),
])  # fmt: skip
def test_patience(values, tol, epochs, share, expected):
    patience = Patience(tol, epochs, share)
    over = [patience.is_over(float(value)) for value in values]
    assert over == [done == expected for done in range(1, len(values) + 1)]


def test_patience_with_several_outputs_waits_for_each():
    patience = Patience(0.0, 2)
    told = [patience.is_over(np.array(value)) for value in [(9, 9), (8, 9), (8, 8), (9, 7), (9, 8)]]
    assert told == [False] * 5
    assert np.array_equal(patience.best, [8, 7])
    assert patience.is_over(np.array([8.0, 7.0]))


# --------------------------------------------------------------------------------------- adaptive rate


def plateaus(losses, patience, gain):
    """Return the cuts of the rate after each epoch, and the epoch at which there is nothing left to cut."""
    best, since, cuts = np.inf, 0, [0]
    for done, loss in enumerate(losses, 1):
        best, since = (loss, 0) if loss < best * (1.0 - gain) else (best, since + 1)
        if since >= patience and 5.0 ** -(cuts[-1] + 1) < 1e-3:
            return cuts[1:], done
        cuts.append(cuts[-1] + (since >= patience))
        since = 0 if since >= patience else since
    return cuts[1:], None


@pytest.mark.parametrize("tol", [None, 0.05])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_adaptive_cuts_the_rate_on_a_plateau(rule, form, tol):
    X, y, weight = tiny()
    rows = FORMS[form](X)
    first = 5.0 * RULES[rule]["learning_rate"]
    options = {"schedule": "adaptive", "tol": tol, "n_iter_no_change": 2, "learning_rate": first}
    options |= {"shuffle": True, "random_state": 0}
    stream, rates = make(rule, **options), []
    for _ in range(80):
        rates.append(stream.partial_fit(rows, y, sample_weight=weight).learning_rate_[0])
    cuts, spent = plateaus(stream.loss_curve_, 2, tol or 0.0)
    assert cuts[-1] == 4 if tol else cuts[-1] > 0 or rule == "gd"  # whose loss falls to the last digit
    # An epoch runs at the rate that the one before left.
    assert_close(rates[: len(cuts)], first / 5.0 ** np.array(cuts), 1e-12)
    fitted = make(rule, **options, epochs=80).fit(rows, y, sample_weight=weight)
    assert fitted.n_iter_ == (80 if tol is None else spent)
    assert fitted.loss_curve_ == stream.loss_curve_[: fitted.n_iter_]


# ------------------------------------------------------------------------------------------ divergence


TOO_HIGH = {
    "squared_error": {"gd": 4.0, "sgd": 2.5, "momentum": 4.0, "nesterov": 2.0, "adam": 100.0},
    "huber": dict.fromkeys(RULES, 100.0),
}


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss", TOO_HIGH)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_an_epoch_that_diverges_is_undone(rule, form, loss, fit_intercept):
    X, y, weight = tiny()
    terms = {"loss": loss, "delta": 1.0, "fit_intercept": fit_intercept, "tol": None, "epochs": 100}
    model = make(rule, **terms, learning_rate=TOO_HIGH[loss][rule])
    constant = np.zeros(2)
    if fit_intercept:
        constant = np.average(y, axis=0, weights=weight)
        if loss == "huber":
            order = np.argsort(y, axis=0)
            half = np.argmax(np.cumsum(weight[order], axis=0) >= weight.sum() / 2, axis=0)
            constant = np.take_along_axis(y, np.take_along_axis(order, half[None], axis=0), axis=0)[0]
    zero = np.zeros((2, 3))
    known = max(mean_loss(loss, X, y, weight, zero, b) for b in (constant, np.zeros(2)))
    limit = known * (1e2 if loss == "squared_error" else 1e1)
    loop = loop_of(model)
    last = slice(0 if rule == "gd" else 10, None)  # the batch after which the loss is looked at again
    part = weight[last].sum() / weight.sum()
    starts: list[Any] = []
    reached = 0.0
    while reached <= limit and len(starts) < model.epochs:
        starts.append((loop.t, loop.a, loop.b))
        loop.epoch(X, y, weight)
        after = part * mean_loss(loss, X[last], y[last], weight[last], loop.a, loop.b)
        reached = loop.losses[-1] if loop.losses[-1] > limit else after
    t, a, b = starts[-1]
    with pytest.warns(ConvergenceWarning, match="Training diverged") as caught:
        model.fit(FORMS[form](X), y, sample_weight=weight)
    assert f"in epoch {len(loop.losses)}, " in str(caught[0].message)
    assert (model.n_iter_, model.t_) == (len(loop.losses), t)
    np.testing.assert_allclose(model.loss_curve_[:-1], loop.losses[:-1], rtol=1e-9)
    assert limit < model.loss_curve_[-1] <= reached * (1.0 + 1e-9)
    assert np.allclose(model.coef_, a, rtol=1e-9, atol=0.0)
    assert np.allclose(model.intercept_, b, rtol=1e-9, atol=0.0)


# --------------------------------------------------------------------------------------- held-out rows


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("tol", [None, 1e-3, 0.05])
@pytest.mark.parametrize("rule", RULES)
def test_early_stopping_waits_for_a_gain_and_keeps_the_best(rule, tol, fit_intercept):
    X, y, _ = tiny()
    held_out = {"X_val": tiny(1)[0], "y_val": tiny(2)[1]}
    options = {"early_stopping": True, "tol": tol, "n_iter_no_change": 4, "fit_intercept": fit_intercept}
    model = make(rule, **options, epochs=300).fit(X, y, **held_out)
    best, at = np.inf, 0
    for done, value in enumerate(model.validation_curve_, 1):
        best, at = (value, done) if value < best * (1.0 - (tol or 0.0)) else (best, at)
        assert (done - at >= 4) == (done == model.n_iter_)
    reached = np.mean((model.predict(held_out["X_val"]) - held_out["y_val"]) ** 2)
    assert reached == pytest.approx(min(model.validation_curve_), rel=1e-12)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_verbose_tells_the_losses(rule, held_out, capsys):
    X, y, _ = tiny()
    validation = {"X_val": X[:5], "y_val": y[:5]} if held_out else {}
    model = make(rule, verbose=1, epochs=3, tol=None).fit(X, y, **validation)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines):
        told = f", validation {model.validation_curve_[epoch]:.6g}" if held_out else ""
        expected = f"Epoch {epoch + 1}: loss {model.loss_curve_[epoch]:.6g}{told}, "
        assert re.fullmatch(re.escape(expected) + r"\d+\.\d\d s", line)


# -------------------------------------------------------------------------------------- what is left


def twins(rows=40):
    """Return two features that differ by a thousandth, and targets that are in the difference."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, rows))
    return np.column_stack([first, first + 1e-3 * second]), second + 0.1 * rng.normal(size=rows)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("stride", [1, 11])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("epochs", "begins"), [(3, "still falling after all 3 epochs"), (500, "fell too slowly")]
)
def test_twins_are_named_with_what_they_cost(
    epochs, begins, form, weighted, stride, standardize, monkeypatch
):
    monkeypatch.setattr(_samples, "LOOKED_AT", 440 // stride)
    X, y = twins(440)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 440) if weighted else None
    options = {"epochs": epochs, "tol": 1e-3, "standardize": standardize}
    model = GradientDescentRegressor("gd", **options, whiten=False)
    with pytest.warns(ConvergenceWarning, match=f"{begins}.*nearly collinear") as caught:
        model.fit(FORMS[form](X), y, sample_weight=weight)
    message = str(caught[0].message)
    scale = np.ones(2)
    center = np.zeros(2)
    if standardize:
        mean = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        center = mean if form == "dense" else center
    sample = sampled_rows(440, stride)
    root = np.sqrt(np.ones(440) if weight is None else weight)[sample]
    Z = np.column_stack([(X - center) / scale, np.ones(440)])[sample] * root[:, None]
    assert ("after standardisation" in message) == standardize
    named = float(re.findall(r"condition number is (\S+?)(?: after|,)", message)[0])
    assert named == pytest.approx(np.linalg.cond(Z) ** 2, rel=0.1)  # in two digits
    least = np.linalg.lstsq(Z, y[sample] * root, rcond=None)[1][0]
    left = 1.0 - least / np.sum(((y - model.predict(X))[sample] * root) ** 2)
    assert f"could still fall by {100 * left:.0f} %" in message


def test_what_is_left_is_known_without_an_intercept_and_of_each_output():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) + 5.0
    exact = X @ [1.0, 2.0] + rng.normal(size=300)
    model = GradientDescentRegressor("gd", epochs=300, fit_intercept=False)
    model.fit(X, exact)  # without a warning: the loss is that of rows as they are
    T, y = twins(300)
    both = np.column_stack([1e6 * T[:, 0], y])
    with pytest.warns(ConvergenceWarning, match="nearly collinear"):
        GradientDescentRegressor("gd", tol=1e-3, whiten=False).fit(T, both)
    GradientDescentRegressor("gd", tol=1e-3).fit(T, both)  # white coordinates have no flat directions
    with pytest.warns(ConvergenceWarning, match="condition number"):  # of a year and the intercept
        GradientDescentRegressor("gd", standardize=False).fit(2000.0 + X[:, :1], exact)


def test_nothing_is_left_where_no_feature_varies():
    X, y = np.full((10, 2), 3.0), np.arange(10.0)
    model = GradientDescentRegressor("gd").fit(X, y)  # without a warning
    assert np.array_equal(model.coef_, [0.0, 0.0])
    assert model.intercept_ == pytest.approx(4.5, rel=1e-12)


@pytest.mark.parametrize("size", [1e120, 1e155, 1e300])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_no_parameter_overflows(solver, size):
    """The last update of an epoch overflows where all losses that the epoch saw are finite."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 3)), rng.standard_normal(100)
    X[3, 1] = size
    model = GradientDescentRegressor(solver, standardize=False, learning_rate=0.01, epochs=20, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"diverged with learning rate 0\.01.*feature"):
        model.fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_)
    model.set_params(learning_rate="auto", tol=None)
    if size > 1e154:
        with pytest.raises(ValueError, match="X has values whose squares overflow, in column 1"):
            model.fit(X, y)
    else:
        assert np.isfinite(model.fit(X, y).loss_curve_).all()
