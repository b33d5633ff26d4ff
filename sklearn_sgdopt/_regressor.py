"""The estimator: its parameters, the order of a fit, and what is left on it afterwards."""

import copy
from typing import Any, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_sgdopt import _training as training
from sklearn_sgdopt._callbacks import CallbackSupportMixin, EpochTasks, with_callbacks
from sklearn_sgdopt._diagnosis import warn_of_divergence, warn_of_slow_convergence
from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._objective import best_constant
from sklearn_sgdopt._optimizer_state import OptimizerState
from sklearn_sgdopt._plan import earliest_stop
from sklearn_sgdopt._rows import make_rows, without_weightless
from sklearn_sgdopt._validation import (
    check_parameters,
    check_rows,
    check_start,
    check_weights,
    is_ready,
    make_generator,
)

# Found by benchmarks/defaults.py: enough for every data set tried, at twice the time of
# StandardScaler and SGDRegressor at most. A "gd" epoch costs nothing that grows with the rows.
GD_EPOCHS = 10_000
LEAST_EPOCHS, MOST_EPOCHS, ENOUGH_UPDATES = 70, 1000, 3000


class GradientDescentRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Linear regression by gradient descent, on raw data and with default settings.

    Minimises the mean loss of ``X @ coef_ + intercept_`` by one of four solvers. With
    :math:`g_k` the mean gradient of a batch of m rows and :math:`\gamma` the learning rate:

    - "gd", on all rows, and "sgd", on mini-batches:
      :math:`a_{k+1} = a_k - \gamma g_k`;
    - "momentum": :math:`m_k = \eta m_{k-1} + g_k`, :math:`a_{k+1} = a_k - \gamma m_k`;
    - "adam": :math:`m_k = \beta_1 m_{k-1} + (1 - \beta_1) g_k`,
      :math:`v_k = \beta_2 v_{k-1} + (1 - \beta_2) g_k^2`,
      :math:`a_{k+1} = a_k - \gamma \hat m_k / \sqrt{\hat v_k + \epsilon}`, where
      :math:`\hat m_k = m_k / (1 - \beta_1^k)` and :math:`\hat v_k = v_k / (1 - \beta_2^k)`.

    Squared error carries no factor 1/2. By default the parameters move in standardised
    coordinates, at a rate taken from the curvature of the data, and their average is reported.

    Parameters
    ----------
    solver : {"gd", "sgd", "momentum", "adam"}, default="adam"
        The update rule.
    loss : str, default="squared_error"
        "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive" or "quantile".
        Loss of a residual r: ``r^2``; huber ``r^2`` up to ``|r| = delta`` and
        ``2 delta |r| - delta^2`` beyond; epsilon-insensitive ``max(0, |r| - delta)`` or its square;
        quantile ``q r`` for targets above the prediction and ``(q - 1) r`` below.
    delta : float or "auto", default="auto"
        Width of the huber and the insensitive losses, in units of y. "auto" is 1.35 (huber) or
        0.1 (insensitive) robust standard deviations of the first targets seen.
    quantile : float, default=0.5
        The quantile, in (0, 1), that the quantile loss estimates.
    penalty : {None, "l2", "l1", "elasticnet"}, default=None
        Penalty on the coefficients that are optimised (the standardised ones with
        ``standardize=True``), never on the intercept. The objective is
        ``mean loss + alpha * (l1_ratio * |a|_1 + (1 - l1_ratio) / 2 * |a|^2)``. Iterates are made exactly
        zero by a proximal step in each update. Averages of them, with ``learning_rate="auto"`` and a
        smooth loss, are by proximal steps on all rows at the end of `fit`; elsewhere small averages of
        coefficients that stand at zero are reported as zero, and with held-out rows all as they are.
    alpha : float, default=1e-4
        Strength of the penalty.
    l1_ratio : float, default=0.15
        Share of l1 in "elasticnet".
    epochs : int or "auto", default="auto"
        Most passes over the data that `fit` makes. "auto" is 10,000 for "gd", whose epochs are
        nearly free, and otherwise 70, or up to 1000 until there are 3000 updates.
    batch_size : int, default=32
        Rows in an update; more than there are means all. "gd" always uses all.
    learning_rate : float or "auto", default="auto"
        The rate :math:`\gamma`. "auto" takes it from bounds on the curvature of the data, for "adam"
        from the spread of y (``epsilon`` is then in units of the variance of y). Updates of "gd",
        and of "sgd" where a whole batch holds all rows, search along the gradient, each for its own, where
        loss and penalty are smooth and `schedule` is "constant"; see the user guide.
    schedule : {"constant", "invscaling", "cosine", "adaptive"}, default="constant"
        How the rate changes with the update t: not at all, :math:`\gamma / t^{power\_t}`, by half a
        cosine wave to 0 over `epochs`, or divided by 5 whenever `n_iter_no_change` epochs bring no gain.
    power_t : float, default=0.25
        Exponent of "invscaling".
    momentum : float, default=0.9
        The inertia :math:`\eta`, in [0, 1).
    nesterov : bool, default=False
        With solver "momentum": step along :math:`g_k + \eta m_k`.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of Adam's moments, in [0, 1).
    epsilon : float, default=1e-8
        Adam's :math:`\epsilon`, inside the square root.
    standardize : bool, default=True
        Optimise in coordinates with mean 0 and variance 1 (sparse X: variance 1), as with a
        StandardScaler in front; X is not copied, and ``coef_`` is in the data's units. In a stream
        mean and variance are those of all chunks so far. A constant column gets coefficient 0.
    fit_intercept : bool, default=True
        Whether to learn an intercept. Without one, columns are scaled by their root mean square.
    average : bool or "auto", default="auto"
        Report polynomial-decay averages of the iterates (Shamir and Zhang 2013). "auto": where gradients
        are estimates, that is not for "gd" unless in a stream or with a loss that has kinks.
    shuffle : bool, default=True
        Whether to visit the rows in a new random order each epoch. If not, the automatic rate is shorter:
        batches of sorted rows are no sample of all rows.
    tol : float or None, default=1e-6
        Training stops when the objective has not fallen by `tol` times the loss of the constant
        predictor for a while. None: run all epochs.
    n_iter_no_change : int, default=5
        That while, in epochs; a quarter of the epochs made if that is more.
    early_stopping : bool, default=False
        Whether `fit` stops on the loss of held-out rows, and brings back the parameters that had the least.
        `partial_fit` records the loss of ``X_val`` and leaves stopping to its caller.
    validation_fraction : float, default=0.1
        Share of the rows held out where `fit` is given no ``X_val``.
    warm_start : bool, default=False
        Whether `fit` goes on from where the last call ended.
    n_jobs : int, default=None
        Threads that sum the gradient of a batch, where it takes a million products or more; products of
        "gd" with squared error are BLAS's. ``None`` means 1 unless in a :obj:`joblib.parallel_backend`
        context, -1 all processors. Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.
    verbose : int, default=0
        Print a line an epoch.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients, in units of y by units of the feature.
    intercept_ : float or ndarray of shape (n_outputs,)
        Intercept, in units of y.
    loss_curve_ : list of float
        For each epoch the mean loss seen, each batch at the parameters that met it, in the units of
        the loss (squared error: y squared). Goes on through `partial_fit` and ``warm_start``.
    validation_curve_ : list of float
        For each epoch the loss of the held-out rows at the parameters reported; only where there are any.
    n_iter_ : int
        Epochs made.
    t_ : int
        Updates made.
    learning_rate_ : float or ndarray of shape (n_outputs,)
        The rate in force: where updates search for it, that of the last one.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has them.

    See Also
    --------
    sklearn.linear_model.LinearRegression : Solves small dense problems exactly.
    sklearn.linear_model.SGDRegressor : Stochastic gradient descent, one row at a time.

    Notes
    -----
    All state of the optimisation lives on the fitted estimator: `partial_fit` goes on exactly where the last
    call ended, also with a pickle in between. With batches smaller than the data, or in the plain setting,
    `fit` with ``epochs=k`` and ``tol=None`` equals k calls of `partial_fit` on the same rows, shuffling
    included, to the last bit; for "gd" also with ``average`` True or False. (The automatic rate is careful
    in a stream, where even a batch of all rows is but a sample.)

    References
    ----------
    O. Shamir and T. Zhang, "Stochastic gradient descent for non-smooth optimization", ICML 2013.
    R. M. Gower et al., "SGD: general analysis and improved rates", ICML 2019.
    M. Raydan and B. F. Svaiter, "Relaxed steepest descent and Cauchy-Barzilai-Borwein method",
    Computational Optimization and Applications 2002.
    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import GradientDescentRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = GradientDescentRegressor(random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.52
    """

    _doc_link_module = "sklearn_sgdopt"
    _doc_link_template = (
        "https://sklearn-sgdopt.readthedocs.io/en/stable/generated/{estimator_module}.{estimator_name}.html"
    )

    def __init__(
        self,
        solver: Literal["gd", "sgd", "momentum", "adam"] = "adam",
        *,
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
        self.solver = solver
        self.loss = loss
        self.delta = delta
        self.quantile = quantile
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.power_t = power_t
        self.momentum = momentum
        self.nesterov = nesterov
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.average = average
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        coef_init: Any = None,
        intercept_init: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train for up to ``epochs`` epochs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; float32 or float64 C-contiguous arrays are not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, at least 0 and not all 0: a weight of 2 counts a row twice.
        coef_init : array-like of shape (n_features,) or (n_outputs, n_features), default=None
            Coefficients to start from, in the data's units; 0 if not given.
        intercept_init : float or array-like of shape (n_outputs,), default=None
            Intercept to start from. If not given: 0 with ``standardize=False``, otherwise such that the
            starting function goes through the mean of X and y.
        X_val : array-like of shape (n_validation, n_features), default=None
            Held-out rows for ``validation_curve_`` and early stopping. In a Pipeline they arrive as they
            are given: name them in the Pipeline's ``transform_input``.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.

        Returns
        -------
        self : GradientDescentRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not as described; a fitted model stays as it was.
        """
        start = (coef_init, intercept_init)
        return self._fit(X, y, sample_weight, start=start, validation=(X_val, y_val))

    @with_callbacks
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Make one epoch over a chunk of a stream; everything learned so far goes on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of this chunk.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. A chunk whose weights are all 0 changes nothing.
        X_val : array-like of shape (n_validation, n_features), default=None
            Held-out rows for ``validation_curve_``.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.

        Returns
        -------
        self : GradientDescentRegressor
            The estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not as described; the model stays as it was.
        """
        return self._fit(X, y, sample_weight, stream=True, validation=(X_val, y_val))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, float32 where coefficients and rows are.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        return np.asarray(X @ self.coef_.T + self.intercept_)

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is refused by name, or told as divergence
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        stream: bool = False,
        start: tuple[Any, Any] = (None, None),
        validation: tuple[Any, Any] = (None, None),
        trace: np.ndarray | None = None,
    ) -> Self:
        """Validate, take up the state, train, assign what was learned."""
        before: Any = getattr(self, "_state", None)
        accepted = check_parameters(self, () if before is None else before.accepted)
        if stream and self.schedule == "cosine":
            raise ValueError("schedule='cosine' needs an end to run to: use it with fit, not partial_fit.")
        goes_on = before is not None and (stream or self.warm_start)
        given = X
        checked, X, y, single = self._check_data(X, y, goes_on=goes_on, stream=stream)
        weight = check_weights(sample_weight, len(y))
        if weight is not None and not weight.any():
            if stream:
                return self
            raise ValueError("Sample weights must contain at least one non-zero number; all are zero.")
        outputs, features = y.shape[1], X.shape[1]
        if goes_on and outputs != before.theta.shape[0]:
            raise ValueError(
                f"y has {outputs} outputs, but the model was fitted with {before.theta.shape[0]}."
            )
        coef, intercept = check_start(*start, outputs, features)
        held_out = self._held_out_rows(checked, validation, outputs, like=X)
        if goes_on and (coef is not None or intercept is not None):
            before = copy.deepcopy(before)  # where to start is known to be sound only once it is placed
        generator = before.generator if goes_on else make_generator(self.random_state)
        state: OptimizerState = before if goes_on else OptimizerState.start(outputs, features, generator)
        splits = held_out is None and self.early_stopping and not stream
        if splits:
            generator = copy.deepcopy(generator)  # a call that fails draws nothing
            X, y, weight, held_out = self._split(X, y, weight, generator)
        shown = (X if splits else given, y[:, 0] if single else y, weight)
        X, y, weight = without_weightless(X, y, weight)
        epochs = 1 if stream else self._most_epochs(*X.shape)

        rows = make_rows(X, y, weight)
        state.own()
        if accepted != state.accepted:
            state.best_loss, state.epochs_since_best = np.inf, 0  # of another objective, maybe
        first = state.targets.mass == 0.0
        moments = training.moments_for(self, rows, epochs=epochs, stream=stream)
        labels = getattr(checked, "feature_names_in_", None)
        training.observe(self, state, rows, moments, stream=stream, labels=labels)
        state.generator = generator
        self._place(state, rows, coef, intercept, first=first)
        tasks = self._tasks(state, X, shown, epochs=epochs, single=single, labels=labels)
        outcome = training.train(
            self,
            state,
            rows,
            epochs=epochs,
            stream=stream,
            moments=moments,
            validation=None if held_out is None else make_rows(*held_out),
            observer=tasks,
            trace=trace,
        )

        if checked is not self:
            _copy_inputs(checked, self)
        state.accepted = accepted
        self._publish(state, outcome, X.dtype, single=single, goes_on=goes_on)
        if tasks is not None:
            tasks.end()
        if outcome.status == kernels().DIVERGED:
            warn_of_divergence(self, state, rows, outcome)
        elif not stream and self.tol is not None and not self.early_stopping:
            exhausted = outcome.status == kernels().EXHAUSTED and self.schedule != "cosine"
            warn_of_slow_convergence(self, state, rows, outcome, exhausted=exhausted)
        return self

    def _check_data(
        self, X: Any, y: Any, *, goes_on: bool, stream: bool
    ) -> tuple[Any, Any, np.ndarray, bool]:
        """Return what holds the names and number of the features, X, y (n, k), and whether y was 1-D.

        A stand-in takes what validation learns of X, so that bad input leaves this estimator as it was.
        """
        named = hasattr(self, "feature_names_in_")
        if stream and goes_on and not named and is_ready(X, y, self.n_features_in_):
            return self, X, y.reshape(len(y), -1), y.ndim == 1
        checked = type(self)()
        if goes_on:
            _copy_inputs(self, checked)
        return checked, *check_rows(checked, X, y, reset=not goes_on)

    def _held_out_rows(self, checked: Any, validation: tuple[Any, Any], outputs: int, *, like: Any) -> Any:
        X_val, y_val = validation
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together.")
        if X_val is None:
            return None
        X_val, y_val, _ = check_rows(checked, X_val, y_val, reset=False, suffix="_val")
        if y_val.shape[1] != outputs:
            raise ValueError(f"y_val has {y_val.shape[1]} outputs, y has {outputs}.")
        if sparse.issparse(X_val) and not sparse.issparse(like):
            X_val = X_val.toarray()  # CSR rows are taken as they lie, and those of training are centred
        return X_val, y_val, None

    def _split(self, X: Any, y: np.ndarray, weight: Any, generator: np.random.Generator) -> Any:
        """Hold out a random part of the rows."""
        from sklearn.model_selection import train_test_split  # as long an import as that of this package

        seed = generator.integers(np.iinfo(np.int32).max)
        train, held = train_test_split(
            np.arange(len(y)), test_size=self.validation_fraction, random_state=int(seed)
        )
        if weight is not None and not (weight[train].any() and weight[held].any()):
            raise ValueError("sample_weight is zero for all rows held out, or for all that are left.")
        weights = (None, None) if weight is None else (weight[train], weight[held])
        return X[train], y[train], weights[0], (X[held], y[held], weights[1])

    def _most_epochs(self, rows: int, features: int) -> int:
        if self.epochs != "auto":
            return int(self.epochs)
        if self.solver == "gd":
            return GD_EPOCHS
        batch_size = min(self.batch_size, rows)
        epochs = int(np.clip(-(-ENOUGH_UPDATES // -(-rows // batch_size)), LEAST_EPOCHS, MOST_EPOCHS))
        return max(epochs, earliest_stop(rows, features + 1, batch_size))

    def _place(self, state: OptimizerState, rows: Any, coef: Any, intercept: Any, *, first: bool) -> None:
        """Put the parameters where training starts."""
        if not first and coef is None and intercept is None:
            return
        if coef is None:
            coef = np.zeros((state.theta.shape[0], state.theta.shape[1] - 1))
        if intercept is None:
            intercept = np.zeros(len(coef))
            if self.standardize and self.fit_intercept:
                constant = best_constant(self.loss, self.quantile, rows.y, rows.weight)
                intercept = constant - coef @ state.features.mean
        if not self.fit_intercept:
            intercept = np.zeros(len(coef))
        theta = state.coordinates.from_data_units(coef, intercept)
        if not np.isfinite(theta).all():
            raise ValueError(
                "coef_init or intercept_init overflows in standardised coordinates; "
                f"got {np.abs(coef).max():g} and {np.abs(intercept).max():g} at the most."
            )
        state.place(theta)

    def _tasks(
        self, state: OptimizerState, X: Any, shown: tuple[Any, ...], *, epochs: int, single: bool, labels: Any
    ) -> EpochTasks | None:
        """Return the tasks that callbacks are told of, and the rows and targets ``shown`` to them."""
        if not getattr(self, "_skl_callbacks", None):
            return None

        def attributes() -> dict[str, Any]:
            known = {} if labels is None else {"feature_names_in_": labels}
            return {**self._parameters(state, X.dtype, single=single), "n_features_in_": X.shape[1], **known}

        return EpochTasks(self, epochs, attributes, *shown)

    def _parameters(self, state: OptimizerState, dtype: Any, *, single: bool) -> dict[str, Any]:
        """Return the coefficients and the intercept reported in ``state``."""
        theta = state.reported()
        coef, intercept = state.coordinates.to_data_units(theta)
        coef, intercept = coef.astype(dtype, copy=False), intercept.astype(dtype, copy=False)
        return {"coef_": coef[0] if single else coef, "intercept_": intercept[0] if single else intercept}

    def _publish(
        self, state: OptimizerState, outcome: Any, dtype: Any, *, single: bool, goes_on: bool
    ) -> None:
        """Assign the fitted attributes."""
        self._state = state
        for name, value in self._parameters(state, dtype, single=single).items():
            setattr(self, name, value)
        self.learning_rate_ = float(outcome.rate[0]) if single else outcome.rate
        if not goes_on:
            self.loss_curve_: list[float] = []
            self.__dict__.pop("validation_curve_", None)
        self.loss_curve_.extend(outcome.losses)  # in place: a stream makes no copy for each chunk
        if outcome.validation:
            self.validation_curve_: list[float] = [
                *getattr(self, "validation_curve_", []),
                *outcome.validation,
            ]
        self.n_iter_ = len(self.loss_curve_)
        self.t_ = state.t

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _copy_inputs(source: Any, target: Any) -> None:
    """Copy what validation learns of X."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
        elif hasattr(target, name):
            delattr(target, name)
