"""Linear regression by gradient descent, for scikit-learn."""

from sklearn_sgdopt._display.comparison import SolverComparisonDisplay
from sklearn_sgdopt._display.loss_curve import LossCurveDisplay
from sklearn_sgdopt._display.path import DescentPathDisplay
from sklearn_sgdopt._minimize import minimize_adam, minimize_gd, minimize_momentum
from sklearn_sgdopt._regressor import GradientDescentRegressor
from sklearn_sgdopt._show_versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "DescentPathDisplay",
    "GradientDescentRegressor",
    "LossCurveDisplay",
    "SolverComparisonDisplay",
    "__version__",
    "minimize_adam",
    "minimize_gd",
    "minimize_momentum",
    "show_versions",
]
