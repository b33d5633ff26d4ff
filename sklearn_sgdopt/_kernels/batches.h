// Updates of batches: the gradient of a batch, by parts where it is large, and the update along it.
#pragma once
#include "csr.h"
#include "dense.h"
#include "update.h"

namespace {

// What one part of a batch needs; parts are summed in their order, so that results do not depend on threads.
template <class S, class V>
struct PartContext {
    const S *samples;
    const V *view;
    const Objective *objective;
    const Order *order;
    const Work *work;
    int64_t start, stop;
};

inline int64_t part_bound(int64_t start, int64_t stop, int part, int parts) {
    return start + (stop - start) * part / parts;
}

template <class S, class V>
void run_part(void *context, int part) {
    const PartContext<S, V> &c = *(const PartContext<S, V> *)context;
    const int64_t outputs = c.samples->samples.outputs, size = outputs * (c.samples->features + 1);
    double *own = c.work->part_gradients + part * 2 * size;
    Sums *sums = (Sums *)(c.work->part_sums + part * 3 * outputs);
    memset(own, 0, sizeof(double) * (size_t)size);
    memset(sums, 0, sizeof(Sums) * (size_t)outputs);
    accumulate(*c.samples, *c.view, *c.objective, *c.order, part_bound(c.start, c.stop, part, c.work->parts),
               part_bound(c.start, c.stop, part + 1, c.work->parts), own, sums, own + size);
}

// Adds the gradient of the batch to work.gradient and fills in `sums` (outputs,). Not 0: interrupted.
template <class S, class V>
SGDOPT_INLINE int batch_gradient(const S &s, const V &view, const Objective &objective, const Order &order,
                                 const Work &work, const Hooks &hooks, int64_t start, int64_t stop, Sums *sums,
                                 double *room) {
    const int64_t outputs = s.samples.outputs, size = outputs * (s.features + 1);
    memset(sums, 0, sizeof(Sums) * (size_t)outputs);
    if (work.parts == 0) {
        accumulate(s, view, objective, order, start, stop, work.gradient, sums, room);
    } else {
        PartContext<S, V> context = {&s, &view, &objective, &order, &work, start, stop};
        if (hooks.for_parts(hooks.pool, run_part<S, V>, &context, work.parts)) return 1;
        for (int part = 0; part < work.parts; ++part) {
            const double *own = work.part_gradients + part * 2 * size;
            const Sums *of_part = (const Sums *)(work.part_sums + part * 3 * outputs);
            for (int64_t j = 0; j < size; ++j) work.gradient[j] += own[j];
            for (int64_t o = 0; o < outputs; ++o) {
                sums[o].loss += of_part[o].loss;
                sums[o].derivative += of_part[o].derivative;
                sums[o].root += of_part[o].root;
            }
        }
    }
    for (int64_t o = 0; o < outputs; ++o)
        work.gradient[o * (s.features + 1) + s.features] += sums[o].derivative;
    return 0;
}

// Shorten the gradient of a batch so that it does not lead beyond the least loss of the batch itself along it, by the
// curvature g.Hg / g.g of squared error there (Cauchy 1847).
template <class S>
SGDOPT_NOINLINE void land(const S &s, const Coordinates &at, const Buffers &buffers, const Objective &objective,
                          const Rule &rule, const Plan &plan, const Order &order, const Work &work,
                          const Moment &now, int64_t start, int64_t stop, double *along, double *narrow) {
    const int64_t outputs = s.samples.outputs, d = s.features, width = d + 1;
    double *g = work.scratch;
    double *squares = narrow + (outputs + 2) * width + outputs, *curved = squares + outputs;
    for (int64_t o = 0; o < outputs; ++o) {
        double *q = along + o * width;
        scaled_gradient(at, objective, plan, now, buffers.slope + o * width, work.gradient + o * width, d, g);
        const double *twice = whitened_twice(at, g, q, d);
        squares[o] = curved[o] = 0.0;
        for (int64_t j = 0; j < width; ++j) {
            squares[o] += g[j] * twice[j];
            q[j] = at.scale[j] * twice[j];
        }
    }
    const auto view = make_view(s, at.center, along, narrow);
    for (int64_t position = start; position < stop; ++position) {
        const int64_t i = row_at(order, position);
        const double weight = s.samples.weight ? s.samples.weight[i] : 1.0;
        for (int64_t o = 0; o < outputs; ++o) {
            const double z = predict_one(s, view, i, o);
            curved[o] += weight * z * z;
        }
    }
    for (int64_t o = 0; o < outputs; ++o) {
        const double rate = rate_at(rule, now.t, now.age, buffers.root + o);
        const double part = landing_factor(rule, rate, now.age, squares[o], 2.0 * now.factor * curved[o]);
        for (int64_t j = 0; j < width; ++j) work.gradient[o * width + j] *= part;
    }
}

template <class S>
SGDOPT_NOINLINE int train_batches(const S &s, const Coordinates &at, const Buffers &buffers,
                                  const Objective &objective, const Rule &rule, const Plan &plan,
                                  const Order &order, const Work &work, const Trace &trace, const Hooks &hooks,
                                  Progress *progress) {
    const int64_t outputs = s.samples.outputs, size = outputs * (s.features + 1);
    const double mean = 1.0 / (s.samples.mean_weight * (double)s.samples.total * (double)outputs);
    Sums *sums = (Sums *)(work.scratch + 2 * (s.features + 1));
    double *room = (double *)(sums + outputs), *narrow = room + size;
    for (int64_t start = progress->start; start < progress->stop; start += plan.batch_size) {
        const int64_t stop = smaller(start + plan.batch_size, progress->stop);
        const auto view = make_view(s, at.center, buffers.slope, narrow);
        if (batch_gradient(s, view, objective, order, work, hooks, start, stop, sums, room)) return 1;
        const double share = share_of_batch(plan, stop - start);
        progress->t += 1;
        progress->age += share;
        const Moment now = {progress->t, progress->age, share,
                            share / ((double)(stop - start) * s.samples.mean_weight), shrinks(rule, at)};
        if (must_land(rule, now.age))
            land(s, at, buffers, objective, rule, plan, order, work, now, start, stop, room, narrow);
        for (int64_t o = 0; o < outputs; ++o) {
            progress->loss += sums[o].loss;
            update_output(at, objective, rule, plan, buffers, work, now, sums[o].root, s.features, o);
        }
        if (!(progress->loss * mean <= plan.loss_limit)) {
            progress->diverged = 1;
            return 0;
        }
        record(trace, buffers.slope, size, progress->t);
    }
    return 0;
}

// Sums of gradients, losses and roots of absolute residuals of all samples, in their order.
template <class S>
void whole_gradient(const S &s, const double *center, const double *slope, const Objective &objective,
                    const Work &work, double *gradient, double *losses, double *roots) {
    const int64_t outputs = s.samples.outputs, size = outputs * (s.features + 1);
    Sums *sums = (Sums *)work.scratch;
    double *room = (double *)(sums + outputs), *narrow = room + size;
    const Order in_order = {0, 0, 0, s.samples.total, 1, 1, 0};
    const auto view = make_view(s, center, slope, narrow);
    memset(sums, 0, sizeof(Sums) * (size_t)outputs);
    memset(gradient, 0, sizeof(double) * (size_t)size);
    accumulate(s, view, objective, in_order, 0, s.samples.total, gradient, sums, room);
    for (int64_t o = 0; o < outputs; ++o) {
        gradient[o * (s.features + 1) + s.features] = sums[o].derivative;
        losses[o] = sums[o].loss;
        roots[o] = sums[o].root;
    }
}

// Sums of losses and of weights: of one sample in `stride`, or of the visits from start to stop where stride is 1.
template <class S>
void sum_losses(const S &s, const double *center, const double *slope, const Objective &objective,
                const Work &work, const Order &order, int64_t start, int64_t stop, int64_t stride,
                double *losses, double *mass) {
    const auto view = make_view(s, center, slope, work.scratch);
    const int64_t outputs = s.samples.outputs;
    for (int64_t o = 0; o < outputs; ++o) losses[o] = 0.0;
    *mass = 0.0;
    const int64_t count = (stop - start + stride - 1) / stride;
    for (int64_t r = 0; r < count; ++r) {
        const int64_t i = stride == 1 ? row_at(order, start + r) : sampled_row(r, stride, s.samples.total);
        *mass += s.samples.weight ? s.samples.weight[i] : 1.0;
        for (int64_t o = 0; o < outputs; ++o) {
            double derivative;
            const double z = predict_one(s, view, i, o);
            Sums sums = {0.0, 0.0, 0.0};
            take_losses(s.samples, objective, o, 1, &i, &z, &derivative, &sums);
            losses[o] += sums.loss;
        }
    }
}

}  // namespace
