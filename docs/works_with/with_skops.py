"""A model in a file of skops, which runs no code when it is loaded."""

import numpy as np
from sklearn.datasets import load_diabetes
from skops import io

from sklearn_sgdopt import GradientDescentRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
model = GradientDescentRegressor(random_state=0).fit(X, y)

io.dump(model, "model.skops")
types = io.get_untrusted_types(file="model.skops")
assert types == ["sklearn_sgdopt._regressor.GradientDescentRegressor"]  # the estimator, and nothing else
loaded = io.load("model.skops", trusted=types)

assert np.array_equal(loaded.predict(X), model.predict(X))
assert np.array_equal(loaded.partial_fit(X, y).coef_, model.partial_fit(X, y).coef_)  # training continues
