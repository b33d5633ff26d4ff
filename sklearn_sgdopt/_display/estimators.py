"""The regressors that a Display is given, taken out of what they are wrapped in."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._regressor import GradientDescentRegressor
from sklearn_sgdopt._validation import check_rows

TRANSFORMED = "transformed y"


class Unwrapped(NamedTuple):
    """A regressor, and what it was wrapped in.

    Parameters
    ----------
    regressor : GradientDescentRegressor
        The regressor itself.
    wrappers : tuple
        From the outside in: pipelines of the steps before it, and regressors that transform y.
    """

    regressor: Any
    wrappers: tuple[Any, ...] = ()

    @property
    def target(self) -> str:
        """What the regressor predicts, for labels."""
        is_other = any(isinstance(wrapper, TransformedTargetRegressor) for wrapper in self.wrappers)
        return TRANSFORMED if is_other else "y"

    def feature_names(self) -> list[str] | None:
        """Names of the features of the fitted regressor, if it or the steps before it know them."""
        if hasattr(self.regressor, "feature_names_in_"):
            return [str(name) for name in self.regressor.feature_names_in_]
        names = None
        for wrapper in self.wrappers:
            if isinstance(wrapper, Pipeline):
                names = names_after(wrapper, names)
        return names

    def transformed(self, X: Any) -> Any:
        """Return what the steps before the fitted regressor make of X."""
        for wrapper in self.wrappers:
            if isinstance(wrapper, Pipeline):
                X = wrapper.transform(X)
        return X


def names_after(steps: Any, names: Any) -> list[str] | None:
    """Return the names of what fitted transformers give, or None: some have none, or know none."""
    try:
        return [str(name) for name in steps.get_feature_names_out(names)]
    except (AttributeError, ValueError):
        return None


def unwrap(name: str, estimator: Any, *, fitted: bool) -> Unwrapped:
    """Take a regressor out of pipelines, transformations of y and searches; refuse what holds none."""
    if isinstance(estimator, Unwrapped):
        return estimator
    inner, wrappers = estimator, []
    while not isinstance(inner, GradientDescentRegressor):
        if isinstance(inner, Pipeline):
            if len(inner.steps) > 1:
                wrappers.append(inner[:-1])
            inner = inner[-1]
        elif isinstance(inner, TransformedTargetRegressor):
            wrappers.append(inner)
            if fitted:
                check_is_fitted(inner, "regressor_")
            inner = inner.regressor_ if fitted else inner.regressor
        elif isinstance(inner, GridSearchCV | RandomizedSearchCV) or hasattr(inner, "best_estimator_"):
            check_is_fitted(inner, "best_estimator_")
            inner = inner.best_estimator_
        else:
            found = type(estimator).__name__
            found += "" if inner is estimator else f" that holds {type(inner).__name__}"
            raise TypeError(
                f"Estimator {name!r} must be a GradientDescentRegressor, or a Pipeline, "
                f"TransformedTargetRegressor or fitted search around one; got {found}."
            )
    return Unwrapped(inner, tuple(wrappers))


def named_estimators(estimators: Any, *, fitted: bool = False) -> dict[str, Unwrapped]:
    """Unwrapped estimators by name, from a mapping or a sequence, whose names are the solvers."""
    if isinstance(estimators, Mapping):
        named = {
            str(name): unwrap(str(name), estimator, fitted=fitted) for name, estimator in estimators.items()
        }
    elif isinstance(estimators, Sequence) and not isinstance(estimators, str):
        inside = [unwrap(f"number {i}", one, fitted=fitted) for i, one in enumerate(estimators)]
        solvers = [one.regressor.solver for one in inside]
        named = {
            solver if solvers.count(solver) == 1 else f"{solver} {position}": one
            for position, (solver, one) in enumerate(zip(solvers, inside, strict=True))
        }
    else:
        raise TypeError(
            f"estimators must be a dict of names and estimators, or a list of estimators; got "
            f"{type(estimators).__name__}. For one estimator use from_estimator."
        )
    if not named:
        raise ValueError("estimators is empty; give at least one GradientDescentRegressor.")
    return named


def common_loss(estimators: Mapping[str, Unwrapped]) -> tuple[str, str]:
    """Return the loss that all estimators share, and of what: others have other units."""
    losses = {(one.regressor.loss, one.target) for one in estimators.values()}
    if len(losses) > 1:
        shown = sorted(loss if target == "y" else f"{loss} of {target}" for loss, target in losses)
        raise ValueError(
            f"The estimators must have one loss to share an axis; got {shown}. Draw a display for each."
        )
    return losses.pop()


class Data(NamedTuple):
    """What regressors are trained on inside their wrappers, with held-out samples if there are any.

    ``names`` are those of the features, if they are known. ``y`` is as it was given: 1-D or 2-D.
    """

    X: Any
    y: np.ndarray
    names: list[str] | None
    held_out: tuple[Any, np.ndarray] | None


def shared_data(
    estimators: Mapping[str, Unwrapped], X: Any, y: Any, held_out: tuple[Any, Any] | None = None
) -> Data:
    """Return checked data as the wrappers transform them, which must be the same for all estimators.

    Clones of the steps are fitted to X and y, as in a fit of the whole.
    """
    data = {name: _inner_data(one, X, y, held_out) for name, one in estimators.items()}
    first, *others = data
    for name in others:
        pairs = [(data[first].X, data[name].X), (data[first].y, data[name].y)]
        if not all(_is_same(*pair) for pair in pairs):
            raise ValueError(
                f"The estimators must train on the same data to be drawn together, but the steps before "
                f"{first!r} and {name!r} make different data of X and y. Draw a display for each."
            )
    return data[first]


def _inner_data(unwrapped: Unwrapped, X: Any, y: Any, held_out: tuple[Any, Any] | None) -> Data:
    """Return the data on which the regressor is trained, inside its wrappers."""
    names = None
    for wrapper in unwrapped.wrappers:
        if isinstance(wrapper, Pipeline):
            steps = clone(wrapper)
            X = steps.fit_transform(X, y)
            names = names_after(steps, names)
            held_out = held_out and (steps.transform(held_out[0]), held_out[1])
        else:  # a regressor that predicts nothing leaves only what is done to y
            change = clone(wrapper).set_params(regressor=DummyRegressor()).fit(X, y).transformer_
            y = _changed(change, y)
            held_out = held_out and (held_out[0], _changed(change, held_out[1]))
    columns = Columns(type(unwrapped.regressor))
    X, y = _checked(columns, X, y)
    names = [str(name) for name in (names or [] if columns.names is None else columns.names)] or None
    return Data(X, y, names, held_out and _checked(Columns(columns.kind), *held_out))


def _changed(transformer: Any, y: Any) -> np.ndarray:
    """Return targets as the regressor within a TransformedTargetRegressor sees them."""
    columns = np.asarray(y)
    result = np.asarray(transformer.transform(columns.reshape(len(columns), -1)))
    return result[:, 0] if columns.ndim == 1 and result.ndim == 2 and result.shape[1] == 1 else result


def _checked(columns: Columns, X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Return samples in the form in which nothing is left to convert in a fit."""
    X, y, single = check_rows(columns, X, y)
    return X, y[:, 0] if single else y


def _is_same(one: Any, other: Any) -> bool:
    """Whether two arrays or sparse matrices hold the same numbers."""
    if one is other or one.shape != other.shape or sparse.issparse(one) != sparse.issparse(other):
        return one is other
    return (one != other).nnz == 0 if sparse.issparse(one) else np.array_equal(one, other)
