"""
The four solvers compared
=========================

Gradient descent makes one step in an epoch, the others make a hundred. At the same rate, momentum makes
the fastest progress. The steps of Adam have about the length of the rate, so it takes longest to reach large
coefficients.

Data and settings are those of the author of the lecture: 30 features uniform on [0, 1), coefficients 1 to 30,
noise uniform on [0, 1), 10,000 samples; rate 0.01, mini-batches of 1 %, taken in order, no intercept.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgdopt import GradientDescentRegressor, SolverComparisonDisplay

rng = np.random.default_rng(0)
X = rng.random((10_000, 30))
y = X @ np.arange(1.0, 31) + rng.random(10_000)

# %%
# The plain setting: the formulas of the lecture, from zero.

solvers = {
    solver: GradientDescentRegressor(
        solver,
        learning_rate=0.01,
        batch_size=100,
        shuffle=False,
        fit_intercept=False,
        standardize=False,
        average=False,
    )
    for solver in ("gd", "sgd", "momentum", "adam")
}
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(7.2, 4.6))
display = SolverComparisonDisplay.from_estimators(solvers, X, y, epochs=150, ax=axes)
plt.show()

# %%
# Against seconds, the loss of "gd" falls vertically: for squared error it reads the data once, and then an
# epoch costs next to nothing. At this rate it needs many epochs, but 10,000 of them take little time:

model = GradientDescentRegressor("gd", learning_rate=0.01, fit_intercept=False, standardize=False, tol=None)
start = time.perf_counter()
model.fit(X, y)
seconds = time.perf_counter() - start
loss = np.mean((y - model.predict(X)) ** 2)
ratio = loss / display.least_squares
print(f"{model.n_iter_} epochs, {seconds:.2f} seconds, loss {ratio:.3f} times the least")
