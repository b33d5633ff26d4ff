"""The lecture's formulas as plain NumPy loops, written apart from the package they judge."""

import numpy as np

PLAIN = {
    "standardize": False,
    "average": False,
    "schedule": "constant",
    "shuffle": False,
    "tol": None,
}
LOSSES = {
    "squared_error": {},
    "huber": {"delta": 0.7},
    "epsilon_insensitive": {"delta": 0.2},
    "squared_epsilon_insensitive": {"delta": 0.2},
    "quantile": {"quantile": 0.8},
}


def assert_close(actual, expected, relative=1e-10):
    """Assert that the largest difference is ``relative`` times the largest value at most."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    assert np.max(np.abs(actual - expected)) <= relative * np.max(np.abs(expected))


def make_problem(rows=96, features=4, outputs=1, seed=0):
    """Features off centre and of unlike size, noisy targets, and positive weights."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, (rows, features)) * np.linspace(0.6, 1.2, features) + 0.3
    slopes = rng.normal(size=(features, outputs)) * 2.0
    y = X @ slopes + rng.normal(size=(rows, outputs)) * 0.5 + 1.5
    return X, y[:, 0] if outputs == 1 else y, rng.uniform(0.2, 2.0, rows)


def comparison_data(rows=10_000, features=30, seed=0):
    """Return the author's comparison data: coefficients 1, 2, ..., d, uniform noise."""
    rng = np.random.default_rng(seed)
    X = rng.random((rows, features))
    return X, X @ np.arange(1.0, features + 1.0) + rng.random(rows)


def one_feature_data(seed=0):
    """Return the author's one-feature data, x standardised by hand."""
    x = np.linspace(100.0, 300.0, 200)
    z = (x - x.mean()) / x.std()
    return z[:, None], 10.0 * z + 5.0 + np.random.default_rng(seed).normal(size=200)


def loss_and_slope(loss, r, delta, quantile):
    """Loss of residuals ``r`` = prediction - target, and its derivative in the prediction."""
    size, sign = np.abs(r), np.sign(r)
    if loss == "squared_error":
        return r**2, 2 * r
    if loss == "huber":
        inside = size <= delta
        return np.where(inside, r**2, 2 * delta * size - delta**2), np.where(inside, 2 * r, 2 * delta * sign)
    if loss == "epsilon_insensitive":
        return np.maximum(0, size - delta), np.where(size > delta, sign, 0.0)
    if loss == "squared_epsilon_insensitive":
        excess = np.maximum(0, size - delta)
        return excess**2, 2 * excess * sign
    # Quantile: a target above the prediction costs q per unit, one below it 1 - q.
    return np.where(r < 0, -quantile * r, (1 - quantile) * r), np.where(r < 0, -quantile, 1 - quantile) * (
        r != 0
    )


class Descent:
    """One descent, batch by batch in the order of the rows, in the data's own coordinates."""

    def __init__(
        self, solver, outputs, features, *, rate, batch_size=32, fit_intercept=True, momentum=0.9, beta_1=0.9,
        beta_2=0.999, epsilon=1e-8, nesterov=False, loss="squared_error", delta=1.0, quantile=0.5, l1=0.0,
        l2=0.0, power=0.0, horizon=np.inf, whole=0, coef=None, intercept=None, forgetting=0.0,
    ):  # fmt: skip
        self.solver, self.rate, self.batch_size, self.fit_intercept = solver, rate, batch_size, fit_intercept
        self.eta, self.beta_1, self.beta_2, self.epsilon = momentum, beta_1, beta_2, epsilon
        self.nesterov, self.power, self.l1, self.l2 = nesterov, power, l1, l2
        self.horizon, self.whole, self.forgetting = horizon, whole, forgetting
        self.loss, self.delta, self.quantile = loss, delta, quantile
        self.a = np.zeros((outputs, features)) if coef is None else np.array(coef).reshape(outputs, features)
        self.b = np.zeros(outputs) if intercept is None else np.array(intercept).reshape(outputs)
        self.m = [np.zeros_like(self.a), np.zeros_like(self.b)]
        self.v = [np.zeros_like(self.a), np.zeros_like(self.b)]
        self.average = [self.a.copy(), self.b.copy()]
        self.t = 0
        self.losses = []
        self.path = [(self.a, self.b)]

    def epoch(self, X, y, weight=None):
        y = y.reshape(len(y), -1)
        s = np.ones(len(y)) if weight is None else weight
        size = len(y) if self.solver == "gd" else self.batch_size
        seen = 0.0
        for start in range(0, len(y), size):
            part = slice(start, start + size)
            r = X[part] @ self.a.T + self.b - y[part]
            value, slope = loss_and_slope(self.loss, r, self.delta, self.quantile)
            seen += np.sum(s[part, None] * value)
            # Divided by the mean weight of all rows, so that the mean over batches is the full gradient.
            slope = s[part, None] * slope / (len(r) * s.mean())
            # A batch of fewer rows than `whole` counts less in proportion.
            share = min(1.0, len(r) / self.whole) if self.whole else 1.0
            gradient = share * (slope.T @ X[part] + self.l2 * self.a)
            self.step(gradient, share * slope.sum(axis=0) * self.fit_intercept, share)
        self.losses.append(seen / (s.sum() * y.shape[1]))

    def step(self, slopes, constants, share):
        self.t += 1
        wave = (1 + np.cos(np.pi * (self.t - 1) / self.horizon)) / 2
        rate = self.rate * self.t**-self.power * wave
        reach = [rate, rate]
        moved = [self.a, self.b]
        for i, g in enumerate((slopes, constants)):
            if self.solver in {"gd", "sgd"}:
                moved[i] = moved[i] - rate * g
            elif self.solver == "momentum":
                self.m[i] = self.eta * self.m[i] + g
                moved[i] = moved[i] - rate * (g + self.eta * self.m[i] if self.nesterov else self.m[i])
                reach[i] = rate / (1 - self.eta)
            else:
                self.m[i] = self.beta_1 * self.m[i] + (1 - self.beta_1) * g
                self.v[i] = self.beta_2 * self.v[i] + (1 - self.beta_2) * g**2
                m_hat = self.m[i] / (1 - self.beta_1**self.t)
                v_hat = self.v[i] / (1 - self.beta_2**self.t)
                moved[i] = moved[i] - rate * m_hat / np.sqrt(v_hat + self.epsilon)
                reach[i] = rate / np.sqrt(v_hat + self.epsilon)
        self.a, self.b = moved
        # Proximal step of the l1 penalty: never on the intercept.
        self.a = np.sign(self.a) * np.maximum(0, np.abs(self.a) - share * self.l1 * reach[0])
        # Shamir and Zhang's polynomial-decay average; their eta is called forgetting here.
        newest = (self.forgetting + 1) / (self.t + self.forgetting)
        pairs = zip(self.average, (self.a, self.b), strict=True)
        self.average = [mean + newest * (now - mean) for mean, now in pairs]
        self.path.append((self.a, self.b))
