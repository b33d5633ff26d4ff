"""What a training call is about."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._samples import in_range, make_samples, without_weightless
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._state import State
from sklearn_sgdopt._statistics import Moments
from sklearn_sgdopt._update_rules import Batches


class Inputs(NamedTuple):
    """Validated data of a call.

    Parameters
    ----------
    X, y, weight : array
        As training takes them: X float32 or float64, dense or CSR, y (n, k).
    held_out : tuple or None
        X, y and weights of held-out samples.
    start : tuple
        Coefficients (k, d) and intercepts (k,) to start from, or None for each.
    columns : Columns
        Number and names of the features.
    single : bool
        Whether y was 1-D.
    shown : tuple
        X and y for callbacks.
    chunks : Chunked or None
        Where they are chunks, of which X, y and weight are a part.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    held_out: Any
    start: tuple[Any, Any]
    columns: Columns
    single: bool
    shown: tuple[Any, Any]
    chunks: "Chunked | None" = None

    @property
    def is_weightless(self) -> bool:
        """Whether no sample counts."""
        return self.chunks is None and self.weight is not None and not self.weight.any()


class Chunked(NamedTuple):
    """What a first pass over chunks has learned of samples that are not at hand.

    Parameters
    ----------
    passes : iterable of Samples
        Each iteration is a pass over the chunks, checked anew.
    total : int
        Number of samples.
    lengths : dict
        How many chunks there are of each length.
    targets : tuple
        Part of the targets, and their weights.
    moments : Moments or None
        Of all samples.
    curvature : float
        L where moments do not tell: the mean of that of the chunks, which is an upper bound.
    steepest : Samples or None
        Those with the largest curvature of all samples.
    engine : callable or None
        Makes the engine of a `Descent` and the samples at hand, where the others are elsewhere.
    """

    passes: Iterable[Samples]
    total: int
    lengths: Mapping[int, int]
    targets: tuple[np.ndarray, np.ndarray | None]
    moments: Moments | None
    curvature: float
    steepest: Samples | None
    engine: Callable[[Any, Samples], Any] | None = None

    @property
    def is_one(self) -> bool:
        """Whether all samples are in one chunk."""
        return sum(self.lengths.values()) == 1

    def updates(self, size: int) -> int:
        """Return how many updates a pass makes of batches of so many samples, none across chunks."""
        return sum(-(-length // size) * count for length, count in self.lengths.items())


class Problem(NamedTuple):
    """Samples with the settings to train on them by.

    Parameters
    ----------
    settings : Settings
        The parameters, resolved.
    samples : Samples
        What is trained on; of chunks those that are kept at hand, one in so many.
    stream : bool
        Whether the samples are one chunk of many.
    held_out : Samples or None
        Samples whose loss is recorded after each epoch.
    names : ndarray of str or None
        Names of the features, for messages.
    is_changed : bool
        Whether parameters are others than in the call before.
    chunks : Chunked or None
        What is trained on, where that is chunks.
    """

    settings: Settings
    samples: Samples
    stream: bool
    held_out: Samples | None = None
    names: Any = None
    is_changed: bool = True
    chunks: Chunked | None = None

    @property
    def total(self) -> int:
        """Number of samples trained on."""
        return self.samples.total if self.chunks is None else self.chunks.total

    @property
    def updates(self) -> int:
        """Updates of an epoch."""
        size = self.batches.size
        if self.chunks is None or self.settings.rule.solver == "gd":
            return -(-self.total // size)
        return self.chunks.updates(size)

    @property
    def targets(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Targets and weights that tell what is typical."""
        return (self.samples.y, self.samples.weight) if self.chunks is None else self.chunks.targets

    @property
    def batches(self) -> Batches:
        """How the samples are visited."""
        settings, chunks = self.settings, self.chunks
        batches = settings.rule.batches(
            self.total, settings.batch_size, stream=self.stream, shuffle=settings.shuffle
        )
        if chunks is None or chunks.is_one or settings.rule.solver == "gd":
            return batches
        in_order = 0 if settings.shuffle else chunks.updates(batches.size)
        return batches._replace(is_exact=False, in_order=in_order)


def make_problem(
    settings: Settings, inputs: Inputs, state: State, *, stream: bool, is_changed: bool
) -> tuple[Inputs, Problem]:
    """Return what to train on; samples are held out where early stopping is given none."""
    if inputs.held_out is None and settings.stopping.early_stopping and not stream:
        inputs = split(inputs, settings.stopping.validation_fraction, state.draw_seed())
    samples = make_samples(*without_weightless(in_range(inputs.X), inputs.y, inputs.weight))
    held_out = None if inputs.held_out is None else make_samples(*inputs.held_out)
    names = inputs.columns.names
    return inputs, Problem(settings, samples, stream, held_out, names, is_changed, inputs.chunks)


def split(inputs: Inputs, fraction: float, seed: int) -> Inputs:
    """Hold out a random part of the samples."""
    from sklearn.model_selection import train_test_split  # as long an import as that of this package

    X, y, weight = inputs.X, inputs.y, inputs.weight
    train, held = train_test_split(np.arange(len(y)), test_size=fraction, random_state=seed)
    if weight is not None and not (weight[train].any() and weight[held].any()):
        raise ValueError("sample_weight is zero for all samples held out, or for all that are left.")
    weights = (None, None) if weight is None else (weight[train], weight[held])
    values, target = X[train], y[train]
    return inputs._replace(
        X=values,
        y=target,
        weight=weights[0],
        held_out=(X[held], y[held], weights[1]),
        shown=(values, target[:, 0] if inputs.single else target),
    )


def place(state: State, problem: Problem, start: tuple[Any, Any]) -> None:
    """Put the parameters where training starts, unless they go on from where they are."""
    coef, intercept = start
    frame = problem.settings.frame
    if coef is None and intercept is None and state.is_placed:
        return
    state.is_placed = True
    if coef is None:
        coef = np.zeros((state.outputs, state.features))
    if not frame.fit_intercept:
        intercept = np.zeros(state.outputs)
    elif intercept is None:
        intercept = np.zeros(state.outputs)
        if frame.standardize:
            constant = problem.settings.target.best_constant(*problem.targets)
            intercept = constant - coef @ state.moments.mean[: state.features]
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.append(state.coordinates.standardized(np.column_stack([coef, intercept])), intercept)
        if not np.isfinite(np.vdot(sizes, sizes)):
            raise ValueError(
                "coef_init or intercept_init is so large that its squares overflow in standardised "
                "coordinates; "
                f"got {np.abs(coef).max():g} and {np.abs(intercept).max():g} at the most."
            )
    state.place(coef, intercept)
