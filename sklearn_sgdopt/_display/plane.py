"""The plane of two parameters that paths are drawn in, and the loss over it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

NARROWEST = 0.5  # least extent of an axis by that of the other, in equal steps of the loss


class Plane:
    """Two parameters in the units of the picture, and the loss over them.

    Prediction is ``u @ parameters + rest``, where a column of ``u`` is a feature, centred and
    scaled if standardised, or ones for the intercept (None in ``chosen``).
    """

    def __init__(
        self,
        X: Any,
        weight: np.ndarray | None,
        chosen: tuple[int | None, int | None],
        *,
        standardized: bool,
        centered: bool,
    ):
        self.X, self.chosen, self.standardized = X, chosen, standardized
        self.weight = np.ones(X.shape[0]) if weight is None else weight
        self.mean = np.zeros(X.shape[1])
        if standardized and centered:
            self.mean = np.asarray(X.T @ (self.weight / self.weight.sum()), dtype=np.float64)
        self.columns = np.ones((X.shape[0], 2))
        self.scale = np.ones(2)
        for axis, feature in enumerate(chosen):
            if feature is None:
                continue
            column = X[:, [feature]].toarray()[:, 0] if sparse.issparse(X) else X[:, feature]
            column = column.astype(np.float64) - self.mean[feature]
            if standardized:
                self.scale[axis] = np.sqrt(np.average(column**2, weights=self.weight))
                if self.scale[axis] <= 1e-12 * abs(self.mean[feature]):
                    raise ValueError(
                        f"Feature {feature} is constant, and its coefficient stays 0 in standardized "
                        "coordinates. Choose another parameter, or coordinates='data'."
                    )
            self.columns[:, axis] = column / self.scale[axis]

    def place(self, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """Points (m, 2) of parameters (m, d) and (m,) in the data's units."""
        moved = intercept + coef @ self.mean
        return np.column_stack(
            [
                moved if feature is None else coef[:, feature] * self.scale[axis]
                for axis, feature in enumerate(self.chosen)
            ]
        )

    def rest(self, coef: np.ndarray, intercept: float) -> np.ndarray:
        """Part of the prediction that the other parameters make."""
        others = coef.astype(np.float64)
        others[[feature for feature in self.chosen if feature is not None]] = 0.0
        constant = 0.0 if None in self.chosen else intercept + coef @ self.mean
        return np.asarray(self.X @ others - self.mean @ others + constant)

    def surface(
        self, targets: np.ndarray, points: np.ndarray, *, grid_resolution: int = 100, margin: float = 0.15
    ) -> dict[str, Any]:
        """Return the loss on a grid around points and its minimum, as the Display takes them.

        With p the parameters, the loss is ``least + (p - minimum) A (p - minimum)``.
        """
        root = np.sqrt(self.weight / self.weight.sum())[:, None]
        minimum = np.linalg.lstsq(root * self.columns, root[:, 0] * targets, rcond=None)[0]
        residual = root[:, 0] * (targets - self.columns @ minimum)
        curvature = (root * self.columns).T @ (root * self.columns)
        low, high = limits(np.vstack([points, minimum]), curvature.diagonal(), margin)
        xx0, xx1 = np.meshgrid(*np.linspace(low, high, grid_resolution).T)
        offset = np.stack([xx0 - minimum[0], xx1 - minimum[1]])
        least = float(residual @ residual)
        response = least + np.einsum("ikl,ij,jkl->kl", offset, curvature, offset)
        return {"xx0": xx0, "xx1": xx1, "response": response, "minimum": minimum, "least": least}

    def labels(self, names: Sequence[str] | None, target: str) -> tuple[str, str]:
        """Axis labels with units."""
        first, second = (self._label(feature, names, target) for feature in self.chosen)
        return first, second

    def _label(self, feature: int | None, names: Sequence[str] | None, target: str) -> str:
        if feature is None:
            return f"intercept{' at the mean of X' if self.mean.any() else ''} (units of {target})"
        name = f"feature {feature}" if names is None else names[feature]
        unit = "standard deviation" if self.standardized else "unit"
        return f"coefficient of {name} (units of {target} per {unit})"


def chosen_parameters(parameters: Any, features: int, names: Sequence[str]) -> tuple[int | None, int | None]:
    """Return the indices of two features, None for the intercept."""
    if parameters is None:
        return (0, None) if features == 1 else (0, 1)
    expected = "two of: an index, a feature name, 'intercept'; for example (0, 'intercept')"
    if isinstance(parameters, str) or not isinstance(parameters, Sequence) or len(parameters) != 2:
        raise ValueError(f"parameters must be {expected}; got {parameters!r}.")
    chosen: list[int | None] = []
    for parameter in parameters:
        if parameter in names:
            chosen.append(names.index(parameter))
        elif parameter == "intercept":
            chosen.append(None)
        elif isinstance(parameter, str):
            known = f"the features are {names}" if names else "X has no feature names: use an index"
            raise ValueError(f"parameters must be {expected}; got {parameter!r}, but {known}.")
        elif isinstance(parameter, int | np.integer) and -features <= parameter < features:
            chosen.append(int(parameter) % features)
        else:
            raise ValueError(
                f"parameters must be {expected}; got {parameter!r}, but X has {features} features."
            )
    if chosen[0] == chosen[1]:
        raise ValueError(f"parameters must be two different ones; got {parameters!r}.")
    return chosen[0], chosen[1]


def limits(points: np.ndarray, curvature: np.ndarray, margin: float) -> np.ndarray:
    """Lower and upper limits of both axes around points; a path along one axis still gets a plane."""
    unit = 1.0 / np.sqrt(np.where(curvature > 0.0, curvature, 1.0))
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (high - low) / unit
    widest = extent.max() if extent.max() > 0.0 else 1.0
    half = unit * np.maximum(extent, NARROWEST * widest) * (0.5 + margin)
    middle = (low + high) / 2.0
    return np.stack([middle - half, middle + half])
