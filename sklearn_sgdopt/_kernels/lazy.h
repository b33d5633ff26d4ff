// Plain sgd on CSR samples at a cost that grows with the values of a batch only.
//
// Slopes are kept as scale * S, so that shrinking by the l2 penalty is one product, and their average as
// fresh * S + past * U (Bottou 2012, "Stochastic gradient descent tricks", section 5): a change of S that the past
// average must not feel is taken back from U. With averaging S stands beside U in `pairs`, as they change together.
// The proximal steps of an l1 penalty are made good when a feature is next met (Duchi and Singer 2009, "Efficient
// online and batch learning using forward backward splitting"). Outputs are trained in turn.
#pragma once
#include "csr.h"
#include "update.h"

namespace {

// Below these, numbers that stand for all features are multiplied out: the average is a difference of terms that
// grow as its factors fall.
const double LEAST_SCALE = 1e-3, LEAST_PAST = 1e-30;

// An update in the history of an l1 penalty. total: the shrinkage of all updates so far, in units of S. What an S
// does that only shrinks adds up to `past` times the average before, `fresh` times the S where total was 0, less
// sign(S) * width * drift.
struct Shrinkage {
    double total, past, fresh, drift;
};

// The numbers that stand for all features of one output.
struct Factors {
    double scale, fresh, past;
    int64_t now;  // updates since the history began
};

template <class T, class I>
struct LazyOutput {
    const Csr<T, I> &s;
    const Coordinates &at;
    const Objective &objective;
    const Lazy &lazy;
    double *slope, *average;
    int averaging;
    bool shrinks, scaled;
    Factors k;

    Shrinkage *history() const { return (Shrinkage *)lazy.history; }

    // The last of updates `then` to now after which an S of that size has not shrunk to zero. The first guesses
    // follow the total, which grows at a nearly constant pace; then the range is halved.
    int64_t last_above_zero(double size, double width, int64_t then) const {
        const Shrinkage *h = history();
        const double start = h[then].total;
        if (size == 0.0) return then;
        if (width * (h[k.now].total - start) < size) return k.now;
        int64_t last = then, over = k.now;
        for (int tries = 0; over - last > 1; ++tries) {
            int64_t middle = (last + over) / 2;
            if (tries < 4) {
                const double gone = h[last].total - start, pace = h[over].total - h[last].total;
                const double guess = (size / width - gone) / pace * (double)(over - last);
                middle = larger(last + 1, smaller(over - 1, last + (int64_t)guess));
            }
            if (width * (h[middle].total - start) < size)
                last = middle;
            else
                over = middle;
        }
        return last;
    }

    // Make good the proximal steps that a feature missed since update `then`: its S and its average. If the first of
    // them takes back all that moved it from 0, both are 0 still, while U holds rounding: `idle` tells.
    void shrink(double S, double U, double width, bool idle, int64_t then, double *S_now, double *average_now) const {
        const Shrinkage *h = history();
        const double sign = S > 0.0 ? 1.0 : -1.0;
        const int64_t last = last_above_zero(fabs(S), width, then), now = k.now;
        *S_now = 0.0;
        *average_now = 0.0;
        if (idle && last == then) return;
        const double kept = h[last].past / h[then].past;
        double mean = kept * (h[then].fresh * S + h[then].past * U);
        mean += (S + sign * width * h[then].total) * (h[last].fresh - kept * h[then].fresh);
        mean -= sign * width * (h[last].drift - kept * h[then].drift);
        if (last == now) {
            *S_now = S - sign * width * (h[now].total - h[then].total);
            *average_now = mean;
        } else {
            *average_now = mean * (h[now].past / h[last].past);
        }
    }

    double shrunk_slope(int64_t j, int64_t then) const {
        return soft_threshold(slope[j], at.scale[j] * (history()[k.now].total - history()[then].total));
    }

    void shrink_sample(int64_t i) const {
        for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q) {
            const int64_t j = s.indices[q], then = lazy.reached[j];
            if (then == k.now) continue;
            lazy.reached[j] = k.now;
            if (!averaging) {
                slope[j] = shrunk_slope(j, then);
                continue;
            }
            double *pair = lazy.pairs + 2 * j, S, mean;
            shrink(pair[0], pair[1], at.scale[j], lazy.idle[j], then, &S, &mean);
            lazy.idle[j] = S == 0.0 && mean == 0.0;
            pair[0] = S;
            pair[1] = (mean - k.fresh * S) / k.past;
        }
    }

    void begin_history() {
        k.scale = k.past = 1.0;
        k.fresh = 0.0;
        k.now = 0;
        if (!shrinks) return;
        for (int64_t j = 0; j < s.features; ++j) {
            lazy.reached[j] = 0;
            lazy.idle[j] = averaging && lazy.pairs[2 * j] == 0.0 && lazy.pairs[2 * j + 1] == 0.0;
        }
        const Shrinkage nothing = {0.0, 1.0, 0.0, 0.0};
        history()[0] = nothing;
    }

    // Make S the slopes and U their average themselves, all shrunk.
    void fold() {
        for (int64_t j = 0; j < s.features; ++j) {
            const int64_t then = shrinks ? lazy.reached[j] : k.now;
            if (averaging) {
                double *pair = lazy.pairs + 2 * j, S = pair[0], mean = k.fresh * pair[0] + k.past * pair[1];
                if (then < k.now) shrink(pair[0], pair[1], at.scale[j], lazy.idle[j], then, &S, &mean);
                pair[0] = k.scale * S;
                pair[1] = mean;
            } else {
                if (then < k.now) slope[j] = shrunk_slope(j, then);
                slope[j] *= k.scale;
            }
        }
        begin_history();
    }

    void begin() {
        if (averaging)
            for (int64_t j = 0; j < s.features; ++j) {
                lazy.pairs[2 * j] = slope[j];
                lazy.pairs[2 * j + 1] = average[j];
            }
        begin_history();
    }

    void finish() {
        fold();
        if (averaging)
            for (int64_t j = 0; j < s.features; ++j) {
                slope[j] = lazy.pairs[2 * j];
                average[j] = lazy.pairs[2 * j + 1];
            }
    }

    double product(int64_t i) const {
        if (!averaging) return s.product(i, slope);
        double z = 0.0;
        for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q)
            z += (double)s.data[q] * lazy.pairs[2 * (int64_t)s.indices[q]];
        return z;
    }

    // Take `length` times sample i from S.
    void step(int64_t i, double length) const {
        const double back = length * (k.fresh / k.past);
        for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q) {
            const int64_t j = s.indices[q];
            const double x = scaled ? (double)s.data[q] * lazy.squares[j] : (double)s.data[q];
            if (averaging) {
                double *pair = lazy.pairs + 2 * j;
                pair[0] -= length * x;
                pair[1] += back * x;
            } else {
                slope[j] -= length * x;
            }
        }
    }

    // Enter an update: what it shrinks, and its part in the average.
    void remember(double shrinkage, double weight) {
        if (averaging) {
            k.fresh = (1.0 - weight) * k.fresh + weight * k.scale;
            k.past *= 1.0 - weight;
        }
        if (!shrinks) return;
        Shrinkage *h = history();
        const double total = h[k.now].total + shrinkage;
        const Shrinkage next = {total, k.past, k.fresh,
                                (1.0 - weight) * h[k.now].drift + weight * k.scale * total};
        h[++k.now] = next;
    }

    void record(double intercept, double *kept) const {
        for (int64_t j = 0; j < s.features; ++j) {
            double S = averaging ? lazy.pairs[2 * j] : slope[j];
            if (shrinks)
                S = soft_threshold(S, at.scale[j] * (history()[k.now].total - history()[lazy.reached[j]].total));
            kept[j] = k.scale * S;
        }
        kept[s.features] = intercept;
    }
};

// Derivatives of a batch into lazy.pull, its sums into `sums`. With an l1 penalty features are brought up to date.
template <class T, class I>
SGDOPT_INLINE void pull_of_batch(const LazyOutput<T, I> &out, const Order &order, int64_t start, int64_t stop,
                                 int64_t o, double intercept, Sums *sums) {
    for (int64_t position = start; position < stop; ++position) {
        out.s.prefetch(order, position, 1);
        const int64_t i = row_at(order, position);
        if (out.shrinks) out.shrink_sample(i);
        const double z = out.k.scale * out.product(i) + intercept;
        take_losses(out.s.samples, out.objective, o, 1, &i, &z, out.lazy.pull + (position - start), sums);
    }
}

template <class T, class I>
SGDOPT_NOINLINE int train_lazily(const Csr<T, I> &s, const Coordinates &at, const Buffers &buffers,
                                 const Objective &objective, const Rule &rule, const Plan &plan,
                                 const Order &order, const Lazy &lazy, const Trace &trace, Progress *progress) {
    const int64_t d = s.features, outputs = s.samples.outputs;
    const double mean = 1.0 / (s.samples.mean_weight * (double)s.samples.total * (double)outputs);
    bool scaled = false;
    for (int64_t j = 0; j < d; ++j) {
        lazy.squares[j] = at.scale[j] * at.scale[j];
        scaled = scaled || at.scale[j] != 1.0;
    }
    const int64_t begin = progress->t;
    const double began = progress->age;
    for (int64_t o = 0; o < outputs; ++o) {
        double *slope = buffers.slope + o * (d + 1), *average = buffers.average + o * (d + 1);
        LazyOutput<T, I> out = {s, at, objective, lazy, slope, average, plan.averaging, lazy.updates > 0, scaled,
                                {1.0, 0.0, 1.0, 0}};
        out.begin();
        int64_t t = begin;
        double age = began;
        for (int64_t start = progress->start; start < progress->stop; start += plan.batch_size) {
            const int64_t stop = smaller(start + plan.batch_size, progress->stop);
            Sums sums = {0.0, 0.0, 0.0};
            pull_of_batch(out, order, start, stop, o, slope[d], &sums);
            progress->loss += sums.loss;
            if (!(progress->loss * mean <= plan.loss_limit)) {
                progress->diverged = 1;
                return 0;
            }
            t += 1;
            const double share = share_of_batch(plan, stop - start);
            age += share;
            const double averaged = age - plan.averaged_since;
            const double each = 1.0 / ((double)(stop - start) * s.samples.mean_weight);
            take_root(rule, plan.forgetting, averaged, sums.root * each, share, buffers.root + o);
            const double rate = rate_at(rule, t, age, buffers.root + o) * share;
            out.k.scale *= shrinks(rule, at) ? 1.0 / (1.0 + rate * objective.l2) : 1.0 - rate * objective.l2;
            const double size = fabs(out.k.scale);  // a rate beyond 2 / l2 lets it grow
            if (!(LEAST_SCALE <= size && size <= 1.0 / LEAST_SCALE)) out.fold();
            for (int64_t position = start; position < stop; ++position)
                out.step(row_at(order, position), rate * each * lazy.pull[position - start] / out.k.scale);
            if (plan.fit_intercept) slope[d] -= rate * each * sums.derivative;
            const double weight = plan.averaging ? newest(plan.forgetting, averaged, share) : 0.0;
            average[d] += weight * (slope[d] - average[d]);
            out.remember(rate * objective.l1 / fabs(out.k.scale), weight);
            if (out.k.past < LEAST_PAST || (out.shrinks && out.k.now == lazy.updates)) out.fold();
            if (t < trace.updates) out.record(slope[d], trace.iterates + (t * outputs + o) * (d + 1));
        }
        out.finish();
        progress->t = t;
        progress->age = age;
    }
    return 0;
}

}  // namespace
