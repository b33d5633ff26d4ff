"""
White coordinates
=================

The same data, the same solver, three coordinates. In the units of the data the loss is a thin valley. Scaling
the columns removes what is due to units, and leaves what is due to correlation. In white coordinates the
lines of equal loss are circles, and the gradient points at the minimum.

The data: the height of 500 people in metres, their weight in kilograms, which goes with the height, and a
target that depends on both."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sklearn_sgdopt import GradientDescentRegressor

rng = np.random.default_rng(0)
height = rng.normal(1.72, 0.1, 500)
weight = 70 + 110 * (height - 1.72) + rng.normal(0, 6, 500)
X = np.column_stack([height, weight])
y = 40 * height - 0.3 * weight + rng.normal(0, 2, 500)

# %%
# The three coordinates. ``W`` is the one of the user guide.

centred, scale = X - X.mean(axis=0), X.std(axis=0)
values, vectors = np.linalg.eigh(np.corrcoef(X.T))
W = (vectors / np.sqrt(values)) @ vectors.T / scale[:, np.newaxis]
coordinates = {
    "data's units": centred,
    "scaled columns": centred / scale,
    "white": centred @ W,
}

# %%
# Gradient descent in each of them, by the plain formula, from zero, at the rate 0.8 / L that the curvature L
# allows. With ``warm_start=True`` each call of ``fit`` makes one update more. Below each picture is the part
# of the excess loss that is left.

figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.2))
for ax, (name, Z) in zip(axes, coordinates.items(), strict=True):
    hessian = 2 * Z.T @ Z / len(Z)
    best = np.linalg.lstsq(Z, y - y.mean(), rcond=None)[0]
    rate = 0.8 / np.linalg.eigvalsh(hessian)[-1]
    model = GradientDescentRegressor(
        "gd",
        learning_rate=rate,
        standardize=False,
        average=False,
        fit_intercept=False,
        warm_start=True,
        epochs=1,
        tol=None,
    )
    path = np.array([np.zeros(2)] + [model.fit(Z, y - y.mean()).coef_ for _ in range(20)])

    size = 1.3 * np.abs(best)
    grid = np.meshgrid(*(np.linspace(b - s, b + s, 101) for b, s in zip(best, size, strict=True)))
    away = np.stack(grid, axis=-1) - best
    excess = np.einsum("abi,ij,abj->ab", away, hessian / 2, away)
    ax.contour(*grid, np.sqrt(excess), 9, colors="0.8", linewidths=1)
    ax.plot(*path.T, "o-", color="#0072B2", ms=4, lw=1.5)
    ax.plot(*best, "*", color="#F0E442", mec="#000000", ms=15)
    left = (path[-1] - best) @ hessian @ (path[-1] - best) / (best @ hessian @ best)
    ax.set(title=name, xlabel=f"slope of height\n{left:.0e} left after 20 steps", xticks=[], yticks=[])
axes[0].set_ylabel("slope of weight")
plt.show()

# %%
# With default settings the estimator trains in white coordinates, without a copy of the data and with
# coefficients in the data's units. ``whiten=False`` is the descent in scaled columns. On the diabetes data:

X, y = load_diabetes(return_X_y=True, scaled=False)
for whiten in (True, False):
    model = GradientDescentRegressor("gd", whiten=whiten).fit(X, y)
    print(f"whiten={whiten}: {model.n_iter_} epochs, R2 {model.score(X, y):.4f}")
