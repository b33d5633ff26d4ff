"""Types of the compiled kernels; ``bindings.pyx`` says what they do."""

from collections.abc import Callable
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float64]
_Words: TypeAlias = NDArray[np.uint64]

SCHEDULES: dict[str, int]

def levels() -> list[str]: ...
def level() -> str: ...
def set_level(name: str) -> None: ...

class Samples:
    def __init__(
        self, X: Any, y: _Floats, weight: _Floats | None = None, mean_weight: float | None = None
    ) -> None: ...
    @property
    def X(self) -> Any: ...  # noqa: N802
    @property
    def y(self) -> _Floats: ...
    @property
    def weight(self) -> _Floats | None: ...
    @property
    def is_sparse(self) -> bool: ...
    @property
    def values(self) -> float: ...
    @property
    def total(self) -> int: ...
    @property
    def features(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def mean_weight(self) -> float: ...

class Coordinates:
    def __init__(
        self,
        center: _Floats,
        scale: _Floats,
        whitening: _Floats | None = None,
        inverse: _Floats | None = None,
    ) -> None: ...

class Objective:
    def __init__(self, loss: int, delta: _Floats, quantile: float, l1: float, l2: float) -> None: ...

class Rule:
    def __init__(
        self,
        code: int,
        rate: float,
        *,
        momentum: float = 0.0,
        beta_1: float = 0.0,
        beta_2: float = 0.0,
        epsilon: float = 1.0,
        relative: bool = False,
        schedule: int = 0,
        power: float = 0.0,
        began: float = 0.0,
        horizon: float = 1.0,
    ) -> None: ...
    def with_start(self, shared: float, own: float, slowing: float, settling: float) -> Self: ...
    def with_kinks(self, length: float, updates: float, power: float, limit: float) -> Self: ...
    @property
    def rate(self) -> float: ...
    @property
    def factor(self) -> float: ...
    @factor.setter
    def factor(self, value: float) -> None: ...

class Plan:
    def __init__(
        self,
        batch_size: int,
        *,
        nominal_batch: int,
        averaged_since: float,
        fit_intercept: bool,
        averaging: bool,
        shuffle: bool,
        forgetting: float,
        loss_limit: float,
    ) -> None: ...
    @property
    def loss_limit(self) -> float: ...
    @loss_limit.setter
    def loss_limit(self, value: float) -> None: ...
    @property
    def shuffle(self) -> bool: ...

class PartCall:
    def __call__(self, part: int) -> None: ...

class Engine:
    @property
    def t(self) -> int: ...
    @property
    def age(self) -> float: ...
    @property
    def diverged(self) -> bool: ...

class SampleEngine(Engine):
    def __init__(
        self,
        samples: Samples,
        coordinates: Coordinates,
        objective: Objective,
        rule: Rule,
        plan: Plan,
        buffers: _Floats,
        root: _Floats,
        random: _Words,
        t: int,
        age: float,
        trace: _Floats | None = None,
        mapper: Callable[..., Any] = ...,
    ) -> None: ...
    def run(self) -> float: ...
    def last_batch_loss(self) -> float: ...

class MomentsEngine(Engine):
    def __init__(
        self,
        moments: tuple[_Floats, _Floats, _Floats, _Floats, _Floats],
        coordinates: Coordinates,
        objective: Objective,
        rule: Rule,
        plan: Plan,
        buffers: _Floats,
        root: _Floats,
        t: int,
        age: float,
        trace: _Floats | None = None,
    ) -> None: ...
    def run(self, epochs: int) -> _Floats: ...
    def losses(self, slope: _Floats) -> _Floats: ...

class GradientEngine(Engine):
    def __init__(
        self,
        coordinates: Coordinates,
        objective: Objective,
        rule: Rule,
        plan: Plan,
        buffers: _Floats,
        root: _Floats,
        t: int,
        age: float,
    ) -> None: ...
    def update(self, gradient: _Floats, roots: _Floats) -> None: ...

def mean_losses(
    samples: Samples, center: _Floats, slope: _Floats, objective: Objective, stride: int = 1
) -> _Floats: ...
def whole_gradient(samples: Samples, center: _Floats, slope: _Floats, objective: Objective) -> _Floats: ...
def whole_sums(
    samples: Samples, center: _Floats, slope: _Floats, objective: Objective
) -> tuple[_Floats, _Floats, _Floats]: ...
def column_moments(samples: Samples) -> tuple[_Floats, _Floats, float]: ...
def sample_sizes(samples: Samples, coordinates: Coordinates, intercept: float) -> tuple[float, float]: ...
def update_vector(
    rule: Rule, theta: _Floats, gradient: _Floats, first: _Floats, second: _Floats, t: int
) -> None: ...
def sampled_rows(total: int, stride: int) -> NDArray[np.int64]: ...
def shuffled(total: int, features: int, random: _Words) -> NDArray[np.int64]: ...
def second_moments(samples: Samples) -> tuple[_Floats, _Floats, float]: ...
def white_sizes(samples: Samples, coordinates: Coordinates, intercept: float) -> _Floats: ...
def interleave(
    columns: NDArray[np.int64],
    start: int,
    places: NDArray[np.int64],
    run: int,
    out: NDArray[Any],
    past: bool,
) -> None: ...
