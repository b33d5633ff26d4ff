"""Linear regression by gradient descent, for scikit-learn."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn_sgdopt._display.coefficients import CoefficientDisplay
    from sklearn_sgdopt._display.comparison import SolverComparisonDisplay
    from sklearn_sgdopt._display.loss_curve import LossCurveDisplay
    from sklearn_sgdopt._display.path import DescentPathDisplay
    from sklearn_sgdopt._minimize import minimize_adam, minimize_gd, minimize_momentum
    from sklearn_sgdopt._regressor import GradientDescentRegressor
    from sklearn_sgdopt._show_versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "CoefficientDisplay",
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

# Where each public name is. A module is imported when one of its names is first used.
_HOMES = {
    "CoefficientDisplay": "_display.coefficients",
    "DescentPathDisplay": "_display.path",
    "GradientDescentRegressor": "_regressor",
    "LossCurveDisplay": "_display.loss_curve",
    "SolverComparisonDisplay": "_display.comparison",
    "minimize_adam": "_minimize",
    "minimize_gd": "_minimize",
    "minimize_momentum": "_minimize",
    "show_versions": "_show_versions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next use finds it at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
