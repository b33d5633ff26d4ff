"""
In Rosenbrock's valley
======================

Rosenbrock's function is a curved valley with steep walls and an almost level floor. Because of the
walls steps must be small, and small steps take long on the floor. Momentum gathers speed along the floor.
Adam takes longer steps there, because gradients are small."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize, rosen, rosen_der

from sklearn_sgdopt import minimize_adam, minimize_gd, minimize_momentum

# %%
# Three methods, 1000 steps each from the same start. The rate of plain descent and momentum is the
# largest that the walls allow. Adam's is a length and may be larger.

methods = {
    "gradient descent": (minimize_gd, {"learning_rate": 0.001}, "#000000"),
    "momentum": (minimize_momentum, {"learning_rate": 0.001, "momentum": 0.9}, "#0072B2"),
    "Adam": (minimize_adam, {"learning_rate": 0.05}, "#D55E00"),
}
start = [-1.5, 1.8]
figure, (plane, descent) = plt.subplots(1, 2, width_ratios=[3, 2], figsize=(7.2, 4.4))
x, y = np.meshgrid(np.linspace(-1.9, 1.5, 201), np.linspace(-0.7, 2.9, 201))
plane.contour(x, y, rosen(np.array([x, y])), np.logspace(-0.5, 3, 10), colors="0.8", linewidths=1)

for name, (method, options, color) in methods.items():
    path = [np.array(start)]
    minimize(
        rosen, start, jac=rosen_der, method=method, callback=path.append, options=options | {"maxiter": 1000}
    )
    path = np.array(path)
    plane.plot(path[:, 0], path[:, 1], color=color, lw=1.5)
    plane.plot(*path[-1], "o", color=color, ms=7, zorder=6)
    descent.plot([rosen(p) for p in path], color=color, label=name)

plane.plot(1, 1, "*", color="#F0E442", mec="#000000", ms=18, zorder=5)
plane.annotate("minimum", (1, 1), (0, 14), textcoords="offset points", ha="center")
plane.annotate("start", start, (-4, 10), textcoords="offset points", ha="center")
plane.set(xlabel="x", ylabel="y", title="Where 1000 steps lead")
descent.set(
    yscale="log", xlabel="steps", ylabel="value of the function", title="On the way", ylim=(1e-5, None)
)
figure.legend(*descent.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# With more steps all of them reach the minimum at (1, 1, ..., 1), also in ten dimensions:

for name, (method, options, _) in methods.items():
    result = minimize(
        rosen,
        np.full(10, -0.5),
        jac=rosen_der,
        method=method,
        tol=1e-4,
        options=options | {"maxiter": 100_000},
    )
    print(f"{name}: {result.nit} steps, farthest coordinate {np.max(np.abs(result.x - 1)):.0e} away")
