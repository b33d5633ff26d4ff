"""Training on a cluster of Dask workers: the same solvers, statistics and stopping."""

import warnings
from array import array
from functools import partial
from typing import Any, Literal, Self

import numpy as np

try:
    import dask.array
    from dask.base import is_dask_collection
    from distributed import Client
except ImportError as error:
    raise ImportError(
        "sklearn_sgdopt.dask needs dask and distributed: pip install 'dask[distributed]'"
    ) from error

from sklearn_sgdopt import _cluster, _shards
from sklearn_sgdopt._callbacks import FRAMES_BETWEEN, with_callbacks
from sklearn_sgdopt._cluster import Shards, partitions_of, results, sharded
from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._hints import shown, with_hints
from sklearn_sgdopt._parameters import InvalidParameterError, either, integer, one_of
from sklearn_sgdopt._problem import Inputs
from sklearn_sgdopt._regressor import CURVES, GradientDescentRegressor
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._shards import Found
from sklearn_sgdopt._state import State
from sklearn_sgdopt._validation import check_held_out

__all__ = ["DaskGradientDescentRegressor"]

DIFFERENT = 0.3  # part of a column's variance between the shards from which they are too different
FRAMES_UP = 6 + FRAMES_BETWEEN  # from `_warn` to the line that called `fit`
OF_DASK = ("shards", "client")
SHARDS = either(one_of("auto"), integer(1))


class DaskGradientDescentRegressor(GradientDescentRegressor):
    """Linear regression by gradient descent, on samples spread over a Dask cluster.

    The samples are divided among shards. In each round every shard makes one epoch from the common
    parameters, and the states in which they end are averaged, weighted by the samples' weight. "gd" makes
    one update a round, along the gradient of all samples; with squared error it reads the samples once and
    needs no rounds.

    Parameters
    ----------
    solver : {"gd", "sgd", "momentum", "adam"}, default="adam"
        The update rule.
    shards : int or "auto", default="auto"
        Number of shards: how many parts of the samples are trained on at the same time. Results depend on
        it, and on nothing else of the cluster. "auto" takes as many as the cluster has threads, but no more
        than one for 100,000 samples: a model gets as many updates as one shard makes. There are at most as
        many shards as partitions.
    client : distributed.Client, default=None
        The client of the cluster. None takes the current one. It is not part of a pickle.
    loss, delta, quantile, penalty, alpha, l1_ratio : default="squared_error" and so on
        The objective, as in :class:`~sklearn_sgdopt.GradientDescentRegressor`.
    epochs : int or "auto", default="auto"
        Maximum number of rounds.
    batch_size, learning_rate, schedule, power_t, momentum, nesterov : default=32 and so on
        The updates, as there. Each shard has batches of its own.
    beta_1, beta_2, epsilon, standardize, whiten, fit_intercept, average, shuffle : default=0.9 and so on
        The same.
    tol, n_iter_no_change : default=1e-6 and 5
        When training stops, as there. The client decides, workers only compute.
    early_stopping : bool, default=False
        Whether to stop on the loss of ``X_val``, which `fit` then needs.
    validation_fraction : float, default=0.1
        Not used: `fit` holds out no samples by itself.
    warm_start : bool, default=False
        Whether `fit` continues from where the last call ended.
    n_jobs : int, default=None
        Not used: shards are what runs at the same time.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.
    verbose : int, default=0
        Print one line for each round.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients, in units of y by units of the feature.
    intercept_ : float or ndarray of shape (n_outputs,)
        Intercept, in units of y.
    loss_curve_ : list of float
        Mean loss in each round, each batch before its update.
    validation_curve_ : list of float
        Loss of the held-out samples after each round, at the reported parameters; only if there are any.
    n_iter_ : int
        Number of rounds made.
    t_ : int
        Number of updates made by a shard, the mean of all shards.
    learning_rate_ : float or ndarray of shape (n_outputs,)
        The rate that was used.
    n_shards_ : int
        Number of shards trained on; of partitions where "gd" needs no shards.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names.

    See Also
    --------
    sklearn_sgdopt.GradientDescentRegressor : The same on one machine, with `fit_chunks` for data larger
        than memory.

    Notes
    -----
    `partial_fit` and `fit_chunks` train in this process. What runs on the cluster are plain tasks, pinned to
    no worker: if a worker dies, Dask runs its tasks again, and the result is the same to the last bit.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt.dask import DaskGradientDescentRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> X, y = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    >>> with Client(processes=False, dashboard_address=":0"):
    ...     model = DaskGradientDescentRegressor("gd").fit(X, y)
    ...     print(round(model.score(X, y), 2))
    0.52
    """

    @with_hints
    def __init__(
        self,
        solver: Literal["gd", "sgd", "momentum", "adam"] = "adam",
        *,
        shards: int | Literal["auto"] = "auto",
        client: Any = None,
        loss: str = "squared_error",
        delta: float | Literal["auto"] = "auto",
        quantile: float = 0.5,
        penalty: Literal["l2", "l1", "elasticnet"] | None = None,
        alpha: float = 1e-4,
        l1_ratio: float = 0.15,
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 32,
        learning_rate: float | Literal["auto"] = "auto",
        schedule: Literal["constant", "invscaling", "cosine", "adaptive"] = "constant",
        power_t: float = 0.25,
        momentum: float = 0.9,
        nesterov: bool = False,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        standardize: bool = True,
        whiten: bool | Literal["auto"] = "auto",
        fit_intercept: bool = True,
        average: bool | Literal["auto"] = "auto",
        shuffle: bool = True,
        tol: float | None = 1e-6,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        super().__init__(
            solver,
            loss=loss,
            delta=delta,
            quantile=quantile,
            penalty=penalty,
            alpha=alpha,
            l1_ratio=l1_ratio,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            power_t=power_t,
            momentum=momentum,
            nesterov=nesterov,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            standardize=standardize,
            whiten=whiten,
            fit_intercept=fit_intercept,
            average=average,
            shuffle=shuffle,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.shards = shards
        self.client = client

    @with_callbacks
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train for up to ``epochs`` rounds.

        Parameters
        ----------
        X : dask array or data frame of shape (n_samples, n_features), or list
            Samples. A list holds delayed ``(X, y)`` or ``(X, y, sample_weight)``, or such tuples of delayed
            arrays, one for each partition, in place of all three. A partition is an array, a CSR matrix or a
            pandas data frame, and may be empty.
        y : dask array, series or data frame of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, in as many partitions as X.
        sample_weight : dask array or series of shape (n_samples,), default=None
            Weights, in as many partitions as X.
        X_val : array-like or dask collection of shape (n_validation, n_features), default=None
            Held-out samples for ``validation_curve_`` and early stopping. They are brought here.
        y_val : array-like or dask collection of shape (n_validation,) or more, default=None
            Their targets.

        Returns
        -------
        self : DaskGradientDescentRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not as described; a partition is named by its number, from 0. A
            fitted model stays as it was.
        RuntimeError
            If the cluster has no workers, or data were lost that Dask cannot compute again.
        """
        if not SHARDS[1](self.shards):
            raise InvalidParameterError(
                f"The 'shards' parameter must be {SHARDS[0]}; got {shown(self.shards)}."
            )
        client = _cluster.current_client(self.client)
        count = None if isinstance(self.shards, str) else int(self.shards)
        shards = Shards(client, partitions_of(X, y, sample_weight), count)
        validation = here(client, X_val), here(client, y_val)
        try:
            self._train(partial(self._find, shards, validation))
            self.n_shards_ = len(shards.masses) or len(shards.partitions.parts)
        finally:
            shards.release()
        return self

    def _find(
        self, shards: Shards, validation: tuple[Any, Any], before: State | None, settings: Settings
    ) -> Inputs:
        """Return what a first pass over the partitions finds."""
        if settings.stopping.early_stopping and validation[0] is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val: fit holds out no samples of a cluster by itself."
            )
        columns = Columns(type(self)) if before is None else Columns.of(self)
        found = shards.find(
            settings, (columns.kind, columns.learned), None if before is None else before.outputs
        )
        (X, y, weight), chunked, facts = sharded(found, shards, settings)
        columns.learn(facts.n_features, facts.names)
        if settings.rule.solver != "gd":
            _warn_of_different_shards(found, facts.names, facts.n_features)
        single = facts.single if before is None else self.coef_.ndim == 1
        held_out = check_held_out(columns, *validation, outputs=y.shape[1], like=X)
        shown_samples = (X, y[:, 0] if single else y)
        return Inputs(X, y, weight, held_out, (None, None), columns, single, shown_samples, chunked)

    def predict(self, X: Any) -> Any:
        """Predict the targets of samples, lazily where X is lazy.

        Parameters
        ----------
        X : dask array, data frame, or array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : dask array or ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions: a dask array with the partitions of X, or those of an array that is in memory.
        """
        if not is_dask_collection(X):
            return super().predict(X)
        model = self._predictor()
        dtype = np.result_type(self.coef_.dtype, np.float32)
        if not isinstance(X, dask.array.Array):
            return _predicted_frame(X, model, dtype)
        if X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
        dtype = np.result_type(dtype, X.dtype)
        outputs = self.coef_.shape[:-1]
        return dask.array.map_blocks(
            _predicted,
            X,
            model,
            dtype=dtype,
            drop_axis=[] if outputs else [1],
            chunks=(X.chunks[0], *((n,) for n in outputs)),
            meta=np.empty((0,) * (1 + len(outputs)), dtype),
        )

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the coefficient of determination of the predictions, the mean of all outputs.

        Parameters
        ----------
        X : dask array, data frame, list of delayed chunks, or array-like of shape (n_samples, n_features)
            Samples, as `fit` takes them, or in memory.
        y : dask array, series, data frame, or array-like, default=None
            Targets.
        sample_weight : dask array, series, or array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            R squared.
        """
        if y is not None and not (is_dask_collection(X) or is_dask_collection(y)):
            return float(super().score(X, y, sample_weight))
        client, model = _cluster.current_client(self.client), self._predictor()
        partitions = partitions_of(X, y, sample_weight)
        task = partial(_shards.residual_moments, model=model)
        groups = [[i] for i in range(len(partitions.parts))]
        found = results(client, partitions.compute(client, task, groups))
        real = [moments for moments in found if moments.mass > 0.0]
        if not real:
            raise ValueError("There are no samples with a weight to score.")
        moments = real[0]
        for other in real[1:]:
            moments = moments.merged(other)
        outputs = len(moments.mean) // 2
        of_y, of_residuals = moments.variance[:outputs], moments.variance[outputs:]
        left = of_residuals + moments.mean[outputs:] ** 2
        ratio = np.divide(left, of_y, out=(left > 0.0).astype(float), where=of_y > 0.0)
        return float(np.mean(1.0 - ratio))

    def to_local(self) -> GradientDescentRegressor:
        """Return the same model without Dask; `partial_fit` goes on where training has ended.

        Returns
        -------
        model : GradientDescentRegressor
            With the same parameters, state and fitted attributes.
        """
        values = self.get_params(deep=False)
        parameters = {name: value for name, value in values.items() if name not in OF_DASK}
        local = GradientDescentRegressor(**parameters)
        fitted = {k: v for k, v in vars(self).items() if k not in values and k != "n_shards_"}
        for name in CURVES:
            if name in fitted:
                fitted[name] = array("d", fitted[name])
        local.__dict__.update(fitted)
        return local

    def _predictor(self) -> GradientDescentRegressor:
        """Return no more than predictions need."""
        local = self.to_local()
        for name in ("_state", *CURVES):
            local.__dict__.pop(name, None)
        return local

    def __sklearn_clone__(self) -> Self:
        """Return a clone with the same client, which cannot be copied."""
        bare = object.__new__(type(self))
        bare.__dict__.update(vars(self), client=None)
        copied: Self = super(DaskGradientDescentRegressor, bare).__sklearn_clone__()
        copied.client = self.client
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: no client."""
        return {**super().__getstate__(), "client": None}


def here(client: Client, values: Any) -> Any:
    """Bring a lazy collection here."""
    if not is_dask_collection(values):
        return values
    return results(client, [client.compute(values)])[0]


def _predicted(X: Any, model: GradientDescentRegressor) -> np.ndarray:
    """Return the predictions for a partition, which may be empty."""
    if len(X):
        return model.predict(X)
    return np.empty((0, *model.coef_.shape[:-1]), model.coef_.dtype)


def _predicted_frame(X: Any, model: GradientDescentRegressor, dtype: Any) -> Any:
    """Return the predictions for a data frame, as an array."""
    import pandas as pd

    if model.coef_.ndim == 1:
        kind, meta = pd.Series, pd.Series(dtype=np.float64)
    else:
        kind, meta = pd.DataFrame, pd.DataFrame(np.empty((0, len(model.coef_))))

    def predicted(part: Any) -> Any:
        return kind(_predicted(part, model).astype(np.float64, copy=False), index=part.index)

    return X.map_partitions(predicted, meta=meta).to_dask_array()


def _warn_of_different_shards(found: Found, names: Any, n_features: int) -> None:
    """Name the column of which too much of the variance lies between the shards."""
    between = found.between()
    if len(found.means) < 2 or not between.size or not between.max() > DIFFERENT:
        return
    worst = int(np.argmax(between))
    column = "y" if worst >= n_features else f"column {worst if names is None else repr(str(names[worst]))}"
    warnings.warn(
        f"{between[worst]:.0%} of the variance of {column} lies between the {len(found.means)} shards: they "
        "are too different for models of each to be averaged. Give the samples more partitions, shuffle "
        "them, or use fewer shards.",
        UserWarning,
        stacklevel=FRAMES_UP,
    )
