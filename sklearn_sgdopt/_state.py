"""What training carries on from one call to the next, as plain data."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sklearn_sgdopt._coordinates import Coordinates
from sklearn_sgdopt._statistics import Moments
from sklearn_sgdopt._stopping import Patience
from sklearn_sgdopt._update_rules import Rates

SLOPE, FIRST, SECOND, AVERAGE = range(4)
NO_RATES = Rates()


@dataclass
class State:
    """Parameters, moments, averages, counters, statistics and random numbers.

    A call works on a copy, which becomes the model's when the call ends: a model changes at once, or not at
    all.

    Parameters
    ----------
    buffers : ndarray of shape (4, k, d + 1)
        The iterate, momentum's velocity or Adam's first moment, Adam's second, and the averaged iterate.
        Slopes are in the data's units, the intercept, in the last column, is about the center of
        ``coordinates``. Adam's moments are in the coordinates.
    root : ndarray of shape (k,)
        Running mean of the root of absolute residuals, for losses with kinks.
    random : ndarray of shape (1,), uint64
        State of the random numbers.
    coordinates : Coordinates
        Those of training.
    moments : Moments
        Of all samples seen, X and y.
    width_spread : ndarray of shape (k,)
        Robust spread of the first targets that differ, for ``delta="auto"``.
    mass_of_scale : float
        Weight of the samples that scales and whitening are made of.
    curvature : float
        L of the samples seen, weighted.
    rates : Rates
        The automatic rates in force.
    t : int
        Updates made.
    age, averaged_since : float
        The same, short batches in proportion; and when averages began.
    reference_loss : float
        The largest loss of a model that knows nothing, by which divergence is told.
    rate_factor : float
        What the adaptive schedule has left of the rate.
    patience : Patience or None
        That of the adaptive schedule.
    reach : float
        How far from zero an average may be that an l1 penalty keeps at zero.
    is_placed : bool
        Whether the parameters have been put where training starts.
    asked : tuple
        The parameters' values that this depends on.
    resolved : tuple
        All parameters' values that passed their checks, and the settings that they make; not kept in a
        pickle.
    """

    buffers: np.ndarray
    root: np.ndarray
    random: np.ndarray
    coordinates: Coordinates
    moments: Moments
    width_spread: np.ndarray
    mass_of_scale: float = 0.0
    curvature: float = 0.0
    rates: Rates = NO_RATES
    t: int = 0
    age: float = 0.0
    averaged_since: float = 0.0
    reference_loss: float = 0.0
    rate_factor: float = 1.0
    patience: Patience | None = None
    reach: float = 0.0
    is_placed: bool = False
    asked: tuple[Any, ...] = ()
    resolved: tuple[Any, ...] = field(default=(), repr=False)

    @classmethod
    def start(cls, outputs: int, features: int, seed: int) -> "State":
        """State before the first update: everything zero."""
        columns = features + outputs
        return cls(
            buffers=np.zeros((4, outputs, features + 1)),
            root=np.zeros(outputs),
            random=np.array([seed], np.uint64),
            coordinates=Coordinates.plain(features),
            moments=Moments(np.zeros(columns), np.zeros(columns), 0.0),
            width_spread=np.zeros(outputs),
        )

    @property
    def outputs(self) -> int:
        """Number of targets."""
        return self.buffers.shape[1]

    @property
    def features(self) -> int:
        """Number of features."""
        return self.buffers.shape[2] - 1

    def copy(self) -> "State":
        """Return a copy whose arrays may be written to."""
        other = State.__new__(State)  # a stream copies its state at each chunk: without checks
        vars(other).update(vars(self))
        other.buffers, other.root, other.random = self.buffers.copy(), self.root.copy(), self.random.copy()
        other.patience = None if self.patience is None else replace(self.patience)
        return other

    def plain(self) -> dict[str, Any]:
        """Return numbers, strings, and arrays: what a pickle holds."""
        values = dict(vars(self.copy()), resolved=())
        for name in ("coordinates", "moments", "rates"):
            values[name] = values[name]._asdict()
        if self.patience is not None:
            values["patience"] = dict(vars(self.patience))
        return values

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "State":
        """Return the state of such a dictionary."""
        patience = values["patience"]
        records = {
            "coordinates": Coordinates(**values["coordinates"]),
            "moments": Moments(**values["moments"]),
            "rates": Rates(**values["rates"]),
            "patience": None if patience is None else Patience(**patience),
        }
        return cls(**{**values, **records, "resolved": ()})

    def draw_seed(self) -> int:
        """Return 32 random bits; the state of the random numbers goes on."""
        bits = np.random.default_rng(int(self.random[0]))
        self.random = bits.integers(2**64, size=1, dtype=np.uint64)
        return int(bits.integers(2**31))

    def place(self, slope: np.ndarray, intercept: np.ndarray) -> None:
        """Put the iterate and its average at coefficients (k, d) and intercepts (k,) in the data's units."""
        parameters = np.column_stack([slope, intercept + slope @ self.coordinates.center])
        self.buffers[SLOPE] = self.buffers[AVERAGE] = parameters

    def move_to(self, new: Coordinates, *, solver: str) -> None:
        """Go on in ``new`` coordinates; the functions that are computed stay the same."""
        old, buffers = self.coordinates, self.buffers
        self.coordinates = new
        if self.t == 0 and not buffers.any():
            return
        if new.center is not old.center:
            step = new.center - old.center
            for row in (SLOPE, AVERAGE, *([FIRST] if solver == "momentum" else [])):
                buffers[row, :, -1] += buffers[row, :, :-1] @ step
        if solver == "adam" and (new.scale is not old.scale or new.whitening is not old.whitening):
            change = new.gradients_from(old)
            for row, factor in ((FIRST, change), (SECOND, change * change)):
                moved = buffers[row, :, :-1]
                buffers[row, :, :-1] = moved * factor if factor.ndim == 1 else moved @ factor.T

    def reported(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients (k, d) and intercepts (k,) in the data's units."""
        average = self.buffers[AVERAGE]
        coef = average[:, :-1]
        if self.reach > 0.0:  # what an l1 penalty keeps at zero has an average that is nearly so
            small = np.abs(self.coordinates.standardized(average)) <= self.reach
            coef = np.where((self.buffers[SLOPE, :, :-1] == 0.0) & small, 0.0, coef)
        return coef, average[:, -1] - coef @ self.coordinates.center
