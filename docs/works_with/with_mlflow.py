"""A run with its loss curve and its model in MLflow."""

import mlflow
import numpy as np
from sklearn.datasets import load_diabetes

from sklearn_sgdopt import GradientDescentRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
model = GradientDescentRegressor(random_state=0).fit(X, y)

with mlflow.start_run():
    mlflow.log_params(model.get_params())
    for epoch, loss in enumerate(model.loss_curve_):
        mlflow.log_metric("loss", loss, step=epoch)
    saved = mlflow.sklearn.log_model(
        model,
        name="model",
        skops_trusted_types=["sklearn_sgdopt._regressor.GradientDescentRegressor"],
    )

loaded = mlflow.sklearn.load_model(saved.model_uri)
assert np.array_equal(loaded.predict(X), model.predict(X))
