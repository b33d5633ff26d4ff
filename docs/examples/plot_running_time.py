"""
Running time against the size of the data
=========================================

Textbook gradient descent reads all samples at every step. Stochastic gradient descent makes many steps in one
pass through them. ``solver="gd"`` does neither: for squared error the gradient depends on the data only
through :math:`X^\\top X`, :math:`X^\\top y` and :math:`y^\\top y`, which need one pass over the data.

The data are those of the author of the lecture: 20 features uniform on [0, 1), coefficients 1 to 20,
noise uniform on [0, 1), no intercept.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

from sklearn_sgdopt import GradientDescentRegressor

rng = np.random.default_rng(0)


def make_data(n, d=20):
    X = rng.random((n, d))
    return X, X @ np.arange(1.0, d + 1) + rng.random(n)


# %%
# The textbook: a loop in NumPy, at the rate 1 / L that the curvature of the data allows, until the loss
# falls by less than a ten-thousandth in a step.


def textbook(X, y):
    rate = 1 / (2 * np.linalg.eigvalsh(X.T @ X / len(y))[-1])
    coef, earlier = np.zeros(X.shape[1]), np.inf
    while True:
        residual = y - X @ coef
        loss = residual @ residual / len(y)
        if earlier - loss < 1e-4 * loss:
            return coef
        earlier = loss
        coef += rate * 2 * (X.T @ residual) / len(y)


def estimator(solver, n):
    return GradientDescentRegressor(
        solver, batch_size=n // 100, fit_intercept=False, tol=1e-7, random_state=0
    )


# %%
# Each is timed on five sizes, the better of two runs, on one core.

sizes = [10_000, 25_000, 50_000, 75_000, 100_000]
seconds = {"textbook": [], "gd": [], "sgd": []}
worst = 0.0
one_core = threadpool_limits(1)
for n in sizes:
    X, y = make_data(n)
    least = np.mean((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2)
    for name, times in seconds.items():
        runs = []
        for _ in range(2):
            start = time.perf_counter()
            coef = textbook(X, y) if name == "textbook" else estimator(name, n).fit(X, y).coef_
            runs.append(time.perf_counter() - start)
        times.append(min(runs))
        worst = max(worst, np.mean((y - X @ coef) ** 2) / least - 1)
one_core.restore_original_limits()

# %%

figure, ax = plt.subplots()
looks = {
    "textbook": ("textbook, in NumPy", "#000000", "o"),
    "sgd": ('solver="sgd", batches of 1 %', "#D55E00", "s"),
    "gd": ('solver="gd"', "#0072B2", "^"),
}
for name, (label, color, marker) in looks.items():
    ax.plot(np.divide(sizes, 1000), seconds[name], marker=marker, color=color, label=label)
ax.set(
    yscale="log",
    xlabel="samples (thousands)",
    ylabel="time to fit (seconds)",
    title=f"The same answer: within {100 * worst:.1f} % of the least loss",
)
figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
