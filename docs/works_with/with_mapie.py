"""Intervals with a guaranteed coverage, by MAPIE: of constant width, and from two quantile fits."""

import numpy as np
from mapie.metrics.regression import regression_coverage_score
from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor
from sklearn.model_selection import train_test_split

from sklearn_sgdopt import GradientDescentRegressor

rng = np.random.default_rng(0)
X = rng.uniform(0, 10, size=(6000, 1))
y = 3 * X[:, 0] + (1 + X[:, 0]) * rng.normal(size=6000)  # the noise grows with X
X_train, X_rest, y_train, y_rest = train_test_split(X, y, random_state=0)
X_conformal, X_test, y_conformal, y_test = train_test_split(X_rest, y_rest, test_size=0.5, random_state=0)

constant = SplitConformalRegressor(GradientDescentRegressor("gd"), confidence_level=0.9, prefit=False)
constant.fit(X_train, y_train).conformalize(X_conformal, y_conformal)

quantiles = [
    GradientDescentRegressor(loss="quantile", quantile=q, random_state=0).fit(X_train, y_train)
    for q in (0.05, 0.95, 0.5)  # MAPIE's order: lower, upper, median
]
varying = ConformalizedQuantileRegressor(quantiles, confidence_level=0.9, prefit=True)
varying.conformalize(X_conformal, y_conformal)

for model in (constant, varying):
    _, intervals = model.predict_interval(X_test)
    coverage = regression_coverage_score(y_test, intervals).item()
    assert 0.86 < coverage < 0.94

_, intervals = varying.predict_interval([[1.0], [9.0]])
narrow, wide = intervals[:, 1, 0] - intervals[:, 0, 0]
assert wide > 3 * narrow
