"""
Gradient descent against stochastic gradient descent
====================================================

Gradient descent reads all samples before each step. Stochastic gradient descent reads a few and makes a step
at once. Against the number of steps its loss fluctuates more. Against the number of samples read it is far
ahead.

The data: 200 points of the line ``10 z + 5`` with noise of standard deviation 1.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgdopt import GradientDescentRegressor

rng = np.random.default_rng(0)
x = np.linspace(100, 300, 200)
X = ((x - x.mean()) / x.std())[:, np.newaxis]
y = 10 * X[:, 0] + 5 + rng.normal(size=len(x))

# %%
# With ``standardize=False``, ``average=False`` and a number for the rate, the solver follows the
# formulas of the lecture and starts at zero. With ``warm_start=True`` a call of ``fit`` goes on where the
# last one ended: given one batch and one epoch, it makes one update. After each we measure the loss on all
# samples.


def loss_after_each_update(batch_size, updates=60):
    model = GradientDescentRegressor(
        "sgd",
        learning_rate=0.1,
        batch_size=batch_size,
        standardize=False,
        average=False,
        warm_start=True,
        epochs=1,
        tol=None,
    )
    losses = [np.mean(y**2)]  # at slope 0 and intercept 0
    for _ in range(updates):
        batch = rng.choice(len(y), batch_size, replace=False)
        model.fit(X[batch], y[batch])
        losses.append(np.mean((y - model.predict(X)) ** 2))
    return np.array(losses)


# %%
# The same three runs, drawn twice. A batch of 200 is the whole data: gradient descent.

least = np.mean((y - np.polynomial.Polynomial.fit(x, y, 1)(x)) ** 2)
figure, (by_update, by_sample) = plt.subplots(1, 2, sharey=True)
looks = {
    200: ("all 200 samples", "#000000", "-"),
    20: ("20 samples", "#0072B2", "-"),
    1: ("1 sample", "#D55E00", "-"),
}
for batch_size, (label, color, style) in looks.items():
    losses = loss_after_each_update(batch_size) - least
    updates = np.arange(len(losses))
    by_update.plot(updates, losses, style, color=color, label=label, lw=1.8)
    by_sample.plot(updates * batch_size, losses, style, color=color, lw=1.8, drawstyle="steps-post")

by_update.set(
    yscale="log",
    ylim=(1e-4, 500),
    xlabel="updates",
    ylabel="loss above the least (units of y²)",
    title="Against updates: rough",
)
by_sample.set(xscale="symlog", xlim=(0, 2e4), xlabel="samples read", title="Against samples: far ahead")
figure.legend(*by_update.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# At a constant rate the loss of SGD stays above the smallest one. The smaller the batch, the larger is the
# difference. This is why :class:`~sklearn_sgdopt.GradientDescentRegressor` reports the *average* of
# the iterates by default.
