"""
Raw data
========

Real columns come in their own units: years near 2000, incomes in the ten thousands, shares below 1.
In those units gradient descent diverges or hardly moves, and scaling the features is usually left to the
user. Here the estimator does it inside the update, and reports coefficients in the units of the data.

Everything below runs with default settings, on data as they are.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from sklearn_sgdopt import GradientDescentRegressor

# %%
# One data set that comes with scikit-learn, and one made up: the price of flats.

rng = np.random.default_rng(0)
n = 2000
flats = np.column_stack(
    [
        rng.integers(1950, 2025, n),  # year of construction
        rng.gamma(9, 9, n),  # floor area, square metres
        rng.lognormal(10.4, 0.4, n),  # mean income nearby
        rng.random(n),  # share of green space
    ]
)
price = flats @ [300, 2500, 2.0, 40_000] - 400_000 + rng.normal(0, 30_000, n)
data = {
    "diabetes\n(blood counts, years)": load_diabetes(return_X_y=True, scaled=False),
    "flats\n(years, m², incomes, shares)": (flats, price),
}
models = {
    "GradientDescentRegressor": GradientDescentRegressor(random_state=0),
    'MLPRegressor (no hidden layer, "adam")': MLPRegressor(
        hidden_layer_sizes=(), activation="identity", random_state=0
    ),
    "SGDRegressor": SGDRegressor(random_state=0),
}

# %%
# The error on test samples, divided by that of the exact least-squares fit. 1 is perfect.


def relative_error(model, X, y):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLPRegressor says that it has not converged
        model.fit(X_train, y_train)
    exact = LinearRegression().fit(X_train, y_train)
    return root_mean_squared_error(y_test, model.predict(X_test)) / root_mean_squared_error(
        y_test, exact.predict(X_test)
    )


figure, ax = plt.subplots(figsize=(7.2, 3.6))
for (label, model), color, marker in zip(
    models.items(), ["#0072B2", "#009E73", "#D55E00"], "osD", strict=True
):
    errors = [relative_error(model, X, y) for X, y in data.values()]
    ax.plot(errors, range(len(data)), marker, ms=10, color=color, label=label)
    for i, error in enumerate(errors):
        text = f"{error:.2f}" if error < 100 else f"{error:.0e}"
        above = -22 if marker == "o" else 11
        ax.annotate(text, (error, i), (0, above), textcoords="offset points", ha="center", color=color)
ax.axvline(1, color="0.6", lw=1, zorder=0)
ax.set(
    xscale="log",
    xlabel="test error (RMSE) relative to least squares",
    yticks=range(len(data)),
    yticklabels=data,
    ylim=(-0.5, len(data) - 0.4),
    xlim=(0.2, 1e16),
)
figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
plt.show()

# %%
# The other two work well behind a ``StandardScaler`` in a pipeline. This estimator needs no scaler, neither
# in `fit` nor in a stream.
