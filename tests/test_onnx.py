"""Models converted to ONNX predict the same in onnxruntime."""

import numpy as np
import pandas as pd
import pytest
from cases import SOLVERS
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt.onnx import register

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCES = {np.float64: 1e-9, np.float32: 1e-4}
TENSORS = {
    np.float64: skl2onnx.common.data_types.DoubleTensorType,
    np.float32: skl2onnx.common.data_types.FloatTensorType,
    np.int64: skl2onnx.common.data_types.Int64TensorType,
}


@pytest.fixture(autouse=True)
def registered():
    register()


def run(graph, **inputs):
    """Return what a session of onnxruntime makes of named inputs."""
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, inputs)
    return result


def targets(outputs):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X, (y if outputs is None else np.column_stack([y, 1e3 * X[:, 0] - y, X[:, 2] ** 2])[:, :outputs])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("outputs", [None, 1, 3], ids=["1-D y", "a column", "three outputs"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_plain_models(solver, outputs, dtype):
    X, y = targets(outputs)
    X = X.astype(dtype)
    model = GradientDescentRegressor(solver, random_state=0).fit(X, y)
    given = run(skl2onnx.to_onnx(model, X[:1]), X=X)
    assert given.dtype == dtype
    assert given.shape == (len(X), outputs or 1)
    assert given == pytest.approx(model.predict(X).reshape(given.shape), rel=TOLERANCES[dtype])


@pytest.mark.parametrize("outputs", [None, 3])
def test_output_has_the_shape_and_the_type_of_a_linear_regression(outputs):
    X, y = targets(outputs)
    for tensor in TENSORS.values():
        inputs = [("X", tensor([None, X.shape[1]]))]
        ours, theirs = (
            skl2onnx.convert_sklearn(model.fit(X, y), initial_types=inputs).graph.output[0].type
            for model in (GradientDescentRegressor("gd"), LinearRegression())
        )
        assert ours == theirs


@pytest.mark.parametrize("trained", TOLERANCES)
@pytest.mark.parametrize("used", TENSORS)
def test_types_of_training_and_of_use_may_differ(trained, used):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 100, size=(200, 3))
    model = GradientDescentRegressor(random_state=0).fit(X.astype(trained), X @ [1.0, 20.0, -3.0])
    graph = skl2onnx.convert_sklearn(model, initial_types=[("X", TENSORS[used]([None, 3]))])
    expected = model.predict(X.astype(used))
    given = run(graph, X=X.astype(used))
    assert given[:, 0] == pytest.approx(expected, rel=1e-9 if trained == used == np.float64 else 1e-4)


def test_float32_input_of_large_values_that_vary_little():
    rng = np.random.default_rng(0)
    year = rng.integers(2000, 2025, 500)
    X = np.column_stack([year, rng.normal(size=500)]).astype(np.float32)
    model = GradientDescentRegressor("gd").fit(X.astype(np.float64), 3.0 * (year - 2010) + X[:, 1])
    given = run(skl2onnx.to_onnx(model, X[:1]), X=X)
    # In float32 sums the intercept, -6030, takes three digits of what is left.
    assert given[:, 0] == pytest.approx(model.predict(X.astype(np.float64)), rel=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("outputs", [None, 2])
def test_pipeline_with_a_column_transformer(outputs, dtype, fit_intercept):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "size": rng.uniform(20, 200, 400).astype(dtype), "age": rng.uniform(0, 100, 400).astype(dtype),
        "town": rng.choice(["Ulm", "Bonn", "Kiel"], 400),
    })  # fmt: skip
    y = 3e3 * frame["size"] - 200 * frame["age"] + frame["town"].map({"Ulm": 0.0, "Bonn": 5e4, "Kiel": -8e4})
    y = y.to_numpy() if outputs is None else np.column_stack([y, frame["size"]])
    columns = ColumnTransformer(
        [("town", OneHotEncoder(), ["town"]), ("numbers", StandardScaler(), ["size", "age"])],
        sparse_threshold=0,
    )
    model = make_pipeline(columns, GradientDescentRegressor(fit_intercept=fit_intercept, random_state=0))
    model.fit(frame, y)
    numbers = TENSORS[dtype]([None, 1])
    text = skl2onnx.common.data_types.StringTensorType([None, 1])
    inputs = [("size", numbers), ("age", numbers), ("town", text)]
    graph = skl2onnx.convert_sklearn(model, initial_types=inputs)
    given = run(graph, **{name: frame[[name]].to_numpy() for name in frame})
    expected = model.predict(frame).reshape(given.shape)
    assert given == pytest.approx(expected, rel=TOLERANCES[dtype])


def test_members_of_an_ensemble():
    X, y = targets(None)
    model = BaggingRegressor(GradientDescentRegressor("sgd"), n_estimators=3, random_state=0).fit(X, y)
    assert run(skl2onnx.to_onnx(model, X[:1]), X=X)[:, 0] == pytest.approx(model.predict(X), rel=1e-9)


def test_an_unfitted_model_is_refused():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        skl2onnx.to_onnx(GradientDescentRegressor(), np.ones((1, 2)))
