"""The update rules: one record each, the automatic rate, and how many updates it asks for.

To add a rule: a record here, and its formula in ``_kernels/rules.h`` and ``update.h``.
"""

import math
from typing import Any, NamedTuple

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._losses import Loss
from sklearn_sgdopt._statistics import TINY, Curvature

# Numbers of the rules in the kernels, and the solvers: each is a rule, or a way to use one.
RULES = {"sgd": 0, "momentum": 1, "nesterov": 2, "adam": 3}
SOLVERS = ("gd", "sgd", "momentum", "adam")
NOISE = 8.0  # times the curvature of single samples in a batch
SLOWING = 0.5  # by which the inverse of a rate grows an update at first
INERTIA_UPDATES = 20.0  # before which there is no inertia; a velocity remembers one part in 20 of the updates
ADAM_FLOOR = 0.5  # epsilon in units of Adam's largest second moment
KINK_STEP = 3.5  # first step of a loss with kinks, in spreads of the residuals over the range of slopes
KINK_POWER = 0.75  # how fast its steps become shorter in a stream, once descent has converged
# Twice the sum of rates after which descent has converged: in white coordinates, and in others or with kinks.
CONTRACTION, LONG_CONTRACTION = 20.0, 150.0
VISITS = 600  # samples visited for each parameter
MOST_EPOCHS = 10_000


class Batches(NamedTuple):
    """How samples are visited.

    Parameters
    ----------
    size : int
        Samples in an update.
    nominal : int
        Samples that an update is rated for: batches with fewer count less in proportion.
    is_exact : bool
        Whether each batch holds all samples there are: its gradient is no estimate.
    in_order : int
        Updates of an epoch where batches follow the order of the samples, else 0.
    """

    size: int
    nominal: int
    is_exact: bool
    in_order: int


class Rates(NamedTuple):
    """The automatic rate, and the inverse of the one to start from, ``shared + own``.

    Parameters
    ----------
    rate : float
        The rate in the end.
    shared, own : float
        Curvature that batches share, and that of the typical single sample in a batch.
    """

    rate: float = 0.0
    shared: float = math.inf
    own: float = 0.0


def inverse(curvature: float) -> float:
    """Return the rate of a curvature; 1 where there is none."""
    return 1.0 / curvature if curvature >= TINY else 1.0


class UpdateRule(NamedTuple):
    """A solver with the lecture's symbols; a ``rate`` of None is automatic."""

    solver: str
    rate: float | None
    schedule: str
    power: float
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    epsilon: float

    @property
    def code(self) -> int:
        """Its number in the kernels."""
        if self.solver == "momentum" and self.nesterov:
            return RULES["nesterov"]
        return RULES["sgd" if self.solver == "gd" else self.solver]

    @property
    def damping(self) -> float:
        """Part of a gradient that its first update makes up for."""
        return {"momentum": 1.0 - self.momentum, "adam": 1.0 - self.beta_1}.get(self.solver, 1.0)

    def batches(self, samples: int, batch_size: int, *, stream: bool, shuffle: bool) -> Batches:
        """Return how so many samples, all or a chunk of a stream, are visited."""
        if self.solver == "gd":
            return Batches(samples, samples, not stream, 0)
        size = min(batch_size, samples)
        updates = 0 if shuffle or size == samples else -(-samples // size)
        return Batches(size, batch_size if stream else size, size == samples and not stream, updates)

    def automatic_rates(self, curvature: Curvature, loss: Loss, batches: Batches, l2: float) -> Rates:
        """Return the rate for the curvature of samples, and the one to start from.

        With batches of m samples, ``L_b = (1 - 1/m) L`` is the curvature that all batches share and ``L_max /
        m`` that of a single one. The rate is ``1 / (L_b + 8 L_max / m)``, within the bounds of Gower, Loizou,
        Qian, Sailanbayev, Shulgin and Richtarik (2019, "SGD: general analysis and improved rates"). Where all
        directions are alike, in white coordinates, it starts at ``1 / (L_b + L_mean / m)``, L_mean that of a
        typical sample, and its inverse grows by 1/2 an update.

        The noise of a batch stays in momentum's velocity for ``1 / (1 - eta)`` updates, and so does what
        curvature changes by from chunk to chunk; curvature that is shared needs no smaller steps for the
        inertia, which damps itself there. In their own order the batches of an epoch are no sample: together
        they make one step of 1 / L.
        """
        inertia = 1.0 - self.momentum if self.solver == "momentum" and loss.is_smooth else 1.0
        if batches.is_exact or self.solver == "gd":
            bound = curvature.shared + curvature.excess + l2
            return Rates(inverse(bound))
        part = 1.0 / batches.nominal
        shared = (1.0 - part) * curvature.shared + curvature.excess / inertia + l2
        least = (
            curvature.shared * batches.in_order / (1.0 - self.momentum if self.solver == "momentum" else 1.0)
        )
        late = max(least, shared + NOISE * curvature.single * part / inertia)
        own = min(curvature.typical, NOISE * curvature.single) * part
        return Rates(inverse(late), max(least, shared), own)

    def inertia_at(self, age: float) -> float:
        """Return eta or beta_1 after so many updates at the automatic rate, in white coordinates.

        A velocity that remembers ``1 / (1 - eta)`` updates still swings by the start after as many. So it is
        to remember a small part of the descent so far, as Nesterov's ``(k - 1) / (k + 2)`` does.
        """
        return min(1.0 - self.damping, max(0.0, 1.0 - INERTIA_UPDATES / age)) if age > 0.0 else 0.0

    def rate_in_force(self, rates: Rates, age: float) -> float:
        """Return the automatic rate after so many updates in white coordinates."""
        lead = 1.0 / (1.0 - self.inertia_at(age)) if self.solver == "momentum" else 1.0
        return max(rates.rate, 1.0 / (rates.shared + lead * (rates.own + SLOWING * age)))

    def ends_at_zero(self, loss: Loss, *, stream: bool) -> bool:
        """Whether the rates of a call end at zero: the last iterate is then reported, and `tol` not asked."""
        kinked = self.rate is None and not loss.is_smooth and self.schedule == "constant"
        return not stream and (kinked or self.schedule == "cosine")

    def kernel_rule(
        self,
        rates: Rates,
        loss: Loss,
        *,
        is_white: bool,
        stream: bool,
        began: int,
        horizon: int,
        limit: float,
    ) -> Any:
        """Return the record that the kernels take. ``limit`` is the longest rate of a loss with kinks.

        Losses with kinks have no curvature: their steps go with the spread of the residuals (see ``rate_at``
        in ``_kernels/rules.h``). In `fit` they end at zero, linearly from half of the updates on (Defazio,
        Cutkosky, Mehta and Mishchenko 2023, "When, why and how much?"); a stream, which has no end, slows
        down by a power.
        """
        automatic = self.rate is None
        rate = rates.rate if self.rate is None else self.rate
        kinked = automatic and not loss.is_smooth
        schedule = self.schedule
        if schedule == "constant" and self.ends_at_zero(loss, stream=stream):
            schedule = "linear"
        rule = _kernels.Rule(
            self.code,
            rate,
            momentum=self.momentum,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=ADAM_FLOOR if automatic else self.epsilon,
            relative=automatic,
            schedule=_kernels.SCHEDULES.get(schedule, 0),
            power=self.power,
            began=float(began),
            horizon=float(horizon),
        )
        if kinked:
            inertia = 1.0 - self.momentum if self.solver == "momentum" else 1.0
            power = KINK_POWER if stream else 0.0
            rule.with_kinks(KINK_STEP * inertia / loss.slopes, CONTRACTION / 2.0, power, limit)
        elif automatic and is_white:
            rule.with_start(rates.shared, rates.own, SLOWING, INERTIA_UPDATES)
        return rule

    def epochs(
        self, rate: float, loss: Loss, batches: Batches, samples: int, features: int, *, is_white: bool
    ) -> int:
        """Return how many epochs a rate asks for: a horizon that no stopping rule need find.

        In white coordinates the excess of the loss falls by ``exp(-4 rate)`` an update, whatever the data: so
        many that ``2 rate updates`` is 20 leave nothing, where inertia has had its time and averages have
        visited enough samples for each parameter. Losses with kinks, whose steps become ever shorter, need
        eight times as much, and so do coordinates with flat directions, where `tol` ends training before.
        """
        inertia = 1.0 - self.momentum if self.solver == "momentum" and loss.is_smooth else 1.0
        contraction = CONTRACTION if is_white and loss.is_smooth else LONG_CONTRACTION
        updates = contraction * inertia / (2.0 * rate)
        least = self.epochs_of_inertia(batches, samples)
        each = -(-samples // batches.size)
        visits = 1 if batches.is_exact else math.ceil(VISITS * (features + 1) / samples)
        return int(min(MOST_EPOCHS, max(math.ceil(updates / each) + batches.is_exact, visits, least)))

    def epochs_of_inertia(self, batches: Batches, samples: int) -> int:
        """Return the epochs in which a velocity or a moment settles; before, a loss tells nothing."""
        return math.ceil(CONTRACTION / self.damping / -(-samples // batches.size))
