"""The compiled kernels on a dozen samples, in every combination of what they can do, update by update."""

import itertools

import numpy as np
import pytest
from cases import rules_at
from reference import LOSSES, PLAIN, Descent, assert_close
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor, _training
from sklearn_sgdopt._losses import LOSSES as RECORDS
from sklearn_sgdopt._path import record_path

RULES = rules_at(0.01, gd=0.05, sgd=1 / 32, adam=0.05)
RULES["momentum"]["momentum"] = 0.8
RULES["adam"] |= {"beta_2": 0.99, "epsilon": 1e-4}
PENALTIES = {
    "none": ({}, {}),
    "l2": ({"penalty": "l2", "alpha": 0.3}, {"l2": 0.3}),
    "l1": ({"penalty": "l1", "alpha": 0.2}, {"l1": 0.2}),
    "elasticnet": ({"penalty": "elasticnet", "alpha": 0.4, "l1_ratio": 0.25}, {"l1": 0.1, "l2": 0.3}),
}
SCHEDULES = ("constant", "invscaling", "cosine", "adaptive")
ROWS, EPOCHS = 12, 4


def long_csr(X):
    """Return CSR samples with indices of 64 bits."""
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def in_halves(X):
    """Return CSR samples that hold each value as two halves."""
    X = sparse.csr_array(X)
    return sparse.csr_array((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)


FORMS = {"dense": np.asarray, "csr": sparse.csr_array, "long": long_csr, "halves": in_halves}
NARROW = {
    "dense32": np.float32,
    "csr32": lambda X: sparse.csr_array(X.astype(np.float32)),
    "long32": lambda X: long_csr(X.astype(np.float32)),
}
ALL_FORMS = FORMS | NARROW


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


class Aged(Descent):
    """Averages in which a short batch counts in proportion, as it does in the updates."""

    age = 0.0

    def step(self, slopes, constants, share):
        before = self.average
        super().step(slopes, constants, share)
        self.age += share
        newest = (self.forgetting + 1) * share / (self.age + self.forgetting * share)
        pairs = zip(before, (self.a, self.b), strict=True)
        self.average = [mean + newest * (now - mean) for mean, now in pairs]


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
    fitted, coef, intercept = record_path(model, ALL_FORMS[form](X), y, weight, max_updates=max_updates)
    rate = loop_options.pop("rate", model.learning_rate)
    names = ("fit_intercept", "momentum", "beta_1", "beta_2", "epsilon", "nesterov", "loss", "quantile")
    settings = {name: getattr(model, name) for name in names}
    settings |= {"forgetting": _training.FORGETTING, "rate": rate}
    settings |= {"delta": 1.0 if model.delta == "auto" else model.delta, **loop_options}
    batch_size = min(model.batch_size, ROWS)
    loop = Aged(
        model.solver, coef.shape[1], X.shape[1], batch_size=batch_size, intercept=intercept[0], **settings
    )
    center, inverse = coordinates_of(model, X, weight, centred=form.startswith("dense"))
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
    if loop.l1 and fitted.average and model.learning_rate == "auto":
        a, b = settled(a, b, (X - center) * inverse, y, weight, loop, fitted._state.curvature)
    elif loop.l1 and RECORDS[model.loss].is_smooth:
        # A small average of steps that end at zero is reported as zero.
        a = np.where((loop.a == 0.0) & (np.abs(a) <= loop.l1), 0.0, a)
    assert_close(np.atleast_2d(fitted.coef_), a * inverse, relative)
    assert_close(np.atleast_1d(fitted.intercept_), b - a * inverse @ center, relative)
    return fitted


def make(rule, **options):
    """Scaled columns, or the plain setting; white coordinates have tests of their own."""
    common = {"tol": None, "epochs": EPOCHS, "shuffle": False, "whiten": False}
    return GradientDescentRegressor(**RULES[rule] | common | options)


def cases():
    """Each rule with each loss, penalty and form, and all else drawn at random."""
    rng = np.random.default_rng(0)
    for rule, loss, penalty, form in itertools.product(RULES, LOSSES, PENALTIES, FORMS):
        options = {
            "schedule": SCHEDULES[rng.integers(4)],
            "batch_size": int(rng.choice([1, 5, 100])),
            **{name: bool(rng.integers(2)) for name in ("standardize", "average", "fit_intercept")},
        }
        options["whiten"] = "auto" if not options["standardize"] else False
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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("rule", RULES)
def test_the_plain_setting_in_full(rule, form, penalty, batch_size, average, weighted):
    X, y, weight = tiny(2)
    terms, strengths = PENALTIES[penalty]
    model = GradientDescentRegressor(
        **RULES[rule], **PLAIN | {"average": average}, **terms, batch_size=batch_size, epochs=EPOCHS
    )
    assert_same_path(model, form, (X, y, weight if weighted else None), **strengths)


@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("penalty", ["none", "elasticnet"])
@pytest.mark.parametrize("form", NARROW)
@pytest.mark.parametrize("rule", RULES)
def test_single_precision(rule, form, penalty, loss, batch_size):
    X, y, weight = tiny(2)
    terms, strengths = PENALTIES[penalty]
    X = X.astype(np.float32).astype(np.float64)
    options = {"loss": loss, "batch_size": batch_size, "average": True, "standardize": False}
    model = make(rule, **options, **LOSSES[loss], **terms)
    assert_same_path(model, form, (X, y, weight), relative=2e-6, **strengths)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("rule", RULES)
def test_full_batches_of_standardised_rows(rule, penalty, fit_intercept, average):
    """Descent on all samples with squared error is trained on their second moments."""
    terms, strengths = PENALTIES[penalty]
    model = make(rule, **terms, average=average, fit_intercept=fit_intercept, batch_size=100, epochs=30)
    assert_same_path(model, "dense", tiny(outputs=2), **strengths)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("batch_size", [5, 7])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
def test_a_short_batch_counts_less_at_the_automatic_rate(rule, form, penalty, batch_size, average):
    X, y, weight = tiny(outputs=2)
    terms, strengths = PENALTIES[penalty]
    model = make(rule, **terms, batch_size=batch_size, average=True, learning_rate="auto")
    rate = model.fit(FORMS[form](X), y, weight).learning_rate_[0]
    model.set_params(average=average)
    loop = {"rate": rate, "whole": batch_size, **strengths}
    assert_same_path(model, form, (X, y, weight), **loop)


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
        options = {"standardize": standardize, "fit_intercept": fit_intercept}
        model = make(rule, **options, learning_rate=1e-14, epochs=1)
        model.fit(FORMS[form](X), y, weight, *given)
        np.testing.assert_allclose(model.coef_, slopes, rtol=0.0, atol=1e-10)
        np.testing.assert_allclose(model.intercept_, constants * fit_intercept, rtol=0.0, atol=1e-10)


# ---------------------------------------------------------------------------------------- single samples


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", range(1, 10))
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov", "adam"])
def test_four_single_samples_at_once(rule, rows, weighted, outputs, standardize):
    """Whatever remains when they are divided by four; without a trace, which is recorded one by one."""
    rng = np.random.default_rng(rows)
    X = rng.standard_normal((rows, 3)) + 0.5
    y = rng.standard_normal((rows, outputs))
    weight = rng.uniform(0.2, 2.0, rows) if weighted else None
    for loss, fit_intercept in itertools.product(["squared_error", "quantile"], [False, True]):
        options = LOSSES[loss] | {"loss": loss, "fit_intercept": fit_intercept, "batch_size": 1}
        options |= {"standardize": standardize, "average": True}
        model = make(rule, **options).fit(X, y[:, 0] if outputs == 1 else y, weight)
        traced, _, _ = record_path(model, X, y, weight)
        assert_close(np.atleast_2d(model.coef_), np.atleast_2d(traced.coef_), 1e-12)
        assert np.allclose(model.intercept_, traced.intercept_, rtol=1e-12, atol=1e-14)
        assert_close(model.loss_curve_, traced.loss_curve_, 1e-12)
        if not standardize:
            loop = Descent(
                model.solver, outputs, 3, batch_size=1, forgetting=_training.FORGETTING, loss=loss,
                quantile=0.8, fit_intercept=fit_intercept, rate=model.learning_rate, nesterov=model.nesterov,
                momentum=model.momentum, beta_2=model.beta_2, epsilon=model.epsilon,
            )  # fmt: skip
            for _ in range(EPOCHS):
                loop.epoch(X, y, weight)
            assert_close(np.atleast_2d(model.coef_), loop.average[0], 1e-10)
            assert_close(model.loss_curve_, loop.losses, 1e-10)


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("rule", RULES)
def test_single_precision_far_from_zero(rule, batch_size):
    """Means of 1e5 spreads cost no digits, though float does not know them."""
    rng = np.random.default_rng(0)
    spread = np.array([1.0, 2.0, 0.5, 1.0, 8.0])
    far = np.array([1e5, -1e5, 1e5, 1e5, 1e5])
    X = (spread * (rng.standard_normal((300, 5)) + far)).astype(np.float32)
    Z = X.astype(np.float64)
    y = (Z - Z.mean(axis=0)) @ rng.standard_normal(5) + rng.standard_normal(300)
    for whiten in (False, True):
        options = {"batch_size": batch_size, "average": True, "whiten": whiten}
        narrow, wide = make(rule, **options).fit(X, y), make(rule, **options).fit(Z, y)
        assert_close(narrow.coef_, wide.coef_, 1e-6)
        assert_close(narrow.loss_curve_, wide.loss_curve_, 1e-6)
    reached = make(rule, epochs=2000, learning_rate=0.4).set_params(solver="gd")
    assert_close(reached.fit(X, y).coef_, np.linalg.lstsq(Z - Z.mean(axis=0), y, rcond=None)[0], 1e-6)
