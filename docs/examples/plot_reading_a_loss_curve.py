"""
Reading a loss curve
====================

The loss curve shows whether the learning rate was right. If the rate is too low, the curve is still falling
when training ends. If it is too high, the curve becomes flat early, above the best loss, and fluctuates. If
it is much too high, training diverges."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from sklearn_sgdopt import GradientDescentRegressor, LossCurveDisplay

X, y = make_regression(n_samples=500, n_features=10, noise=20.0, random_state=0)
least = np.mean((y - LinearRegression().fit(X, y).predict(X)) ** 2)

# %%
# Plain SGD with batches of 8, four rates.

rates = {"too low": 0.0005, "right": 0.01, "too high": 0.28, "far too high, diverges": 0.44}
models = {}
for verdict, rate in rates.items():
    model = GradientDescentRegressor(
        "sgd", batch_size=8, learning_rate=rate, average=False, epochs=30, tol=None, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        models[f"rate {rate:g}: {verdict}"] = model.fit(X, y)

# %%
# A :class:`~sklearn_sgdopt.LossCurveDisplay` draws what they have in ``loss_curve_``.

figure, ax = plt.subplots()
LossCurveDisplay.from_estimators(models, ax=ax, log_scale=True)
ax.plot(model.n_iter_, model.loss_curve_[-1], "kx", ms=12, mew=3)
ax.axhline(least, color="#000000", lw=1.2, ls=":", label="least squares")
ax.set(ylim=(least / 2, 1e9))
ax.legend()
plt.show()

# %%
# The run that diverged was stopped, kept the parameters from before, and said why:

print(caught[0].message)

# %%
# What to do:
#
# - *Too low*: raise the rate, by factors of 3, or give it more epochs.
# - *Too high*: lower it, or report averages (``average=True``), or let it decay (``schedule="cosine"``).
# - *Either*: leave ``learning_rate="auto"``, which is derived from the data.
