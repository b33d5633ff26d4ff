"""
Reading a loss curve
====================

The rate decides, and the loss curve tells whether it was right. Too low, and the curve is still on its
way down when training ends. Too high, and it flattens early, on a shelf above the best loss, and
jitters there. Higher still, and it runs away.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from sklearn_sgdopt import GradientDescentRegressor

X, y = make_regression(n_samples=500, n_features=10, noise=20.0, random_state=0)
least = np.mean((y - LinearRegression().fit(X, y).predict(X)) ** 2)

# %%
# Plain SGD with batches of 8, four rates.

figure, ax = plt.subplots()
looks = {
    0.0003: ("too low", "#56B4E9", "-"),
    0.005: ("right", "#0072B2", "-"),
    0.15: ("too high", "#E69F00", "-"),
    0.5: ("far too high: diverges", "#D55E00", "--"),
}
for rate, (verdict, color, style) in looks.items():
    model = GradientDescentRegressor(
        "sgd", batch_size=8, learning_rate=rate, average=False, epochs=30, tol=None, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    epochs = np.arange(1, model.n_iter_ + 1)
    ax.plot(epochs, model.loss_curve_, style, color=color, label=f"rate {rate:g}: {verdict}")
ax.axhline(least, color="#000000", lw=1.2, ls=":", label="least possible")
ax.set(
    yscale="log",
    xlabel="epochs",
    ylabel="training loss (units of y²)",
    ylim=(least / 2, 40 * np.var(y)),
)
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
