"""Exact Shapley values of a linear model, by SHAP."""

import numpy as np
import shap
from sklearn.datasets import load_diabetes

from sklearn_sgdopt import GradientDescentRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
model = GradientDescentRegressor(random_state=0).fit(X, y)

background = shap.maskers.Independent(X, max_samples=len(X))  # all samples, not 100 of them
explanation = shap.LinearExplainer(model, background)(X)

parts = explanation.base_values + explanation.values.sum(axis=1)
assert np.allclose(parts, model.predict(X))
assert np.allclose(explanation.values, (X - X.mean()) * model.coef_)
