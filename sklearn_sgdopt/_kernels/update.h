// One update of all parameters along the gradient of a batch: penalty, coordinates, rule, proximal step, average.
#pragma once
#include "matrix.h"
#include "rules.h"

namespace {

// What a batch of `size` samples counts for: 1 unless it is short.
inline double share_of_batch(const Plan &plan, int64_t size) {
    if (plan.nominal_batch <= 0 || size >= plan.nominal_batch) return 1.0;
    return (double)size / (double)plan.nominal_batch;
}

// When an update happens, and what its batch counts for: `factor` turns sums over the batch into a mean.
// With `shrinks` the l2 penalty is a proximal step, which no rate is too long for: the steps of losses with kinks are.
struct Moment {
    int64_t t;
    double age, share, factor;
    bool shrinks;
};

inline bool shrinks(const Rule &rule, const Coordinates &at) { return rule.kink > 0.0 && !at.whitening; }

// The gradient of one output in scaled coordinates, a mean over the batch, with that of the l2 penalty; `sums` holds
// sums over the batch in centred data units.
inline void scaled_gradient(const Coordinates &at, const Objective &objective, const Plan &plan, const Moment &now,
                            const double *slope, const double *sums, int64_t features, double *g) {
#pragma omp simd
    for (int64_t j = 0; j <= features; ++j) g[j] = sums[j] * (now.factor * at.scale[j]);
    if (!plan.fit_intercept) g[features] = 0.0;
    if (objective.l2 > 0.0 && !now.shrinks)
        for (int64_t j = 0; j < features; ++j)
            if (at.scale[j] > 0.0) g[j] += now.share * objective.l2 / at.scale[j] * slope[j];
}

// M M g: what plain descent moves along, whitening twice in one product. Returns where it stands, g itself without
// whitening.
inline double *whitened_twice(const Coordinates &at, double *g, double *room, int64_t features) {
    if (!at.whitening) return g;
    symmetric_product(at.inverse, g, room, features);
    room[features] = g[features];
    return room;
}

// a_{k+1} = a_k - rate g_k
inline void descend(const double *scale, const double *g, double rate, int64_t width, double *slope) {
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) slope[j] -= rate * (scale[j] * g[j]);
}

// a_{k+1} = a_k - rate m_k, Nesterov's along g_k + eta m_k; the velocity is in the data's units
inline void roll(const Rule &rule, double eta, const double *scale, const double *g, double rate, int64_t width,
                 double *SGDOPT_RESTRICT first, double *SGDOPT_RESTRICT slope) {
    const bool nesterov = rule.code == NESTEROV;
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) {
        const double gradient = scale[j] * g[j];
        first[j] = velocity(eta, first[j], gradient);
        slope[j] -= rate * (nesterov ? gradient + eta * first[j] : first[j]);
    }
}

// Adam's step over its rate, m_hat / sqrt(v_hat + epsilon), into `step`; returns the factor of the rate.
// A first moment whose beta_1 was 0 at first has no bias.
inline double adam_step(const Rule &rule, double beta_1, const double *g, int64_t t, int64_t width,
                        double *SGDOPT_RESTRICT first, double *SGDOPT_RESTRICT second,
                        double *SGDOPT_RESTRICT step, double *epsilon_in_force) {
    const double bias_1 = rule.settling > 0.0 ? 1.0 : bias_correction(beta_1, t);
    const double bias_2 = bias_correction(rule.beta_2, t);
    double unit = 1.0, epsilon = rule.epsilon, top = 0.0;
#pragma omp simd reduction(max : top)
    for (int64_t j = 0; j < width; ++j) {
        first[j] = moment(beta_1, first[j], g[j]);
        second[j] = moment(rule.beta_2, second[j], g[j] * g[j]);
        top = second[j] > top ? second[j] : top;
    }
    if (rule.relative) {  // in units of the largest second moment: no unit of y is left
        unit = sqrt(top * bias_2);
        epsilon *= top * bias_2;
        if (!(top > 0.0)) epsilon = 1.0;  // nothing to learn from yet
    }
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) step[j] = first[j] * bias_1 / sqrt(second[j] * bias_2 + epsilon);
    *epsilon_in_force = epsilon;
    return unit;
}

// How far the proximal step of a penalty goes, over its strength: the rate at which the coordinate moves.
inline double proximal_reach(const Rule &rule, double rate, double second, double bias_2, double epsilon) {
    if (rule.code == ADAM) return rate / sqrt(second * bias_2 + epsilon);
    return rule.code == SGD ? rate : rate / (1.0 - rule.momentum);
}

// Make one update of one output. `roots` is the batch's sum of weighted sqrt|r|.
SGDOPT_NOINLINE void update_output(const Coordinates &at, const Objective &objective, const Rule &rule,
                                   const Plan &plan, const Buffers &buffers, const Work &work, const Moment &now,
                                   double roots, int64_t features, int64_t o) {
    const int64_t width = features + 1;
    double *slope = buffers.slope + o * width, *first = buffers.first + o * width;
    double *second = buffers.second + o * width, *average = buffers.average + o * width;
    double *sums = work.gradient + o * width, *g = work.scratch, *room = g + width, epsilon = rule.epsilon;
    const double age = now.age - plan.averaged_since;
    take_root(rule, plan.forgetting, age, roots * now.factor / now.share, now.share, buffers.root + o);
    double rate = rate_at(rule, now.t, now.age, buffers.root + o);
    scaled_gradient(at, objective, plan, now, slope, sums, features, g);
    memset(sums, 0, sizeof(double) * (size_t)width);
    if (rule.code == ADAM) {
        double *white = g, *step = room;
        if (at.whitening) {
            symmetric_product(at.whitening, g, room, features);
            room[features] = g[features];
            white = room, step = g;
        }
        rate *= adam_step(rule, inertia_at(rule, now.age), white, now.t, width, first, second, step, &epsilon);
        if (at.whitening) {
            symmetric_product(at.whitening, step, room, features);
            room[features] = step[features];
            step = room;
        }
        descend(at.scale, step, rate, width, slope);
    } else {
        g = whitened_twice(at, g, room, features);
        if (rule.code == SGD)
            descend(at.scale, g, rate, width, slope);
        else
            roll(rule, inertia_at(rule, now.age), at.scale, g, rate, width, first, slope);
    }
    const double l2 = now.shrinks ? objective.l2 : 0.0;
    if (objective.l1 > 0.0 || l2 > 0.0) {
        const double bias_2 = rule.code == ADAM ? bias_correction(rule.beta_2, now.t) : 1.0;
        for (int64_t j = 0; j < features; ++j) {
            const double reach = now.share * proximal_reach(rule, rate, second[j], bias_2, epsilon);
            slope[j] = soft_threshold(slope[j], objective.l1 * reach * at.scale[j]) / (1.0 + l2 * reach);
        }
    }
    if (plan.averaging) {
        const double weight = newest(plan.forgetting, age, now.share);
#pragma omp simd
        for (int64_t j = 0; j < width; ++j) average[j] += weight * (slope[j] - average[j]);
    }
}

// One update of all outputs along a gradient that the caller has put together, the mean over all samples.
void update_along(const Coordinates *at, const Buffers *buffers, const Objective *objective, const Rule *rule,
                  const Plan *plan, const Work *work, const double *roots, int64_t features, int64_t outputs,
                  int64_t *t, double *age) {
    *t += 1;
    *age += 1.0;
    const Moment now = {*t, *age, 1.0, 1.0, shrinks(*rule, *at)};
    for (int64_t o = 0; o < outputs; ++o)
        update_output(*at, *objective, *rule, *plan, *buffers, *work, now, roots[o], features, o);
}

inline void record(const Trace &trace, const double *slope, int64_t size, int64_t t) {
    if (t < trace.updates) memcpy(trace.iterates + t * size, slope, sizeof(double) * (size_t)size);
}

// Update t of a vector, along a gradient that the caller brings.
void update_vector(const Rule *rule, double *theta, const double *gradient, double *first, double *second,
                   int64_t size, int64_t t) {
    const double bias_1 = bias_correction(rule->beta_1, t), bias_2 = bias_correction(rule->beta_2, t);
    for (int64_t j = 0; j < size; ++j) {
        const double g = gradient[j];
        if (rule->code == ADAM) {
            first[j] = moment(rule->beta_1, first[j], g);
            second[j] = moment(rule->beta_2, second[j], g * g);
            theta[j] -= rule->rate * (first[j] * bias_1) / sqrt(second[j] * bias_2 + rule->epsilon);
        } else if (rule->code == SGD) {
            theta[j] -= rule->rate * g;
        } else {
            first[j] = velocity(rule->momentum, first[j], g);
            theta[j] -= rule->rate * (rule->code == NESTEROV ? g + rule->momentum * first[j] : first[j]);
        }
    }
}

}  // namespace
