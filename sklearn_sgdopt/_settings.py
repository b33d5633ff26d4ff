"""The parameters of a call, resolved once into small records."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from sklearn_sgdopt._coordinates import Frame
from sklearn_sgdopt._losses import LOSSES, Target
from sklearn_sgdopt._penalties import Penalty
from sklearn_sgdopt._update_rules import UpdateRule


def given(value: Any) -> Any:
    """Return None for "auto"."""
    return None if isinstance(value, str) else value


class Stopping(NamedTuple):
    """When training ends; ``epochs`` of None are as many as the automatic rate asks for."""

    epochs: int | None
    tol: float | None
    patience: int
    early_stopping: bool
    validation_fraction: float


class Settings(NamedTuple):
    """All that the parameters say about training."""

    target: Target
    frame: Frame
    rule: UpdateRule
    stopping: Stopping
    batch_size: int
    average: bool | None
    shuffle: bool
    n_jobs: int | None
    verbose: int

    @classmethod
    def resolve(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings of an estimator's checked parameters."""
        v = values
        penalty = Penalty.named(v["penalty"], v["alpha"], v["l1_ratio"])
        delta, rate, epochs = given(v["delta"]), given(v["learning_rate"]), given(v["epochs"])
        return cls(
            target=Target(
                LOSSES[v["loss"]],
                str(v["loss"]),
                None if delta is None else float(delta),
                float(v["quantile"]),
                penalty,
            ),
            frame=Frame(bool(v["standardize"]), given(v["whiten"]), bool(v["fit_intercept"])),
            rule=UpdateRule(
                solver=str(v["solver"]),
                rate=None if rate is None else float(rate),
                schedule=str(v["schedule"]),
                power=float(v["power_t"]),
                momentum=float(v["momentum"]),
                nesterov=bool(v["nesterov"]),
                beta_1=float(v["beta_1"]),
                beta_2=float(v["beta_2"]),
                epsilon=float(v["epsilon"]),
            ),
            stopping=Stopping(
                None if epochs is None else int(epochs),
                v["tol"],
                int(v["n_iter_no_change"]),
                bool(v["early_stopping"]),
                float(v["validation_fraction"]),
            ),
            batch_size=int(v["batch_size"]),
            average=given(v["average"]),
            shuffle=bool(v["shuffle"]),
            n_jobs=v["n_jobs"],
            verbose=int(v["verbose"]),
        )

    def reports_average(self, *, stream: bool) -> bool:
        """Whether averaged iterates are reported: where gradients are estimates, unless told otherwise."""
        if self.average is not None:
            return bool(self.average)
        if not self.target.loss.is_smooth and self.rule.rate is None:
            return stream  # the rates of `fit` end at zero, and with them the noise
        return self.rule.solver != "gd" or stream
