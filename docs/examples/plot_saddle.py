"""
Momentum and Adam at a saddle point
===================================

At a saddle point the gradient is zero, and near it small, so that plain descent hardly moves. Momentum adds
up small gradients. Adam divides by their size, so that small gradients make full steps.

The function is :math:`x^2 - y^2 + y^4/4`. Its saddle is at the origin, its minima, of value -1, at
:math:`y = \\pm\\sqrt 2`. All three methods start exactly at the saddle. They leave it because of noise in the
gradient, like that of a mini-batch.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from sklearn_sgdopt import minimize_adam, minimize_gd, minimize_momentum


def fun(p):
    return p[0] ** 2 - p[1] ** 2 + p[1] ** 4 / 4


def noisy_gradient(p, rng):
    return np.array([2 * p[0], p[1] ** 3 - 2 * p[1]]) + 0.01 * rng.normal(size=2)


# %%
# :func:`~sklearn_sgdopt.minimize_gd`, :func:`~sklearn_sgdopt.minimize_momentum` and
# :func:`~sklearn_sgdopt.minimize_adam` are methods for ``scipy.optimize.minimize``. The same rate, the same
# noise; a callback keeps the path.

methods = {
    "stochastic gradient descent": (minimize_gd, "#000000"),
    "momentum": (minimize_momentum, "#0072B2"),
    "Adam": (minimize_adam, "#D55E00"),
}
SHOWN = 150
figure, (plane, descent) = plt.subplots(1, 2, width_ratios=[2, 3])
x, y = np.meshgrid(np.linspace(-1, 1, 101), np.linspace(-1.7, 1.7, 101))
plane.contour(x, y, fun([x, y]), np.arange(-0.9, 1.2, 0.2), colors="0.8", linewidths=1, linestyles="-")

for name, (method, color) in methods.items():
    rng = np.random.default_rng(0)
    path = [np.zeros(2)]
    minimize(
        fun,
        path[0],
        jac=lambda p, rng=rng: noisy_gradient(p, rng),
        method=method,
        callback=path.append,
        options={"learning_rate": 0.01, "maxiter": 800, "gtol": 0},
    )
    path = np.array(path)
    left = int(np.argmax(np.abs(path[:, 1]) > 0.5))
    print(f"{name}: {left} steps to leave the saddle")
    plane.plot(*path[:SHOWN].T, color=color, lw=1.3)
    plane.plot(*path[SHOWN], "o", color=color, ms=9, zorder=5)
    descent.plot([fun(p) for p in path], color=color, label=name)

plane.annotate("saddle", (0, 0), (12, -4), textcoords="offset points")
plane.set(xlabel="x", ylabel="y", title=f"After {SHOWN} steps")
descent.axvline(SHOWN, color="0.7", lw=1, ls=":")
descent.set(xlabel="steps", ylabel="value of the function", title="On the way", ylim=(-1.05, 0.45))
descent.legend(loc="upper right")
plt.show()
