"""
Which features count
====================

A coefficient is in units of y by units of the feature: a feature in metres has a coefficient a thousand times
that of the same in millimetres. Per standard deviation of the feature, coefficients can be compared.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from sklearn_sgdopt import CoefficientDisplay, GradientDescentRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

# %%
# The four solvers agree, but for the blood values s1 to s4. These are correlated: much of what one
# coefficient does, others can undo, and the loss is nearly the same.

models = [
    GradientDescentRegressor(solver, random_state=0).fit(X, y) for solver in ("gd", "sgd", "momentum", "adam")
]
CoefficientDisplay.from_estimators(models)
plt.show()

# %%
# The features of a :class:`~sklearn.pipeline.Pipeline` have the names that its steps give. Here these are the
# features and their products: 55 coefficients for 442 samples. A penalty keeps them small.

models = {}
for name, parameters in {"no penalty": {}, "l2 penalty": {"penalty": "l2", "alpha": 0.01}}.items():
    products = PolynomialFeatures(interaction_only=True, include_bias=False)
    models[name] = make_pipeline(products, GradientDescentRegressor("gd", **parameters)).fit(X, y)
CoefficientDisplay.from_estimators(models, max_features=15)
plt.show()
