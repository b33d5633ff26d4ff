"""Linear regression by gradient descent, for scikit-learn."""

from sklearn_sgdopt._regressor import GradientDescentRegressor

__version__ = "0.1.0"

__all__ = ["GradientDescentRegressor", "__version__"]
