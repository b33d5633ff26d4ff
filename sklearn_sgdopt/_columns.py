"""What is known of the features. Validation learns it apart from an estimator: bad input changes none."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

LEARNED = ("n_features_in_", "feature_names_in_")


class Columns:
    """Number and names of the features.

    Parameters
    ----------
    kind : type
        Class of the estimator, which messages name.
    learned : mapping, default={}
        ``n_features_in_`` and ``feature_names_in_``, as far as they are known.
    """

    def __init__(self, kind: type, learned: Mapping[str, Any] | None = None) -> None:
        self.standin: Any = object.__new__(kind)  # what scikit-learn's validation reads from and writes to
        self.standin.__dict__.update(learned or {})

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Return what a fitted estimator knows."""
        return cls(type(estimator), cls._of(vars(estimator)))

    @staticmethod
    def _of(known: Mapping[str, Any]) -> dict[str, Any]:
        return {name: known[name] for name in LEARNED if name in known}

    @property
    def learned(self) -> dict[str, Any]:
        """The attributes that are known, by their names."""
        return self._of(vars(self.standin))

    @property
    def kind(self) -> type:
        """Class of the estimator."""
        return type(self.standin)

    @property
    def is_known(self) -> bool:
        """Whether there has been an X."""
        return LEARNED[0] in vars(self.standin)

    @property
    def count(self) -> int:
        """Number of features."""
        return int(self.standin.n_features_in_)

    @property
    def names(self) -> np.ndarray | None:
        """Names of the features, where all X had them."""
        return vars(self.standin).get(LEARNED[1])

    def learn(self, count: int, names: Any) -> None:
        """Take number and names from elsewhere."""
        self.standin.n_features_in_ = count
        if names is not None:
            self.standin.feature_names_in_ = np.asarray(names, dtype=object)

    def nameless(self) -> "Columns":
        """Return the same columns without their names."""
        return Columns(self.kind, {LEARNED[0]: self.count} if self.is_known else {})
