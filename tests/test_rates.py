"""The automatic rate and the default descent, against NumPy written from the docstrings."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from cases import SOLVERS
from hypothesis import given
from hypothesis import strategies as st
from reference import LOSSES, assert_close, loss_and_slope
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor, _curvature, _kernels, _update_rules
from sklearn_sgdopt._coordinates import WIDEST_WHITE, Coordinates
from sklearn_sgdopt._losses import LOSSES as RECORDS
from sklearn_sgdopt._parameters import make_seed
from sklearn_sgdopt._samples import make_samples
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._statistics import Curvature, Moments
from sklearn_sgdopt._training import FORGETTING
from sklearn_sgdopt._update_rules import Batches, Rates

SMOOTH = ("squared_error", "huber", "squared_epsilon_insensitive")


def rule_of(solver, **options):
    return Settings.resolve(GradientDescentRegressor(solver, **options).get_params()).rule


# ------------------------------------------------------------------------------------------- curvature


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    rank=st.integers(1, 40),
    spread=st.floats(0.0, 8.0),
)
def test_the_norm_bounds_the_largest_eigenvalue_from_above(seed, width, rank, spread):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((rank, width)) * 10.0 ** rng.uniform(-spread, spread, width)
    matrix = factor.T @ factor
    largest = np.linalg.eigvalsh(matrix)[-1]
    bound = _curvature.norm_bound(matrix)
    assert largest * (1.0 - 1e-10) <= bound <= largest * width ** (1 / 32) * (1.0 + 1e-10)


def test_the_norm_of_nothing_is_zero():
    assert _curvature.norm_bound(np.zeros((3, 3))) == 0.0


def second_moments(Z, w, *, intercept):
    """Return twice the largest eigenvalue of second moments, ones counted in, and that of single samples."""
    Z = np.column_stack([Z, np.full(len(Z), float(intercept))])
    sizes = 2.0 * w / w.mean() * np.sum(Z**2, axis=1)
    return 2.0 * np.linalg.eigvalsh((Z.T * w) @ Z / w.sum())[-1], sizes.max(), sizes.mean()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize(("rows", "features"), [(300, 5), (90, 20), (9000, 3)])
def test_curvature_of_moments_and_of_single_samples(rows, features, white, intercept, weighted):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features)) @ rng.standard_normal((features, features)) + 3.0
    weight = rng.uniform(0.0, 2.0, rows) if weighted else None
    w = np.ones(rows) if weight is None else weight
    samples = make_samples(X, np.zeros((rows, 1)), weight)
    moments = Moments.of(samples, full=True)
    at = Coordinates.standard(moments, features, intercept=intercept)
    if white:
        at = at.whitened(moments, intercept=intercept, l2=0.0, least=0.0)
    at = at._replace(center=np.average(X, axis=0, weights=weight) * intercept)
    Z = (X - at.center) * at.scale[:-1]
    if white:
        Z = Z @ at.whitening
        assert_close((Z.T * w) @ Z / w.sum(), np.eye(features), 1e-9)
    assert_close(at.of(X), Z, 1e-12)
    shared, largest, typical = second_moments(Z, w, intercept=intercept)
    bound = _curvature.of_moments(moments, at, features, intercept=intercept)
    assert shared * (1.0 - 1e-9) <= bound <= shared * (features + 1) ** (1 / 32) * (1.0 + 1e-9)
    single = _curvature.of_single(samples, at, intercept=intercept)
    np.testing.assert_allclose(single, (largest, typical), rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize(("rows", "features"), [(66, 5), (66, 1), (200, 400), (400, 300), (600, 1)])
def test_curvature_of_wide_and_sparse_samples(rows, features, form, intercept, weighted):
    """A norm where samples are few, else Lanczos' method, from below and enlarged by a hundredth."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features)) * (rng.random((rows, features)) < 0.7)
    w = rng.uniform(0.0, 2.0, rows) if weighted else np.ones(rows)
    center = np.zeros(features) if form is not np.asarray else 0.3 * rng.standard_normal(features) * intercept
    at = Coordinates(center, np.append(rng.uniform(0.0, 2.0, features), 1.0))
    samples = make_samples(form(X), np.zeros((rows, 1)), w if weighted else None)
    shared, largest, typical = second_moments((X - center) * at.scale[:-1], w, intercept=intercept)
    curvature = _curvature.of_samples(samples, at, intercept=intercept)
    most = rows ** (1 / 32) if rows <= WIDEST_WHITE else 1.01
    assert 0.99 * shared <= curvature <= most * shared * (1.0 + 1e-9)
    single = _curvature.of_single(samples, at, intercept=intercept)
    np.testing.assert_allclose(single, (largest, typical), rtol=1e-12)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("rows", [3, 400])
def test_samples_of_nothing_have_no_curvature(rows, form):
    nothing = make_samples(form(np.zeros((rows, 5))), np.zeros((rows, 1)), None)
    assert _curvature.of_samples(nothing, Coordinates.plain(5), intercept=False) == 0.0


def test_sparse_samples_have_the_curvature_of_dense_ones():
    X = np.random.default_rng(0).poisson(0.3, (500, 30)).astype(float)
    dense, csr = (make_samples(form(X), np.zeros((500, 1)), None) for form in (np.asarray, sparse.csr_array))
    at = Coordinates.plain(30)
    shared, same = (
        _curvature.of_moments(Moments.of(samples, full=True), at, 30, intercept=True)
        for samples in (dense, csr)
    )
    assert same == pytest.approx(shared, rel=1e-12)
    assert shared <= _curvature.of_samples(csr, at, intercept=True) <= 1.02 * shared
    assert _curvature.of_single(csr, at, intercept=True) == _curvature.of_single(dense, at, intercept=True)


# ----------------------------------------------------------------------------------------------- rates


CURVATURE = Curvature(shared=3.0, single=40.0, typical=7.0, excess=0.5)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
@pytest.mark.parametrize("in_order", [0, 50])
@pytest.mark.parametrize("is_exact", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_rates_are_the_formulas(solver, is_exact, in_order, loss):
    rates = rule_of(solver, momentum=0.8).automatic_rates(
        CURVATURE, RECORDS[loss], Batches(4, 4, is_exact, in_order), 0.1
    )
    if is_exact or solver == "gd":
        assert rates == pytest.approx((1.0 / 3.6, math.inf, 0.0), rel=1e-14)
        return
    inertia = 0.2 if solver == "momentum" and loss != "quantile" else 1.0
    shared = 0.75 * 3.0 + 0.5 / inertia + 0.1
    least = 3.0 * in_order / (0.2 if solver == "momentum" else 1.0)
    late = max(least, shared + _update_rules.NOISE * 40.0 / 4 / inertia)
    assert rates == pytest.approx((1.0 / late, max(least, shared), 7.0 / 4), rel=1e-14)


@pytest.mark.parametrize("age", [0.3, 7.0, 25.0, 150.0, 1000.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_rate_in_force_slows_down_to_the_late_one(solver, age):
    rule, rates = rule_of(solver, momentum=0.8), Rates(0.01, 2.0, 3.0)
    inertia = min({"momentum": 0.8, "adam": 0.9}.get(solver, 0.0), max(0.0, 1.0 - 20.0 / age))
    assert rule.inertia_at(age) == pytest.approx(inertia, rel=1e-14)
    lead = 1.0 / (1.0 - inertia) if solver == "momentum" else 1.0
    early = 1.0 / (2.0 + lead * (3.0 + 0.5 * age))
    assert rule.rate_in_force(rates, age) == pytest.approx(max(0.01, early), rel=1e-14)


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize(("solver", "is_exact"), [*itertools.product(SOLVERS, [False, True])])
def test_the_rate_where_there_is_no_curvature_is_one(solver, is_exact, loss):
    rates = rule_of(solver).automatic_rates(Curvature(0.0), RECORDS[loss], Batches(4, 4, is_exact, 0), 0.0)
    assert rates.rate == 1.0
    options = {"batch_size": 100 if is_exact else 2, "random_state": 0}
    model = GradientDescentRegressor(solver, loss=loss, fit_intercept=False, epochs=2, tol=None, **options)
    model.fit(np.zeros((5, 2)), np.arange(5.0))
    assert model.learning_rate_ == 1.0
    assert np.array_equal(model.coef_, [0.0, 0.0])


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("is_white", [False, True])
@pytest.mark.parametrize("rate", [0.4, 0.01, 1e-6])
@pytest.mark.parametrize(
    "batches", [Batches(1000, 1000, True, 0), Batches(32, 32, False, 0), Batches(1, 1, False, 0)]
)
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_horizon_is_the_formula(solver, batches, rate, is_white, loss):
    rules, smooth = _update_rules, loss == "squared_error"
    contraction = rules.CONTRACTION if is_white and smooth else rules.LONG_CONTRACTION
    inertia = 0.1 if solver == "momentum" and smooth else 1.0
    updates, each = contraction * inertia / (2.0 * rate), math.ceil(1000 / batches.size)
    settled = math.ceil(
        np.nextafter(rules.CONTRACTION / {"momentum": 0.1, "adam": 0.1}.get(solver, 1.0), 0) / each
    )
    if batches.is_exact:
        expected = min(rules.MOST_EPOCHS, max(math.ceil(updates) + 1, settled))
    else:
        visits = math.ceil(rules.VISITS * 8 / 1000)
        expected = min(rules.MOST_EPOCHS, max(math.ceil(updates / each), visits, settled))
    found = rule_of(solver).epochs(rate, RECORDS[loss], batches, 1000, 7, is_white=is_white)
    assert abs(found - expected) <= 1  # 1 / (1 - 0.9) is rounded up or down
    assert isinstance(found, int)


# ------------------------------------------------------------------------------ the default descent


class White:
    """The default descent of `fit` in white coordinates, batch by batch."""

    def __init__(
        self, solver, X, y, weight, *, batch_size, epochs, momentum=0.9, nesterov=False, l2=0.0,
        loss="squared_error", delta=1.0, quantile=0.5, intercept=True, forgetting=FORGETTING,
    ):  # fmt: skip
        rules = _update_rules
        n, d = X.shape
        self.w = np.ones(n) if weight is None else weight / weight.mean()
        self.solver, self.eta, self.nesterov, self.l2 = solver, momentum, nesterov, l2
        self.loss = (loss, delta, quantile)
        self.intercept, self.forgetting = intercept, forgetting
        self.center = np.average(X, axis=0, weights=weight) * intercept
        spread = np.sqrt(np.average((X - self.center) ** 2, axis=0, weights=weight))
        inverse = np.where(spread > 0.0, 1.0 / np.where(spread > 0.0, spread, 1.0), 0.0)
        S = (X - self.center) * inverse
        values, vectors = np.linalg.eigh((S.T * self.w) @ S / n)
        root = np.where(values > 1e-12, 1.0 / np.sqrt(np.maximum(values, 1e-300) + l2 / 2.0), 0.0)
        M = (vectors * root) @ vectors.T
        self.W, self.M = inverse[:, None] * M, M
        self.Z, self.y = S @ M, y.reshape(n, -1)
        self.size, whole = min(batch_size, n), batch_size >= n or solver == "gd"
        if solver == "gd":
            self.size = n
        k, m = self.y.shape[1], self.size
        smooth = loss in SMOOTH
        sizes = 2.0 * self.w * (np.sum(self.Z**2, axis=1) + intercept)
        inertia = 1.0 - momentum if solver == "momentum" and smooth else 1.0
        shared = (1.0 - 1.0 / m) * 2.0
        late = 2.0 if whole else shared + rules.NOISE * sizes.max() / m / inertia
        typical = min(sizes.mean(), rules.NOISE * sizes.max())
        self.shared, self.own = shared, typical / m
        self.rate = 1.0 / late
        self.grows, self.starts = smooth, smooth and not whole
        self.kink = 0.0
        if not smooth:
            slopes = {"quantile": 1.0, "epsilon_insensitive": 2.0}[loss]
            self.kink = rules.KINK_STEP / slopes * (1.0 - momentum if solver == "momentum" else 1.0)
        self.horizon = epochs * -(-n // m)
        self.b = np.zeros(k)
        if intercept:
            self.b = np.average(self.y, axis=0, weights=weight)
            if loss != "squared_error":
                self.b = np.array([lower_quantile(c, self.w, quantile) for c in self.y.T])
        self.a = np.zeros((k, d))
        self.theta = np.column_stack([self.a, self.b])
        self.m, self.v = np.zeros_like(self.theta), np.zeros_like(self.theta)
        self.average, self.root = self.theta.copy(), np.zeros(k)
        self.t, self.age, self.losses = 0, 0.0, []

    def inertia(self, most):
        """Inertia grows from none on, at the rates of smooth losses."""
        return min(most, max(0.0, 1.0 - _update_rules.INERTIA_UPDATES / self.age)) if self.grows else most

    def lead(self):
        return 1.0 / (1.0 - self.inertia(self.eta)) if self.solver == "momentum" else 1.0

    def early(self):
        return 1.0 / (self.shared + self.lead() * (self.own + _update_rules.SLOWING * self.age))

    def rate_now(self, o):
        """The rate of this update: slowing from the first one on, or in units of the spread of residuals."""
        rate = self.rate
        if self.starts:
            rate = max(rate, self.early())
        if self.kink:
            done = (self.t - 1) / self.horizon
            rate *= min(1.0, 2.0 * (1.0 - done)) * self.kink * 1.4826 * self.root[o] ** 2
            rate = min(rate, 0.5) if self.l2 else rate
        return rate

    def epoch(self, order):
        seen = 0.0
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            Z, w = np.column_stack([self.Z[rows], np.full(len(rows), float(self.intercept))]), self.w[rows]
            r = self.Z[rows] @ self.theta[:, :-1].T + self.theta[:, -1] - self.y[rows]
            value, slope = loss_and_slope(self.loss[0], r, *self.loss[1:])
            seen += np.sum(w[:, None] * value)
            share = len(rows) / self.size
            self.t, self.age = self.t + 1, self.age + share
            newest = (self.forgetting + 1.0) * share / (self.age + self.forgetting * share)
            roots = np.sum(w[:, None] * np.sqrt(np.abs(r)), axis=0) / len(rows)
            self.root += newest * (roots - self.root)
            for o in range(len(self.theta)):
                self.update(o, Z, w, slope[:, o], share)
            self.average += newest * (self.theta - self.average)
        self.losses.append(seen / (len(order) * self.y.shape[1]))

    def update(self, o, Z, w, slope, share):
        rate, theta = self.rate_now(o), self.theta[o]
        g = share * (w * slope) @ Z / len(w)
        penalty = np.append(share * self.l2 * self.M @ (self.M @ theta[:-1]), 0.0)
        if self.starts and self.early() > self.rate:
            along = g + penalty
            curved = 2.0 * share * np.sum(w * (Z @ along) ** 2) / len(w)
            if rate * self.lead() * curved > along @ along:
                g *= (along @ along) / (rate * self.lead() * curved)
        g += penalty
        if self.solver in {"gd", "sgd"}:
            theta -= rate * g
        elif self.solver == "momentum":
            eta = self.inertia(self.eta)
            self.m[o] = eta * self.m[o] + g
            theta -= rate * (g + eta * self.m[o] if self.nesterov else self.m[o])
        else:
            beta_1 = self.inertia(0.9)
            self.m[o] = beta_1 * self.m[o] + (1.0 - beta_1) * g
            self.v[o] = 0.999 * self.v[o] + 0.001 * g**2
            # A moment that grew from beta_1 = 0 on has no bias.
            m, v = self.m[o], self.v[o] / (1.0 - 0.999**self.t)
            if not self.grows:
                m = m / (1.0 - 0.9**self.t)
            # Rate and epsilon are in units of the largest second moment.
            theta -= rate * np.sqrt(v.max()) * m / np.sqrt(v + _update_rules.ADAM_FLOOR * v.max())

    def in_data_units(self, theta):
        coef = theta[:, :-1] @ self.W.T
        return coef, theta[:, -1] - coef @ self.center


def lower_quantile(values, w, quantile):
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(w[order])
    return values[order][np.argmax(mass >= quantile * mass[-1])]


def tiny(outputs, rows=47):
    """Correlated features off centre, of unlike size; noisy targets with an outlier; weights."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((rows, 3)) @ rng.standard_normal((3, 3)) * [1.0, 30.0, 0.1] + [5.0, -2.0, 0.3]
    y = X @ rng.standard_normal((3, outputs)) + rng.standard_t(3.0, (rows, outputs))
    return X, y[:, 0] if outputs == 1 else y, rng.uniform(0.3, 2.0, rows)


DESCENTS: dict[str, dict[str, Any]] = {
    "one output": {},
    "weights": {"weighted": True},
    "two outputs, weights": {"outputs": 2, "weighted": True},
    "origin": {"fit_intercept": False, "weighted": True},
    "l2": {"penalty": "l2", "alpha": 0.2},
    "l2, two outputs": {"penalty": "l2", "alpha": 2.0, "outputs": 2, "weighted": True},
    "iterates": {"average": False},
    "averages": {"average": True},
    **{loss: {"loss": loss, **LOSSES[loss]} for loss in LOSSES if loss != "squared_error"},
    "quantile, weights": {"loss": "quantile", "quantile": 0.3, "weighted": True},
    "quantile, l2": {"loss": "quantile", "penalty": "l2", "alpha": 0.2},
    "quantile, two outputs": {"loss": "quantile", "outputs": 2, "fit_intercept": False},
}  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 5, 47])
@pytest.mark.parametrize("case", DESCENTS)
@pytest.mark.parametrize("rule", [*SOLVERS, "nesterov"])
def test_the_default_descent(rule, case, batch_size):
    options = dict(DESCENTS[case])
    X, y, weight = tiny(options.pop("outputs", 1))
    weight = weight if options.pop("weighted", False) else None
    solver = "momentum" if rule == "nesterov" else rule
    options |= {"nesterov": rule == "nesterov", "epochs": 6, "tol": None, "batch_size": batch_size}
    model = GradientDescentRegressor(solver, **options, random_state=0)
    model.fit(X, y, sample_weight=weight)
    names = {"loss", "delta", "quantile", "nesterov", "batch_size", "epochs"} & set(options)
    loop = White(
        solver, X, y, weight, **{name: options[name] for name in names}, l2=options.get("alpha", 0.0),
        intercept=options.get("fit_intercept", True),
    )  # fmt: skip
    assert np.allclose(model.learning_rate_, loop.rate, rtol=1e-9)
    random = np.array([make_seed(0)], np.uint64)
    for _ in range(6):
        shuffles = batch_size < 47 and rule != "gd"
        loop.epoch(_kernels.shuffled(47, 3, random) if shuffles else np.arange(47))
    smooth = options.get("loss", "squared_error") in SMOOTH
    averaged = options.get("average", smooth and rule != "gd")
    coef, intercept = loop.in_data_units(loop.average if averaged else loop.theta)
    assert model.t_ == loop.t
    assert_close(model.loss_curve_, loop.losses, 1e-9)
    scale = X.std(axis=0)  # so that each coefficient counts
    assert_close(np.atleast_2d(model.coef_) * scale, coef * scale, 1e-9)
    assert np.allclose(model.intercept_, intercept, rtol=1e-9, atol=1e-9 * np.abs(y).max())
