"""Conversion to ONNX: a converter of the estimator for skl2onnx."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._regressor import GradientDescentRegressor

__all__ = ["register"]

ALIAS = "SgdoptGradientDescentRegressor"


def register() -> None:
    """Register the converter of :class:`~sklearn_sgdopt.GradientDescentRegressor` for skl2onnx.

    Call it once, before ``skl2onnx.to_onnx`` or ``skl2onnx.convert_sklearn``. They then convert a fitted
    model by itself, and as a part of what skl2onnx knows, such as a Pipeline or a BaggingRegressor. Calling
    it again changes nothing.

    Raises
    ------
    ImportError
        If skl2onnx is not installed. It comes with the extra ``onnx``.

    Notes
    -----
    The graph computes ``X @ coef_ + intercept_``. Its output has the shape (n_samples, 1) for one target and
    (n_samples, n_outputs) for several, as skl2onnx does it for scikit-learn's linear models. Its type is that
    of the input: float64, and float32 for all others.

    If the coefficients are float64, the sum is computed in float64 for float32 input as well, and rounded at
    the end. Raw data need this: if values are large and vary little, as years do, sums in float32 lose most
    of their digits.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import GradientDescentRegressor
    >>> from sklearn_sgdopt.onnx import register
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> register()  # doctest: +SKIP
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = GradientDescentRegressor("gd").fit(X, y)
    >>> graph = to_onnx(model, X[:1])  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            "sklearn_sgdopt.onnx.register needs skl2onnx, which is not installed: pip install skl2onnx (the "
            "extra `onnx` of sklearn-sgdopt)"
        ) from error
    update_registered_converter(GradientDescentRegressor, ALIAS, set_output_shape, add_nodes)


def set_output_shape(operator: Any) -> None:
    """Set type and shape of the output. skl2onnx calls it first, so an unfitted model is refused here."""
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    check_is_fitted(operator.raw_operator)
    calculate_linear_regressor_output_shapes(operator)


def add_nodes(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of ``X @ coef_ + intercept_`` to the graph."""
    from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxCast, OnnxMatMul
    from skl2onnx.common.data_types import guess_numpy_type, guess_proto_type
    from skl2onnx.proto import TensorProto

    model, version = operator.raw_operator, {"op_version": container.target_opset}
    (X,), (output,) = operator.inputs, operator.outputs
    dtype = np.result_type(guess_numpy_type(output.type), model.coef_)
    coef = model.coef_.reshape(-1, model.n_features_in_).T.astype(dtype)
    intercept = np.reshape(model.intercept_, -1).astype(dtype)
    working = TensorProto.DOUBLE if dtype == np.float64 else TensorProto.FLOAT
    samples = OnnxCast(X, to=working, **version)
    predictions = OnnxAdd(OnnxMatMul(samples, coef, **version), intercept, **version)
    result = OnnxCast(predictions, to=guess_proto_type(output.type), output_names=[output], **version)
    result.add_to(scope, container)
