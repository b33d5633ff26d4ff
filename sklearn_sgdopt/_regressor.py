"""The estimator: its parameters, the order of a call, and what is left on it afterwards."""

import operator
from array import array
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._callbacks import CallbackSupportMixin, EpochTasks, with_callbacks
from sklearn_sgdopt._chunked import Source
from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._diagnosis import tell
from sklearn_sgdopt._hints import unknown_parameters, with_hints
from sklearn_sgdopt._monitors import Outcome
from sklearn_sgdopt._observation import observe
from sklearn_sgdopt._parameters import PARAMETERS, advance, check_parameters, make_seed, values_of
from sklearn_sgdopt._problem import Inputs, Problem, make_problem, place
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._state import State
from sklearn_sgdopt._survey import survey
from sklearn_sgdopt._threads import ordered_map
from sklearn_sgdopt._training import most_epochs, train
from sklearn_sgdopt._validation import (
    check_coefficients,
    check_features,
    check_held_out,
    check_rows,
    check_start,
    check_weights,
    is_ready,
)

STATE_VERSION = 1
CURVES = ("_loss_curve", "_validation_curve")
# Parameters that a state depends on: after a change its coordinates and its patience are made anew.
ESSENTIAL = frozenset(
    [
        "solver",
        "loss",
        "delta",
        "quantile",
        "penalty",
        "alpha",
        "l1_ratio",
        "batch_size",
        "learning_rate",
        "schedule",
        "power_t",
        "momentum",
        "nesterov",
        "beta_1",
        "beta_2",
        "epsilon",
        "standardize",
        "whiten",
        "fit_intercept",
    ]
)


class GradientDescentRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Linear regression by gradient descent, on raw data and with default settings.

    Minimises the mean loss of ``X @ coef_ + intercept_`` by one of four solvers. With :math:`g_k` the mean
    gradient of a batch of samples and :math:`\gamma` the learning rate:

    - "gd", with all samples in a batch, and "sgd", with mini-batches:
      :math:`a_{k+1} = a_k - \gamma g_k`;
    - "momentum": :math:`m_k = \eta m_{k-1} + g_k`, :math:`a_{k+1} = a_k - \gamma m_k`;
    - "adam": :math:`m_k = \beta_1 m_{k-1} + (1 - \beta_1) g_k`,
      :math:`v_k = \beta_2 v_{k-1} + (1 - \beta_2) g_k^2`,
      :math:`a_{k+1} = a_k - \gamma \hat m_k / \sqrt{\hat v_k + \epsilon}`, where
      :math:`\hat m_k = m_k / (1 - \beta_1^k)` and :math:`\hat v_k = v_k / (1 - \beta_2^k)`.

    Squared error has no factor 1/2. By default training runs in coordinates in which the features have
    variance 1 and no correlation, with a rate computed from the data, and the average of the iterates is
    reported.

    Parameters
    ----------
    solver : {"gd", "sgd", "momentum", "adam"}, default="adam"
        The update rule.
    loss : str, default="squared_error"
        "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive" or "quantile". The
        formulas are in the user guide.
    delta : float or "auto", default="auto"
        Width of the huber and the insensitive losses, in units of y. "auto" is 1.35 (huber) or 0.1
        (insensitive) robust standard deviations of the first targets seen.
    quantile : float, default=0.5
        The quantile that the quantile loss estimates, in (0, 1).
    penalty : {None, "l2", "l1", "elasticnet"}, default=None
        Penalty on the standardised coefficients a, never on the intercept. The objective is
        ``mean loss + alpha * (l1_ratio * |a|_1 + (1 - l1_ratio) / 2 * |a|^2)``.
    alpha : float, default=1e-4
        Strength of the penalty.
    l1_ratio : float, default=0.15
        Share of l1 in "elasticnet".
    epochs : int or "auto", default="auto"
        Maximum number of passes over the data in `fit`. "auto" is computed from the rate and the size of the
        data, up to 1000 (10,000 updates where each uses all samples).
    batch_size : int, default=32
        Number of samples in an update; all samples if there are fewer. "gd" always uses all.
    learning_rate : float or "auto", default="auto"
        The rate :math:`\gamma`. "auto" is computed from the curvature of the data. A float is used in the
        coordinates of training: in white ones the curvature is 2 for every data set.
    schedule : {"constant", "invscaling", "cosine", "adaptive"}, default="constant"
        Change of the rate with the number of updates t: none, :math:`\gamma / t^{power\_t}`, half a cosine
        wave to 0 over `epochs`, or division by 5 whenever `n_iter_no_change` epochs bring no gain.
    power_t : float, default=0.25
        Exponent of "invscaling".
    momentum : float, default=0.9
        The inertia :math:`\eta`, in [0, 1). In white coordinates with ``learning_rate="auto"``, it and
        `beta_1` grow to their values over the first updates.
    nesterov : bool, default=False
        With solver "momentum": step along :math:`g_k + \eta m_k`.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of Adam's moments, in [0, 1).
    epsilon : float, default=1e-8
        Adam's :math:`\epsilon`, inside the square root. Not used with ``learning_rate="auto"``.
    standardize : bool, default=True
        Train in coordinates with mean 0 and variance 1 (sparse X: variance 1), as behind a StandardScaler. X
        is not copied, and ``coef_`` is in the data's units. A constant column gets the coefficient 0.
    whiten : bool or "auto", default="auto"
        Remove correlations between features as well. "gd" with squared error is then a damped Newton method.
        "auto": for dense X with at most 256 features and no l1 penalty. True needs ``standardize=True``.
    fit_intercept : bool, default=True
        Whether to learn an intercept. Without one, columns are divided by their root mean square.
    average : bool or "auto", default="auto"
        Whether to report the polynomial-decay average of the iterates, not the last one. "auto": yes, but not
        in `fit` with solver "gd", or with a loss with kinks at the automatic rate.
    shuffle : bool, default=True
        Whether to visit the samples in a new random order each epoch. If False, the automatic rate is
        smaller.
    tol : float or None, default=1e-6
        Training stops when the objective no longer improves by this fraction. None: run all epochs.
    n_iter_no_change : int, default=5
        Smallest number of epochs without improvement after which training stops.
    early_stopping : bool, default=False
        Whether `fit` stops on the loss of held-out samples, and restores the parameters with the smallest
        one.
    validation_fraction : float, default=0.1
        Fraction of the samples held out if `fit` is given no ``X_val``.
    warm_start : bool, default=False
        Whether `fit` continues from where the last call ended.
    n_jobs : int, default=None
        Number of threads for the gradient of very large batches. ``None`` means 1 unless in a
        :obj:`joblib.parallel_backend` context, -1 all processors. Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.
    verbose : int, default=0
        Print one line for each epoch.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients, in units of y by units of the feature.
    intercept_ : float or ndarray of shape (n_outputs,)
        Intercept, in units of y.
    loss_curve_ : list of float
        Mean loss of the batches in each epoch, measured before their updates. `partial_fit` and
        ``warm_start`` continue the list.
    validation_curve_ : list of float
        Loss of the held-out samples after each epoch, at the reported parameters; only if there are any.
    n_iter_ : int
        Number of epochs run.
    best_n_iter_ : int
        Number of epochs after which the loss of the held-out samples was smallest; the model is that of this
        epoch. Only with ``early_stopping=True``, by `fit` or `fit_chunks`.
    t_ : int
        Number of updates made.
    learning_rate_ : float or ndarray of shape (n_outputs,)
        The rate that was used.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names.

    See Also
    --------
    sklearn.linear_model.LinearRegression : Solves small dense problems exactly.
    sklearn.linear_model.SGDRegressor : Stochastic gradient descent, one sample at a time.

    Notes
    -----
    The state of the optimisation is part of the fitted estimator: `partial_fit` continues exactly where the
    last call ended, also after a pickle. In the plain setting (``standardize=False``, ``average=False``, a
    float rate and ``schedule="constant"``), `fit` with ``epochs=k`` and ``tol=None`` equals k calls of
    `partial_fit` on the same samples to the last bit. With default settings this holds for "sgd", "momentum"
    and "adam" with a smooth loss, in batches smaller than the data, unless features are nearly collinear; see
    the user guide on streams.

    References
    ----------
    - O. Shamir and T. Zhang, "Stochastic gradient descent for non-smooth optimization", ICML 2013.
    - R. M. Gower et al., "SGD: general analysis and improved rates", ICML 2019.
    - A. Kessy, A. Lewin and K. Strimmer, "Optimal whitening and decorrelation", Amer. Statistician 2018.
    - A. Defazio et al., "When, why and how much? Adaptive learning rate scheduling by refinement", 2023.
    - D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import GradientDescentRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = GradientDescentRegressor(random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.52
    """

    @with_hints
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
        self.whiten = whiten
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

    def set_params(self, **params: Any) -> Self:
        """Set parameters by their names.

        Parameters
        ----------
        **params : dict
            Parameters with their new values.

        Returns
        -------
        self : GradientDescentRegressor
            The estimator.
        """
        names = [name for name in params if "__" not in name]
        if told := unknown_parameters(names, self.get_params(deep=False)):
            raise ValueError(f"Invalid parameter: {type(self).__name__} has no parameter {told}.")
        return super().set_params(**params)

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
            Samples. float32 or float64 C-contiguous arrays are not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, at least 0 and not all 0: a weight of 2 counts a sample twice.
        coef_init : array-like of shape (n_features,) or (n_outputs, n_features), default=None
            Coefficients to start from, in the data's units. Default: 0.
        intercept_init : float or array-like of shape (n_outputs,), default=None
            Intercept to start from. Default: 0 with ``standardize=False``, otherwise the value at which the
            starting model predicts the mean of y (other losses: the median or the quantile) at the mean of X.
        X_val : array-like of shape (n_validation, n_features), default=None
            Held-out samples for ``validation_curve_`` and early stopping. A Pipeline does not transform them
            unless they are named in its ``transform_input``.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.

        Returns
        -------
        self : GradientDescentRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not as described. A fitted model stays as it was.
        """
        start = (coef_init, intercept_init)
        validate = partial(self._validate, X, y, sample_weight, start, (X_val, y_val))
        return self._train(validate)

    @with_callbacks
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Make one epoch over a chunk of a stream, and continue from everything learned so far.

        `predict` may run in other threads meanwhile: it uses the model from before or after the call. Let
        only one thread train a model: of two calls at once only the one that ends last counts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples of this chunk.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. A chunk whose weights are all 0 changes nothing.
        X_val : array-like of shape (n_validation, n_features), default=None
            Held-out samples for ``validation_curve_``.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.

        Returns
        -------
        self : GradientDescentRegressor
            The estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not as described. The model stays as it was.
        """
        validate = partial(self._validate, X, y, sample_weight, (None, None), (X_val, y_val), fast=True)
        return self._train(validate, stream=True)

    @with_callbacks
    def fit_chunks(
        self, chunks: Iterable[Any], *, X_val: Any = None, y_val: Any = None, transform: Any = None
    ) -> Self:
        """Train for up to ``epochs`` epochs on data that need not fit in memory.

        A first pass over the chunks takes statistics, then each epoch is a pass. "gd" with squared error
        needs the first pass only. ``fit_chunks([(X, y)])`` equals ``fit(X, y)``.

        Parameters
        ----------
        chunks : iterable
            Gives ``(X, y)`` or ``(X, y, sample_weight)``, again and again: a list, or an object whose
            ``__iter__`` starts anew, such as those of :mod:`sklearn_sgdopt.chunks`. The samples of a chunk
            are shuffled; the order of chunks is that of the source. If it has names in ``feature_names_in_``,
            those are the features'.
        X_val : array-like of shape (n_validation, n_features), default=None
            Held-out samples for ``validation_curve_`` and early stopping, as ``transform`` would give them.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.
        transform : transformer, default=None
            A fitted transformer, applied to the X of each chunk. The model is one of what it gives.

        Returns
        -------
        self : GradientDescentRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or a chunk is not as described; a chunk is named by its number in the pass, from 0.
            A fitted model stays as it was.

        Notes
        -----
        A batch does not cross chunks; one that is short counts in proportion. `tol` looks at the loss of some
        4096 samples that the first pass keeps, and callbacks are shown these.
        """
        return self._train(partial(self._survey, chunks, transform, (X_val, y_val)))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions; float32 if coefficients and samples are.
        """
        check_is_fitted(self)
        fitted = vars(self).copy()  # at once: another thread may be publishing
        X = check_features(Columns.of(self), X)
        return np.asarray(X @ fitted["coef_"].T + fitted["intercept_"])

    @property
    def loss_curve_(self) -> list[float]:
        """Mean loss in each epoch."""
        return list(self._curve("_loss_curve"))

    @property
    def validation_curve_(self) -> list[float]:
        """Loss of the held-out samples after each epoch."""
        return list(self._curve("_validation_curve"))

    def _curve(self, name: str) -> array:
        if name not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name[1:] + '_'!r}")
        return vars(self)[name]

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is refused by name, or told as divergence
    def _train(
        self,
        validate: Callable[[State | None, Settings], Inputs],
        *,
        stream: bool = False,
        trace: np.ndarray | None = None,
    ) -> Self:
        """Validate, train a copy of the state, publish: the model changes at the end, or not at all."""
        before: State | None = vars(self).get("_state") if stream or self.warm_start else None
        values, settings = self._resolve(stream=stream)
        inputs = validate(before, settings)
        if inputs.is_weightless:
            if stream:
                return self
            raise ValueError("Sample weights must contain at least one non-zero number; all are zero.")
        if before is None:
            state = State.start(inputs.y.shape[1], inputs.X.shape[1], make_seed(self.random_state))
        else:
            state = before.copy()
        asked = essential(values)
        inputs, problem = make_problem(
            settings, inputs, state, stream=stream, is_changed=asked != state.asked
        )
        if problem.is_changed:
            state.patience, state.rate_factor = None, 1.0  # of another objective
        state.asked, state.resolved = asked, (values, settings)
        chunk = observe(state, problem)
        place(state, problem, inputs.start)
        tasks = self._tasks(state, inputs, problem)
        with ordered_map(
            settings.n_jobs, problem.samples.total * inputs.y.shape[1] * problem.samples.values
        ) as each:
            outcome, rate = train(state, problem, chunk, each=each, tasks=tasks, trace=trace)
        if tasks is not None:
            tasks.end()
        self._publish(state, inputs, outcome, rate, goes_on=before is not None)
        if before is None:
            advance(self.random_state)
        tell(state, problem, outcome, rate)
        return self

    def _resolve(self, *, stream: bool) -> tuple[tuple[Any, ...], Settings]:
        """Return the checked values of all parameters and the settings that they make."""
        state: State | None = vars(self).get("_state")
        known = state.resolved if state is not None and state.resolved else ((), None)
        values = check_parameters(values_of(self), known[0])
        if stream and self.schedule == "cosine":
            raise ValueError("schedule='cosine' needs an end to run to: use it with fit, not partial_fit.")
        if known[1] is not None and values is known[0]:
            return known
        return values, Settings.resolve(dict(zip(PARAMETERS, values, strict=True)))

    def _validate(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        start: tuple[Any, Any],
        validation: tuple[Any, Any],
        before: State | None,
        _: Settings,
        *,
        fast: bool = False,
    ) -> Inputs:
        """Return checked data, and what is learned of X."""
        columns = Columns(type(self)) if before is None else Columns.of(self)
        if fast and before is not None and columns.names is None and is_ready(X, y, before.features):
            values, target, single = X, y.reshape(len(y), -1), y.ndim == 1
        else:
            values, target, single = check_rows(columns, X, y)
        outputs, features = target.shape[1], values.shape[1]
        if before is not None and outputs != before.outputs:
            raise ValueError(f"y has {outputs} outputs, but the model was fitted with {before.outputs}.")
        if before is not None:
            single = self.coef_.ndim == 1  # a column after 1-D targets is the same targets
        return Inputs(
            values,
            target,
            check_weights(sample_weight, len(target)),
            check_held_out(columns, *validation, outputs=outputs, like=values),
            check_start(*start, outputs, features),
            columns,
            single,
            shown=(X, target[:, 0] if single else target),
        )

    def _survey(
        self,
        chunks: Iterable[Any],
        transform: Any,
        validation: tuple[Any, Any],
        before: State | None,
        settings: Settings,
    ) -> Inputs:
        """Return what a first pass over chunks finds: the samples that it keeps, and what is known of all."""
        if settings.stopping.early_stopping and validation[0] is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val in fit_chunks, which holds out no samples "
                "by itself."
            )
        columns = Columns(type(self)) if before is None else Columns.of(self)
        source = Source(chunks, transform, columns, None if before is None else before.outputs)
        (X, y, weight), chunked = survey(source, settings)
        single = source.single if before is None else self.coef_.ndim == 1
        held_out = check_held_out(columns, *validation, outputs=y.shape[1], like=X)
        shown = (X, y[:, 0] if single else y)
        return Inputs(X, y, weight, held_out, (None, None), columns, single, shown, chunked)

    def _tasks(self, state: State, inputs: Inputs, problem: Problem) -> EpochTasks | None:
        """Return the tasks that callbacks are told of."""
        if not getattr(self, "_skl_callbacks", None):
            return None

        def attributes() -> dict[str, Any]:
            return {**inputs.columns.learned, **coefficients(state, inputs)}

        return EpochTasks(self, most_epochs(state, problem), attributes, *inputs.shown, inputs.weight)

    def _publish(self, state: State, inputs: Inputs, outcome: Outcome, rate: float, *, goes_on: bool) -> None:
        """Assign the fitted attributes, all at once."""
        learned: dict[str, Any] = {"_state": state, **coefficients(state, inputs), **inputs.columns.learned}
        learned["learning_rate_"] = rate if inputs.single else np.full(state.outputs, rate)
        curve, held_out = (vars(self).get(name) if goes_on else None for name in CURVES)
        curve = array("d") if curve is None else curve
        learned["n_iter_"], learned["t_"] = len(curve) + len(outcome.losses), state.t
        if outcome.best_epoch is not None:
            learned["best_n_iter_"] = len(curve) + outcome.best_epoch
        else:
            self.__dict__.pop("best_n_iter_", None)
        curve.extend(outcome.losses)  # in place: a stream makes no copy for each chunk
        learned[CURVES[0]] = curve
        if outcome.validation or held_out is not None:
            held_out = array("d") if held_out is None else held_out
            held_out.extend(outcome.validation)
            learned[CURVES[1]] = held_out
        elif CURVES[1] in vars(self):
            delattr(self, CURVES[1])
        if not goes_on and "feature_names_in_" not in learned and hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.__dict__.update(learned)

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters, numbers and arrays: a pickle holds no other class of this package."""
        values = dict(super().__getstate__())
        if "_state" in values:
            values["_state"] = {"version": STATE_VERSION, **values["_state"].plain()}
        for name in CURVES:
            if name in values:
                values[name] = np.array(values[name])
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        values = dict(values)
        if "_state" in values:
            plain = dict(values["_state"])
            version = plain.pop("version", None)
            if version != STATE_VERSION:
                raise ValueError(
                    f"This model was saved with state version {version}, and this sklearn_sgdopt "
                    "reads version "
                    f"{STATE_VERSION}: load it with the release that saved it, or fit it anew."
                )
            try:
                values["_state"] = State.from_plain(plain)
            except (KeyError, TypeError) as error:
                raise ValueError(
                    f"The saved state of this model is not complete ({error}): save it again, or fit it anew."
                ) from error
        for name in CURVES:
            if name in values:
                values[name] = array("d", values[name])
        super().__setstate__(values)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


essential = operator.itemgetter(*(i for i, name in enumerate(PARAMETERS) if name in ESSENTIAL))


def coefficients(state: State, inputs: Inputs) -> dict[str, Any]:
    """Return the coefficients and the intercept reported in ``state``, in the type of X."""
    coef, intercept = (values.astype(inputs.X.dtype, copy=False) for values in state.reported())
    check_coefficients(coef, intercept, inputs.columns.names)
    return {
        "coef_": coef[0] if inputs.single else coef,
        "intercept_": intercept[0] if inputs.single else intercept,
    }
