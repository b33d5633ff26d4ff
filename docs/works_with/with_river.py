"""A model in River's streams, by River's wrapper for scikit-learn."""

import numpy as np
import pandas as pd
from river import compat, evaluate, metrics, stream, utils

from sklearn_sgdopt import GradientDescentRegressor

rng = np.random.default_rng(0)
frame = pd.DataFrame({"year": rng.integers(2000, 2025, 2000), "share": rng.uniform(size=2000)})
price = pd.Series(3.0 * frame["year"] - 200 * frame["share"] + rng.normal(size=2000), name="price")

# One sample after the other. The features are in their raw units, and there is no scaler.
model = compat.convert_sklearn_to_river(GradientDescentRegressor("sgd"))
error = utils.Rolling(metrics.MAE, window_size=500)
evaluate.progressive_val_score(stream.iter_pandas(frame, price), model, error)
assert error.get() < 0.9  # the noise alone makes 0.8

# Mini-batches are much faster.
batches = compat.convert_sklearn_to_river(GradientDescentRegressor("sgd"))
for start in range(0, 2000, 100):
    batches.learn_many(frame[start : start + 100], price[start : start + 100])
assert np.abs(batches.predict_many(frame) - price).mean() < 0.9
