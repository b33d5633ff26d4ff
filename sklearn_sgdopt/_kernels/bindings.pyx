# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, embedsignature=True
"""The compiled kernels as Python sees them: records that hold arrays, and engines that run epochs.

Callers validate: arrays are C-contiguous and of the types named here. Nothing is checked again.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from time import sleep as _sleep

import numpy as np


cdef extern from "table.h" nogil:
    ctypedef struct CSamples "Samples":
        const void *X
        const void *data
        const void *indices
        const void *indptr
        const double *y
        const double *weight
        double mean_weight
        int64_t total, features, outputs

    ctypedef struct CCoordinates "Coordinates":
        const double *center
        const double *scale
        const double *whitening
        const double *inverse

    ctypedef struct CBuffers "Buffers":
        double *slope
        double *first
        double *second
        double *average
        double *root

    ctypedef struct CObjective "Objective":
        int loss
        const double *delta
        double quantile, l1, l2

    ctypedef struct CRule "Rule":
        int code, schedule, relative
        double rate, factor, momentum, beta_1, beta_2, epsilon, power, began, horizon
        double shared, own, slowing, settling
        double kink, kink_updates, kink_power, kink_limit

    ctypedef struct CPlan "Plan":
        int64_t batch_size, nominal_batch
        int fit_intercept, averaging
        double averaged_since, forgetting, loss_limit

    ctypedef struct COrder "Order":
        void *indices
        void *blocks
        uint64_t *random
        int64_t total, block_rows, window_rows
        int wide

    ctypedef struct CWork "Work":
        double *gradient
        double *scratch
        double *part_gradients
        double *part_sums
        int parts

    ctypedef struct CLazy "Lazy":
        double *pull
        double *pairs
        double *squares
        double *history
        int64_t *reached
        unsigned char *idle
        int64_t updates

    ctypedef struct CTrace "Trace":
        double *iterates
        int64_t updates

    ctypedef struct CProgress "Progress":
        int64_t start, stop, t
        double age, loss
        int diverged

    ctypedef void (*RunPart)(void *context, int part) noexcept nogil
    ctypedef int (*ForParts)(void *pool, RunPart run, void *context, int parts) noexcept nogil

    ctypedef struct CHooks "Hooks":
        ForParts for_parts
        void *pool

    ctypedef int (*TrainFunction)(
        const CSamples *, const CCoordinates *, const CBuffers *, const CObjective *, const CRule *,
        const CPlan *, const COrder *, const CWork *, const CLazy *, const CTrace *, const CHooks *, CProgress *
    ) noexcept nogil
    ctypedef void (*GradientFunction)(
        const CSamples *, const double *, const double *, const CObjective *, const CWork *, double *, double *,
        double *
    ) noexcept nogil
    ctypedef void (*LossesFunction)(
        const CSamples *, const double *, const double *, const CObjective *, const CWork *, const COrder *,
        int64_t, int64_t, int64_t, double *, double *
    ) noexcept nogil
    ctypedef void (*MomentsFunction)(const CSamples *, double *, double *, double *, double *) noexcept nogil
    ctypedef void (*SizesFunction)(
        const CSamples *, const CCoordinates *, double, double *, double *
    ) noexcept nogil

    ctypedef struct Table:
        TrainFunction train[6]
        GradientFunction gradient[6]
        LossesFunction losses[6]
        MomentsFunction moments[6]
        SizesFunction sizes[6]
        void (*train_on_moments)(
            const double *, const double *, const double *, const double *, const double *,
            const CCoordinates *, const CBuffers *, const CObjective *, const CRule *, const CPlan *,
            const CWork *, const CTrace *, int64_t, int64_t, double *, int64_t, CProgress *
        ) noexcept nogil
        void (*moments_losses)(
            const double *, const double *, const double *, const double *, const double *, const double *,
            const double *, int64_t, int64_t, double *, double *
        ) noexcept nogil
        void (*update_along)(
            const CCoordinates *, const CBuffers *, const CObjective *, const CRule *, const CPlan *, const CWork *,
            const double *, int64_t, int64_t, int64_t *, double *
        ) noexcept nogil
        void (*shuffle)(const COrder *) noexcept nogil
        void (*update_vector)(
            const CRule *, double *, const double *, double *, double *, int64_t, int64_t
        ) noexcept nogil
        void (*sampled_rows)(int64_t, int64_t, int64_t *) noexcept nogil
        void (*second_moments[2])(const CSamples *, double *, double *, double *, double *) noexcept nogil
        void (*white_sizes[2])(const CSamples *, const CCoordinates *, double, double *, double *) noexcept nogil
        void (*interleave[2])(
            const void *const *, int64_t, int64_t, const int64_t *, int64_t, int64_t, int, void *
        ) noexcept nogil


cdef extern from "dispatch.h" nogil:
    const Table *sgdopt_table(int index)
    int sgdopt_levels(const char **names, int most)


SCHEDULES = {"constant": 0, "invscaling": 1, "cosine": 2, "linear": 3}

cdef const Table *table = sgdopt_table(0)
cdef str in_force = ""

# Products between two looks at Ctrl-C: some hundredths of a second.
cdef int64_t BUDGET = 1 << 26
# A batch is summed in parts, whatever the number of threads, where it is worth so many products and outweighs
# the gradients of its parts by so much.
cdef int PARTS = 16
cdef int64_t LEAST_PRODUCTS = 1 << 20
cdef int GRADIENTS_WEIGH = 8
# A shuffle moves blocks of neighbours and mixes windows of so many blocks. Blocks of narrow samples are longer.
cdef int64_t NARROW = 32, NARROW_BLOCK = 16, WIDE_BLOCK = 8, WINDOW_BLOCKS = 128
# At least so many updates pass before all features of CSR samples are shrunk by an l1 penalty.
cdef int64_t LEAST_SHRUNK = 1024


def levels():
    """Instruction sets that this processor can run, best first."""
    cdef const char *names[8]
    cdef int i, count = sgdopt_levels(names, 8)
    return [names[i].decode() for i in range(count)]


def level():
    """The instruction set in force."""
    return in_force


def set_level(name):
    """Run the kernels of another instruction set, in this process."""
    global table, in_force
    known = levels()
    if name not in known:
        raise ValueError(f"This processor runs the instruction sets {known}; got {name!r}.")
    table = sgdopt_table(known.index(name))
    in_force = name


set_level(levels()[0])


cdef void *allocate(size_t count, size_t size) except NULL:
    cdef void *memory = PyMem_Calloc(count if count > 0 else 1, size)
    if memory is NULL:
        raise MemoryError(f"No memory for {count} numbers of {size} bytes.")
    return memory


cdef class Samples:
    """X, dense or CSR, with y (n, k) and weights or None; ``mean_weight`` is that of all samples they are a chunk of."""

    cdef CSamples c
    cdef int form
    cdef readonly object X, y, weight
    cdef readonly bint is_sparse
    cdef readonly double values  # of X in a sample, on average
    cdef object _held

    def __init__(self, X, const double[:, ::1] y not None, const double[::1] weight=None, mean_weight=None):
        cdef const double[:, ::1] wide
        cdef const float[:, ::1] narrow
        cdef const double[::1] wide_data
        cdef const float[::1] narrow_data
        cdef const int32_t[::1] indices32, indptr32
        cdef const int64_t[::1] indices64, indptr64
        self.X, self.y, self.weight = X, np.asarray(y), None if weight is None else np.asarray(weight)
        self.c.total, self.c.features = X.shape
        self.c.outputs = y.shape[1]
        self.c.y = &y[0, 0]
        self.c.mean_weight = 1.0
        if weight is not None:
            self.c.weight = &weight[0]
            self.c.mean_weight = np.add.reduce(self.weight) / self.c.total
        if mean_weight is not None:
            self.c.mean_weight = mean_weight
        self.is_sparse = not isinstance(X, np.ndarray)
        single = X.dtype == np.float32
        if not self.is_sparse:
            self.values = self.c.features
            if single:
                narrow = X
                self.form, self.c.X = 1, &narrow[0, 0]
            else:
                wide = X
                self.form, self.c.X = 0, &wide[0, 0]
            self._held = X
            return
        data, indices, indptr = (np.ascontiguousarray(part) for part in (X.data, X.indices, X.indptr))
        self._held = (data, indices, indptr)
        self.values = data.size / float(self.c.total)
        long_index = indices.dtype != np.int32
        self.form = 2 + 2 * single + long_index
        if data.size and single:
            narrow_data = data
            self.c.data = &narrow_data[0]
        elif data.size:
            wide_data = data
            self.c.data = &wide_data[0]
        if long_index:
            indices64, indptr64 = indices, indptr
            self.c.indptr = &indptr64[0]
            if data.size:
                self.c.indices = &indices64[0]
        else:
            indices32, indptr32 = indices, indptr
            self.c.indptr = &indptr32[0]
            if data.size:
                self.c.indices = &indices32[0]

    @property
    def total(self):
        """Number of samples."""
        return self.c.total

    @property
    def features(self):
        """Number of features."""
        return self.c.features

    @property
    def outputs(self):
        """Number of targets."""
        return self.c.outputs

    @property
    def mean_weight(self):
        """Mean weight; 1 without weights."""
        return self.c.mean_weight


cdef class Coordinates:
    """Coordinates ``whitening @ ((x - center) * scale)``; ``inverse`` is the whitening squared."""

    cdef CCoordinates c
    cdef object _held

    def __init__(
        self,
        const double[::1] center not None,
        const double[::1] scale not None,
        const double[:, ::1] whitening=None,
        const double[:, ::1] inverse=None,
    ):
        self._held = (center, scale, whitening, inverse)
        self.c.center, self.c.scale = &center[0], &scale[0]
        if whitening is not None:
            self.c.whitening, self.c.inverse = &whitening[0, 0], &inverse[0, 0]


cdef class Objective:
    """Loss, its width for each output, its quantile, and the strengths of the penalties."""

    cdef CObjective c
    cdef object _held

    def __init__(self, int loss, const double[::1] delta not None, double quantile, double l1, double l2):
        self._held = delta
        self.c.loss, self.c.delta, self.c.quantile, self.c.l1, self.c.l2 = loss, &delta[0], quantile, l1, l2

    def __reduce__(self):
        c = self.c
        return Objective, (c.loss, np.asarray(self._held), c.quantile, c.l1, c.l2)


@cython.auto_pickle(True)
cdef class Rule:
    """An update rule with its rate and hyperparameters."""

    cdef CRule c

    def __init__(
        self,
        int code,
        double rate,
        *,
        double momentum=0.0,
        double beta_1=0.0,
        double beta_2=0.0,
        double epsilon=1.0,
        bint relative=False,
        int schedule=0,
        double power=0.0,
        double began=0.0,
        double horizon=1.0,
    ):
        memset(&self.c, 0, sizeof(self.c))
        self.c.code, self.c.rate, self.c.relative, self.c.schedule = code, rate, relative, schedule
        self.c.factor = 1.0
        self.c.momentum, self.c.beta_1, self.c.beta_2, self.c.epsilon = momentum, beta_1, beta_2, epsilon
        self.c.power, self.c.began, self.c.horizon = power, began, horizon

    def with_start(self, double shared, double own, double slowing, double settling):
        """Start at the rate 1 / (shared + own) and without inertia, see `inverse_at` and `inertia_at` in rules.h."""
        self.c.shared, self.c.own, self.c.slowing, self.c.settling = shared, own, slowing, settling
        return self

    def with_kinks(self, double length, double updates, double power, double limit):
        """Take steps in units of the spread of residuals, see `rate_at` in rules.h."""
        self.c.kink, self.c.kink_updates, self.c.kink_power, self.c.kink_limit = length, updates, power, limit
        return self

    @property
    def rate(self):
        """The learning rate in force."""
        return self.c.rate * self.c.factor

    @property
    def factor(self):
        """What is left of the rate."""
        return self.c.factor

    @factor.setter
    def factor(self, double value):
        self.c.factor = value


@cython.auto_pickle(True)
cdef class Plan:
    """How samples are visited and what is reported."""

    cdef CPlan c
    cdef readonly bint shuffle

    def __init__(
        self,
        int64_t batch_size,
        *,
        int64_t nominal_batch,
        double averaged_since,
        bint fit_intercept,
        bint averaging,
        bint shuffle,
        double forgetting,
        double loss_limit,
    ):
        self.c.batch_size, self.c.nominal_batch = batch_size, nominal_batch
        self.c.averaged_since, self.c.fit_intercept = averaged_since, fit_intercept
        self.c.averaging, self.c.forgetting, self.c.loss_limit = averaging, forgetting, loss_limit
        self.shuffle = shuffle

    @property
    def loss_limit(self):
        """The mean loss from which training has diverged."""
        return self.c.loss_limit

    @loss_limit.setter
    def loss_limit(self, double value):
        self.c.loss_limit = value


map_in_order = map


cdef class PartCall:
    """One part of a batch, to be called from a thread."""

    cdef RunPart run
    cdef void *context
    cdef int running
    cdef bint ended

    def __call__(self, int part):
        if self.ended:  # the batch is gone: another part has raised
            return
        self.running += 1
        with nogil:
            self.run(self.context, part)
        self.running -= 1

    cdef void end(self) noexcept:
        """Let no part run any more, and wait for those that do."""
        self.ended = True
        while self.running > 0:
            try:
                _sleep(1e-4)
            except BaseException:  # a second Ctrl-C ends no thread
                pass


cdef int for_parts(void *pool, RunPart run, void *context, int parts) noexcept with gil:
    """Call the parts, by the threads of the engine's pool; 1 where a signal has come."""
    cdef int stopped = 0
    cdef PartCall call = PartCall()
    call.run, call.context = run, context
    engine = <SampleEngine> pool
    try:
        for _ in engine.mapper(call, range(parts)):
            PyErr_CheckSignals()
    except BaseException as error:
        engine.error = error
        stopped = 1
    call.end()
    return stopped


cdef class Engine:
    """Buffers (4, k, d + 1) that epochs change, with all that an update needs."""

    cdef CBuffers buffers
    cdef CWork work
    cdef CTrace trace
    cdef CProgress progress
    cdef Coordinates coordinates
    cdef Objective objective
    cdef Rule rule
    cdef Plan plan
    cdef int64_t features, outputs
    cdef object _held

    def __cinit__(self, *args, **kwargs):
        memset(&self.work, 0, sizeof(self.work))
        memset(&self.trace, 0, sizeof(self.trace))
        memset(&self.progress, 0, sizeof(self.progress))

    def __dealloc__(self):
        PyMem_Free(self.work.gradient)
        PyMem_Free(self.work.scratch)
        PyMem_Free(self.work.part_gradients)
        PyMem_Free(self.work.part_sums)

    cdef hold(self, double[:, :, ::1] buffers, double[::1] root, Coordinates coordinates, Objective objective,
              Rule rule, Plan plan, double[:, :, ::1] trace, int64_t t, double age):
        self._held = (buffers, root, trace)
        self.outputs, self.features = buffers.shape[1], buffers.shape[2] - 1
        self.buffers.slope, self.buffers.first = &buffers[0, 0, 0], &buffers[1, 0, 0]
        self.buffers.second, self.buffers.average = &buffers[2, 0, 0], &buffers[3, 0, 0]
        self.buffers.root = &root[0]
        self.coordinates, self.objective, self.rule, self.plan = coordinates, objective, rule, plan
        if trace is not None:
            self.trace.iterates, self.trace.updates = &trace[0, 0, 0], trace.shape[0]
        self.progress.t, self.progress.age = t, age

    @property
    def t(self):
        """Updates made."""
        return self.progress.t

    @property
    def age(self):
        """Updates made, short batches in proportion."""
        return self.progress.age

    @property
    def diverged(self):
        """Whether the last epoch met a loss beyond the limit."""
        return self.progress.diverged != 0


cdef class SampleEngine(Engine):
    """Epochs over samples in memory."""

    cdef Samples samples
    cdef COrder order
    cdef CLazy lazy
    cdef int64_t segment
    cdef object mapper, error

    def __cinit__(self, *args, **kwargs):
        memset(&self.order, 0, sizeof(self.order))
        memset(&self.lazy, 0, sizeof(self.lazy))

    def __init__(
        self,
        Samples samples not None,
        Coordinates coordinates not None,
        Objective objective not None,
        Rule rule not None,
        Plan plan not None,
        double[:, :, ::1] buffers,
        double[::1] root,
        uint64_t[::1] random,
        int64_t t,
        double age,
        double[:, :, ::1] trace=None,
        mapper=map_in_order,
    ):
        self.hold(buffers, root, coordinates, objective, rule, plan, trace, t, age)
        self.samples, self.mapper = samples, mapper
        cdef int64_t width = self.features + 1, size = self.outputs * width
        self.order.total = samples.c.total
        if plan.shuffle:
            self._held = (self._held, random)
            self._make_order(&random[0])
        # Where an update changes only the features of its batch, the others are kept as products.
        if samples.is_sparse and rule.c.code == 0:
            self._make_lazy()
        else:
            self.work.gradient = <double *> allocate(size, sizeof(double))
            self._make_parts(size)
        cdef int64_t scratch = 2 * width + 3 * self.outputs
        if not samples.is_sparse:
            scratch += 14 * width + 2 * size + 3 * self.outputs
        self.work.scratch = <double *> allocate(scratch, sizeof(double))
        self._make_segments()

    def __dealloc__(self):
        PyMem_Free(self.order.indices)
        PyMem_Free(self.order.blocks)
        PyMem_Free(self.lazy.pull)
        PyMem_Free(self.lazy.pairs)
        PyMem_Free(self.lazy.squares)
        PyMem_Free(self.lazy.history)
        PyMem_Free(self.lazy.reached)
        PyMem_Free(self.lazy.idle)

    cdef _make_order(self, uint64_t *random):
        cdef int64_t total = self.order.total
        self.order.block_rows = NARROW_BLOCK if self.features <= NARROW else WIDE_BLOCK
        self.order.window_rows = self.order.block_rows * WINDOW_BLOCKS
        self.order.wide = total > 0xFFFFFFFF
        cdef size_t index = 8 if self.order.wide else 4
        self.order.random = random
        self.order.indices = allocate(total, index)
        self.order.blocks = allocate(total // self.order.block_rows + 1, index)

    cdef _make_lazy(self):
        cdef int64_t batch = min(self.plan.c.batch_size, self.samples.c.total)
        self.lazy.pull = <double *> allocate(batch, sizeof(double))
        self.lazy.pairs = <double *> allocate(2 * self.features, sizeof(double))
        self.lazy.squares = <double *> allocate(self.features, sizeof(double))
        if self.objective.c.l1 > 0.0:
            # To bring all features up to date once in so many updates costs each no more than one of them.
            self.lazy.updates = min(-(-self.samples.c.total // batch), max(self.features, LEAST_SHRUNK))
            self.lazy.history = <double *> allocate(4 * (self.lazy.updates + 1), sizeof(double))
            self.lazy.reached = <int64_t *> allocate(self.features, sizeof(int64_t))
            self.lazy.idle = <unsigned char *> allocate(self.features, 1)

    cdef _make_parts(self, int64_t size):
        cdef double products = min(self.plan.c.batch_size, self.samples.c.total) * self.outputs * self.samples.values
        if products >= LEAST_PRODUCTS and products >= GRADIENTS_WEIGH * PARTS * size:
            self.work.parts = PARTS
            self.work.part_gradients = <double *> allocate(2 * PARTS * size, sizeof(double))
            self.work.part_sums = <double *> allocate(3 * PARTS * self.outputs, sizeof(double))

    cdef _make_segments(self):
        cdef int64_t batch = self.plan.c.batch_size, per_update = 4 * self.features
        if self.coordinates.c.whitening is not NULL:
            per_update += 2 * self.features * self.features
        if self.lazy.pull is not NULL:
            per_update = 0
        cdef double each = self.outputs * (2.0 * (self.samples.values + 4.0) + per_update / <double> batch)
        self.segment = max(1, <int64_t> (BUDGET / each / batch)) * batch

    def run(self):
        """Make one epoch; return the mean loss met."""
        cdef int stopped = 0
        cdef CHooks hooks
        cdef int64_t start = 0, total = self.samples.c.total
        hooks.for_parts, hooks.pool = for_parts, <void *> self
        self.progress.loss, self.progress.diverged = 0.0, 0
        if self.plan.shuffle:
            with nogil:
                table.shuffle(&self.order)
        while start < total and not self.progress.diverged:
            self.progress.start, self.progress.stop = start, min(start + self.segment, total)
            with nogil:
                stopped = table.train[self.samples.form](
                    &self.samples.c, &self.coordinates.c, &self.buffers, &self.objective.c, &self.rule.c,
                    &self.plan.c, &self.order, &self.work, &self.lazy, &self.trace, &hooks, &self.progress
                )
            if stopped:
                raise self.error
            PyErr_CheckSignals()
            start = self.progress.stop
        return self.progress.loss / (self.samples.c.mean_weight * total * self.outputs)

    def last_batch_loss(self):
        """The last batch's loss at the parameters that it led to, as a part of the epoch's mean loss."""
        cdef int64_t total = self.samples.c.total, batch = self.plan.c.batch_size
        cdef int64_t start = (total - 1) // batch * batch
        cdef double mass = 0.0
        cdef double[::1] losses = np.empty(self.outputs)
        with nogil:
            table.losses[self.samples.form](
                &self.samples.c, self.coordinates.c.center, self.buffers.slope, &self.objective.c, &self.work,
                &self.order, start, total, 1, &losses[0], &mass
            )
        return np.add.reduce(losses) / (self.samples.c.mean_weight * total * self.outputs)


cdef class MomentsEngine(Engine):
    """Epochs of descent on all samples, from their second moments."""

    cdef object moments
    cdef const double[::1] mean_x, mean_y, variance_y
    cdef const double[:, ::1] covariance, cross

    def __init__(
        self,
        moments,
        Coordinates coordinates not None,
        Objective objective not None,
        Rule rule not None,
        Plan plan not None,
        double[:, :, ::1] buffers,
        double[::1] root,
        int64_t t,
        double age,
        double[:, :, ::1] trace=None,
    ):
        self.hold(buffers, root, coordinates, objective, rule, plan, trace, t, age)
        (self.mean_x, self.mean_y, self.covariance, self.cross, self.variance_y) = moments
        cdef int64_t width = self.features + 1
        self.work.gradient = <double *> allocate(self.outputs * width, sizeof(double))
        self.work.scratch = <double *> allocate((4 + 4 * self.outputs) * width + self.outputs, sizeof(double))

    def run(self, int64_t epochs):
        """Make up to so many epochs; return the mean loss that each met."""
        cdef double[::1] losses = np.empty(epochs)
        cdef int64_t done = 0, count, each = self.outputs * (2 * self.features * (self.features + 8) + 64)
        self.progress.diverged = 0
        while done < epochs and not self.progress.diverged:
            count = min(epochs - done, max(1, BUDGET // each))
            with nogil:
                table.train_on_moments(
                    &self.mean_x[0], &self.mean_y[0], &self.covariance[0, 0], &self.cross[0, 0],
                    &self.variance_y[0], &self.coordinates.c, &self.buffers, &self.objective.c, &self.rule.c,
                    &self.plan.c, &self.work, &self.trace, self.features, self.outputs, &losses[done], count,
                    &self.progress
                )
            PyErr_CheckSignals()
            done += self.progress.stop
        return np.asarray(losses)[:done]

    def losses(self, const double[:, ::1] slope not None):
        """Mean losses (k,) at any parameters."""
        cdef double[::1] losses = np.empty(self.outputs)
        table.moments_losses(
            &self.mean_x[0], &self.mean_y[0], &self.covariance[0, 0], &self.cross[0, 0], &self.variance_y[0],
            self.coordinates.c.center, &slope[0, 0], self.features, self.outputs, &losses[0], self.work.scratch
        )
        return np.asarray(losses)


cdef class GradientEngine(Engine):
    """Updates along gradients of all samples that the caller puts together."""

    def __init__(
        self,
        Coordinates coordinates not None,
        Objective objective not None,
        Rule rule not None,
        Plan plan not None,
        double[:, :, ::1] buffers,
        double[::1] root,
        int64_t t,
        double age,
    ):
        self.hold(buffers, root, coordinates, objective, rule, plan, None, t, age)
        cdef int64_t width = self.features + 1
        self.work.gradient = <double *> allocate(self.outputs * width, sizeof(double))
        self.work.scratch = <double *> allocate(4 * width, sizeof(double))

    def update(self, const double[:, ::1] gradient not None, const double[::1] roots not None):
        """Make one update along what `whole_sums` says of all samples."""
        cdef int64_t o, j
        for o in range(self.outputs):
            for j in range(self.features + 1):
                self.work.gradient[o * (self.features + 1) + j] = gradient[o, j]
        with nogil:
            table.update_along(
                &self.coordinates.c, &self.buffers, &self.objective.c, &self.rule.c, &self.plan.c, &self.work,
                &roots[0], self.features, self.outputs, &self.progress.t, &self.progress.age
            )


def mean_losses(
    Samples samples not None,
    const double[::1] center not None,
    const double[:, ::1] slope not None,
    Objective objective not None,
    int64_t stride=1,
):
    """Weighted mean losses (k,) of one sample in ``stride``, always the same ones."""
    cdef double[::1] losses = np.empty(samples.c.outputs)
    cdef double mass = 0.0
    cdef CWork work
    cdef COrder order
    memset(&work, 0, sizeof(work))
    memset(&order, 0, sizeof(order))
    work.scratch = <double *> allocate((samples.c.outputs + 2) * (samples.c.features + 1), sizeof(double))
    with nogil:
        table.losses[samples.form](
            &samples.c, &center[0], &slope[0, 0], &objective.c, &work, &order, 0, samples.c.total, stride,
            &losses[0], &mass
        )
    PyMem_Free(work.scratch)
    return np.asarray(losses) / mass if mass > 0.0 else np.zeros(samples.c.outputs)


def whole_gradient(
    Samples samples not None,
    const double[::1] center not None,
    const double[:, ::1] slope not None,
    Objective objective not None,
):
    """Gradient (k, d + 1) of the mean loss of all samples, in centred data units."""
    return whole_sums(samples, center, slope, objective)[0]


def whole_sums(
    Samples samples not None,
    const double[::1] center not None,
    const double[:, ::1] slope not None,
    Objective objective not None,
):
    """The gradient of `whole_gradient`, the mean losses (k,), and the mean roots (k,) of absolute residuals."""
    cdef int64_t outputs = samples.c.outputs, width = samples.c.features + 1
    cdef double[:, ::1] gradient = np.empty((outputs, width))
    cdef double[::1] losses = np.empty(outputs), roots = np.empty(outputs)
    cdef double mass = samples.c.mean_weight * samples.c.total
    cdef CWork work
    memset(&work, 0, sizeof(work))
    work.scratch = <double *> allocate(4 * outputs + (2 * outputs + 2) * width, sizeof(double))
    with nogil:
        table.gradient[samples.form](
            &samples.c, &center[0], &slope[0, 0], &objective.c, &work, &gradient[0, 0], &losses[0], &roots[0]
        )
    PyMem_Free(work.scratch)
    return np.asarray(gradient) / mass, np.asarray(losses) / mass, np.asarray(roots) / mass


def column_moments(Samples samples not None):
    """Weighted mean (d,) and population variance (d,) of the columns of X, and the weight of all samples."""
    cdef double[:, ::1] moments = np.empty((4, samples.c.features))
    cdef double mass = 0.0
    with nogil:
        table.moments[samples.form](&samples.c, &moments[0, 0], &moments[1, 0], &mass, &moments[2, 0])
    values = np.asarray(moments)
    return values[0].copy(), values[1].copy(), mass


def sample_sizes(Samples samples not None, Coordinates coordinates not None, double intercept):
    """Twice the largest and the mean weighted square of a sample in scaled coordinates."""
    cdef double largest = 0.0, mean = 0.0
    with nogil:
        table.sizes[samples.form](&samples.c, &coordinates.c, intercept, &largest, &mean)
    return 2.0 * largest, 2.0 * mean


def update_vector(
    Rule rule not None,
    double[::1] theta not None,
    const double[::1] gradient not None,
    double[::1] first not None,
    double[::1] second not None,
    int64_t t,
):
    """Make update ``t``, from 1, of ``theta`` in place."""
    if theta.shape[0]:
        table.update_vector(&rule.c, &theta[0], &gradient[0], &first[0], &second[0], theta.shape[0], t)


def sampled_rows(int64_t total, int64_t stride):
    """The samples that `mean_losses` takes."""
    cdef int64_t[::1] rows = np.empty(-(-total // stride), np.int64)
    table.sampled_rows(total, stride, &rows[0])
    return np.asarray(rows)


def shuffled(int64_t total, int64_t features, uint64_t[::1] random not None):
    """The order of an epoch over so many samples; ``random`` goes on."""
    cdef COrder order
    memset(&order, 0, sizeof(order))
    order.total, order.random = total, &random[0]
    order.block_rows = NARROW_BLOCK if features <= NARROW else WIDE_BLOCK
    order.window_rows = order.block_rows * WINDOW_BLOCKS
    order.wide = 1
    cdef int64_t[::1] indices = np.empty(total, np.int64), blocks = np.empty(total, np.int64)
    order.indices, order.blocks = &indices[0], &blocks[0]
    table.shuffle(&order)
    return np.asarray(indices)


def second_moments(Samples samples not None):
    """Weighted mean (c,) and covariance (c, c) of the columns of dense X and y, and the weight of all samples."""
    cdef int64_t columns = samples.c.features + samples.c.outputs
    cdef double[::1] mean = np.empty(columns)
    cdef double[:, ::1] second = np.empty((columns, columns)), work = np.empty((columns + 10, columns + 8))
    cdef double mass = 0.0
    with nogil:
        table.second_moments[samples.form](&samples.c, &mean[0], &second[0, 0], &mass, &work[0, 0])
    return np.asarray(mean), np.asarray(second), mass


def white_sizes(Samples samples not None, Coordinates coordinates not None, double intercept):
    """The weighted square (n,) of each sample, dense, in white coordinates."""
    cdef double[::1] sizes = np.empty(samples.c.total), work = np.empty(64 * (samples.c.features + 2))
    with nogil:
        table.white_sizes[samples.form](&samples.c, &coordinates.c, intercept, &sizes[0], &work[0])
    return np.asarray(sizes)


def interleave(
    const int64_t[::1] columns not None,
    int64_t start,
    const int64_t[::1] places not None,
    int64_t run,
    out not None,
    bint past,
):
    """Write samples from ``start`` on, of columns at these addresses, to ``out`` (n, d) or (n,), float64 or float32.

    They come by runs of neighbours, each of which goes to the rows from its place on; ``past`` the caches, where
    they are needed much later only.
    """
    cdef double[::1] wide
    cdef float[::1] narrow
    cdef void *to
    cdef bint is_narrow = out.dtype == np.float32
    if is_narrow:
        narrow = out.reshape(-1)
        to = &narrow[0]
    else:
        wide = out.reshape(-1)
        to = &wide[0]
    if not places.shape[0]:
        return
    with nogil:
        table.interleave[is_narrow](
            <const void *const *> &columns[0], columns.shape[0], start, &places[0], places.shape[0], run, past, to
        )
