"""
Descent paths of the four solvers
=================================

How do the slope and the intercept of a line reach the least squares fit? Gradient descent goes straight to
it. SGD fluctuates around the same path. Momentum overshoots, like a ball that rolls into a bowl. The first
steps of Adam have about the same length for both parameters, whatever their gradients.

The data: 200 points, x from 100 to 300, around ``y = 10 z + 5``, where z is the standardised x.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgdopt import DescentPathDisplay, GradientDescentRegressor

rng = np.random.default_rng(0)
x = np.linspace(100, 300, 200)
z = (x - x.mean()) / x.std()
y = 10 * z + 5 + rng.normal(size=200)

# %%
# All start at zero (``standardize=False``), with the same rate and batches of 20 points. A
# :class:`~sklearn_sgdopt.DescentPathDisplay` trains them and draws the parameters after each update.

rates = {"gd": 0.1, "sgd": 0.1, "momentum": 0.02, "adam": 0.5}
solvers = {
    solver: GradientDescentRegressor(
        solver,
        batch_size=20,
        learning_rate=rate,
        standardize=False,
        average=False,
        epochs=80 if solver == "gd" else 8,
        tol=None,
        random_state=0,
    )
    for solver, rate in rates.items()
}
figure, ax = plt.subplots(figsize=(7.2, 5))
DescentPathDisplay.from_estimators(
    solvers, z[:, np.newaxis], y, coordinates="data", ax=ax, path_kwargs={"linewidth": 2}
)
ax.set(xlabel="slope (units of y per unit of z)", ylabel="intercept (units of y)")
ax.legend(loc="lower right")
plt.show()
