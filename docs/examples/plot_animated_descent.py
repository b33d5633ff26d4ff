"""
The descent, animated
=====================

The picture of the paths shows where they go, not when. In motion: momentum gathers speed and overshoots, Adam
starts with steps of the same length for both parameters, and gradient descent and SGD slow down where the
slope gets gentler.

Data and settings are those of :ref:`sphx_glr_auto_examples_plot_descent_paths.py`.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgdopt import DescentPathDisplay, GradientDescentRegressor

rng = np.random.default_rng(0)
x = np.linspace(100, 300, 200)
z = (x - x.mean()) / x.std()
y = 10 * z + 5 + rng.normal(size=200)

rates = {"gd": 0.1, "sgd": 0.1, "momentum": 0.02, "adam": 0.5}
solvers = {
    solver: GradientDescentRegressor(
        solver,
        batch_size=20,
        learning_rate=rate,
        standardize=False,
        average=False,
        epochs=40 if solver == "gd" else 4,
        tol=None,
        random_state=0,
    )
    for solver, rate in rates.items()
}

# %%
# :meth:`~sklearn_sgdopt.DescentPathDisplay.animate` returns an animation of matplotlib. A notebook shows it
# as below. ``animation.to_jshtml()`` is the HTML for any page, and ``animation.save("descent.gif")`` makes a
# file.

display = DescentPathDisplay.from_estimators(solvers, z[:, np.newaxis], y, coordinates="data")
plt.close(display.figure_)  # the paths as they are at the end
animation = display.animate(frames=21, interval=200)
display.ax_.set(xlabel="slope (units of y per unit of z)", ylabel="intercept (units of y)")
display.ax_.legend(loc="lower right")
plt.show()
