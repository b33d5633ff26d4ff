"""A forecast from the last values of a series, by skforecast."""

import numpy as np
import pandas as pd
from skforecast.recursive import ForecasterRecursive

from sklearn_sgdopt import GradientDescentRegressor

months = pd.date_range("2015-01-01", periods=120, freq="MS")
rng = np.random.default_rng(0)
season = 100 * np.sin(2 * np.pi * months.month / 12)
sales = pd.Series(1000 + 5 * np.arange(120) + season + rng.normal(scale=10, size=120), index=months)
past, future = sales[:-12], sales[-12:]

forecaster = ForecasterRecursive(estimator=GradientDescentRegressor("gd"), lags=24)
forecaster.fit(past)
forecast = forecaster.predict(steps=12)

last_year = past[-12:].to_numpy()
assert np.abs(forecast - future).mean() < 0.5 * np.abs(last_year - future).mean()
