"""A model in ONNX, with onnxruntime."""

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt.onnx import register

X, y = load_diabetes(return_X_y=True, scaled=False)
model = GradientDescentRegressor(random_state=0).fit(X, y)

register()
graph = to_onnx(model, X[:1].astype(np.float32))
session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
(predictions,) = session.run(None, {"X": X.astype(np.float32)})

assert predictions.shape == (442, 1)
assert np.allclose(predictions[:, 0], model.predict(X), rtol=1e-4)
