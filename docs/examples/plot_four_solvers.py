"""
The four solvers compared
=========================

Gradient descent takes one step in an epoch, the others a hundred. With the same rate, momentum gains most
from them; Adam, whose steps have about the length of the rate, needs longest for large coefficients, and then
arrives all at once.

Data and settings are those of the author of the lecture: 30 features uniform on [0, 1), coefficients 1 to 30,
noise uniform on [0, 1), 10,000 rows; rate 0.01, mini-batches of 1 %, taken in order, no intercept.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgdopt import GradientDescentRegressor, SolverComparisonDisplay

rng = np.random.default_rng(0)
X = rng.random((10_000, 30))
y = X @ np.arange(1.0, 31) + rng.random(10_000)

# %%
# Nothing automatic here: the bare formulas, from zero.

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
# Against seconds, "gd" falls straight down: for squared error it reads the data once, and then an epoch costs
# next to nothing. At this rate it has a long way to go, but 10,000 epochs of it are not much:

model = GradientDescentRegressor("gd", learning_rate=0.01, fit_intercept=False, standardize=False, tol=None)
start = time.perf_counter()
model.fit(X, y)
seconds = time.perf_counter() - start
loss = np.mean((y - model.predict(X)) ** 2)
print(f"{model.n_iter_} epochs, {seconds:.2f} seconds, loss {loss / display.least_squares:.3f} of the least")
