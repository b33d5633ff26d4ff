"""Chunks as training takes them: checked in each pass, and refused by their number."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._samples import make_samples, without_weightless
from sklearn_sgdopt._validation import check_rows, check_weights, is_ready
from sklearn_sgdopt.chunks._source import Chunks

PARTS = (2, 3)  # (X, y) or (X, y, sample_weight)


class Source:
    """Passes over chunks, each chunk as `Samples` of one form: that of the first chunk.

    Parameters
    ----------
    chunks : iterable
        What the user gives.
    transform : transformer or None
        What is applied to the X of each chunk.
    columns : Columns
        Takes what validation learns of X. What it knows already is what chunks must have.
    outputs : int or None
        Number of targets, where it is known already.
    named : callable
        Returns what a chunk of a number is called in messages.
    """

    def __init__(
        self,
        chunks: Iterable[Any],
        transform: Any,
        columns: Columns,
        outputs: int | None,
        named: Callable[[int], str] = "chunk {}".format,
    ) -> None:
        if not hasattr(chunks, "__iter__"):
            raise TypeError(
                f"chunks must give (X, y) or (X, y, sample_weight) when iterated; got a "
                f"{type(chunks).__name__}."
            )
        self.chunks, self.transform, self.columns, self.outputs = chunks, transform, columns, outputs
        # Chunks that are arrays are not asked for names.
        self._nameless = columns.nameless()
        self.names = None if transform is not None else getattr(chunks, "feature_names_in_", None)
        self.like: Any = None
        self.single = True
        self.mean_weight: float | None = None
        self.number, self.named = -1, named
        # Sources of ours lend their chunks where training shuffles the samples of a chunk by itself. What
        # the first pass has checked is not checked again.
        self.shuffles, self.passes = False, 0
        self._lender = chunks if isinstance(chunks, Chunks) else None
        self._pool: Any = None

    @property
    def is_once(self) -> bool:
        """Whether a second pass would find nothing."""
        return isinstance(self.chunks, Iterator) and iter(self.chunks) is self.chunks

    @property
    def place(self) -> str:
        """What the chunk at hand is called."""
        return self.named(self.number)

    @property
    def _is_known_good(self) -> bool:
        """Whether chunks come from files or arrays that a pass has checked already."""
        return self._lender is not None and self.transform is None and self.passes > 1

    def refuse_second_pass(self) -> None:
        """Refuse an iterator."""
        raise ValueError(
            f"chunks is a {type(self.chunks).__name__}, which can be iterated once only, and training "
            "makes several "
            "passes. Give a list, or an object whose __iter__ starts anew, such as those of "
            "sklearn_sgdopt.chunks."
        )

    def __iter__(self) -> Iterator[Samples]:
        """Start a pass; chunks without weight are left out."""
        chunks = self._begin()
        try:
            for self.number, chunk in enumerate(chunks):
                with placed(self.place):
                    X, y, weight = self._checked(chunk)
                if len(y):
                    yield Samples(X, y, weight, self.mean_weight)
        finally:
            if (close := getattr(chunks, "close", None)) is not None and not self.is_once:
                close()  # the thread that reads ahead ends now

    def _begin(self) -> Iterator[Any]:
        """Start a pass of the source. Statistics need no mixing."""
        self.passes += 1
        if self._lender is None or not self.shuffles:
            return iter(self.chunks)
        self._pool = self._pool or self._lender._pool()
        return self._lender._lent(self._pool, mixed=self.passes > 1)

    def _checked(self, chunk: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Return a chunk in the form of the first."""
        if not isinstance(chunk, tuple | list) or len(chunk) not in PARTS:
            what = f"{len(chunk)} parts" if isinstance(chunk, tuple | list) else f"a {type(chunk).__name__}"
            raise TypeError(f"expected (X, y) or (X, y, sample_weight); got {what}.")
        X, y, weight = (*chunk, None)[:3]
        if self.transform is not None:
            X = self._transformed(X)
        named = hasattr(X, "columns") or hasattr(X, "__dataframe__")
        columns = self.columns if named or not self._nameless.is_known else self._nameless
        values: Any = X
        if self._is_known_good and isinstance(X, np.ndarray):
            target, single = np.asarray(y, np.float64).reshape(len(y), -1), y.ndim == 1
        elif self.like is not None and is_ready(X, y, self._nameless.count):
            values, target, single = X, y.reshape(len(y), -1), y.ndim == 1
        else:
            values, target, single = check_rows(columns, X, y)
        if self.outputs is not None and target.shape[1] != self.outputs:
            raise ValueError(f"y has {target.shape[1]} outputs, those before have {self.outputs}.")
        weight = check_weights(weight, len(target))
        self._learn(target.shape[1])
        if self.like is None:
            self.like, self.single = values[:0], single
        if sparse.issparse(values) and not sparse.issparse(self.like):
            values = values.toarray()
        elif sparse.issparse(self.like) and not sparse.issparse(values):
            values = sparse.csr_array(values)
        if values.dtype != self.like.dtype:
            values = values.astype(self.like.dtype)
            if not np.isfinite((values.data if sparse.issparse(values) else values).sum(dtype=np.float64)):
                raise ValueError("X has values beyond float32, which is the type of the chunks before.")
        if weight is not None and not weight.any():
            return values[:0], target[:0], None
        samples = make_samples(*without_weightless(values, target, weight))
        return samples.X, samples.y, samples.weight

    def _learn(self, outputs: int) -> None:
        """Take the number of features and outputs of the first chunk, and the names that the source has."""
        if self.outputs is None:
            self.outputs = outputs
        if not self._nameless.is_known:
            self._nameless = self.columns.nameless()
        if self.names is not None:
            names, self.names = np.asarray(self.names, dtype=object), None
            known = names if self.columns.names is None else self.columns.names
            if len(names) != self.columns.count or not np.array_equal(known, names):
                raise ValueError(
                    f"X has {self.columns.count} features named otherwise than chunks.feature_names_in_, "
                    f"which has {len(names)} names."
                )
            self.columns.learn(len(names), names)

    def _transformed(self, X: Any) -> Any:
        """Apply the transformer, under the names that it was fitted with if the source has them as well."""
        names = getattr(self.chunks, "feature_names_in_", None)
        if names is not None and isinstance(X, np.ndarray) and hasattr(self.transform, "feature_names_in_"):
            import pandas as pd  # or there would be no transformer that knows names

            X = pd.DataFrame(X, columns=names)
        return self.transform.transform(X)


@contextlib.contextmanager
def placed(place: str) -> Iterator[None]:
    """Put the place of a chunk before what is said against it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{place}: {error}") from error
