// Adam on batches of one dense sample, in coordinates that only scale: one pass over the parameters makes the update
// of a sample, and the product of the next one with the slopes that it leads to. Formulas: rules.h.
#pragma once
#include "singles.h"

namespace {

template <class T>
struct Adam {
    const Descent &descent;
    const Dense<T> &s;
    int64_t o;

    SGDOPT_INLINE double product(int64_t i) const {
        const double *slope = descent.buffers.slope + o * (s.features + 1), *center = descent.at.center;
        const T *x = s.row(i);
        double z = slope[s.features];
        for (int64_t j = 0; j < s.features; ++j) z += ((double)x[j] - center[j]) * slope[j];
        return z;
    }

    // Update t along l times sample i; returns the prediction of sample `next`.
    SGDOPT_INLINE double update(int64_t i, int64_t next, double l, int64_t t, double rate, double weight) const {
        const int64_t d = s.features;
        const T *SGDOPT_RESTRICT x = s.row(i), *SGDOPT_RESTRICT x_next = s.row(next);
        const Rule &rule = descent.rule;
        const double *SGDOPT_RESTRICT center = descent.at.center, *SGDOPT_RESTRICT scale = descent.at.scale;
        double *SGDOPT_RESTRICT slope = descent.buffers.slope + o * (d + 1);
        double *SGDOPT_RESTRICT first = descent.buffers.first + o * (d + 1);
        double *SGDOPT_RESTRICT second = descent.buffers.second + o * (d + 1);
        double *SGDOPT_RESTRICT average = descent.buffers.average + o * (d + 1);
        const double length = rate * bias_correction(rule.beta_1, t), bias_2 = bias_correction(rule.beta_2, t);
        const double beta_1 = rule.beta_1, beta_2 = rule.beta_2, epsilon = rule.epsilon;
        double z = 0.0;
#pragma omp simd reduction(+ : z)
        for (int64_t j = 0; j < d; ++j) {
            const double g = l * (((double)x[j] - center[j]) * scale[j]);
            first[j] = moment(beta_1, first[j], g);
            second[j] = moment(beta_2, second[j], g * g);
            slope[j] -= length * scale[j] * first[j] / sqrt(second[j] * bias_2 + epsilon);
            z += ((double)x_next[j] - center[j]) * slope[j];
        }
        const double g = descent.plan.fit_intercept ? l : 0.0;
        first[d] = moment(beta_1, first[d], g);
        second[d] = moment(beta_2, second[d], g * g);
        slope[d] -= length * first[d] / sqrt(second[d] * bias_2 + epsilon);
        if (weight > 0.0)
#pragma omp simd
            for (int64_t j = 0; j <= d; ++j) average[j] += weight * (slope[j] - average[j]);
        return z + slope[d];
    }
};

// Updates of single samples at the positions of `progress`, of one output after the other.
template <class T>
SGDOPT_NOINLINE void train_singles_by_adam(const Dense<T> &s, const Descent &descent, const Order &order,
                                           Progress *progress) {
    const Plan &plan = descent.plan;
    const double mean = 1.0 / (s.samples.mean_weight * (double)s.samples.total * (double)s.samples.outputs);
    const int64_t begun = progress->t;
    const double age_begun = progress->age;
    for (int64_t o = 0; o < s.samples.outputs; ++o) {
        const Adam<T> adam = {descent, s, o};
        int64_t t = begun, i = row_at(order, progress->start);
        double age = age_begun, prediction = adam.product(i);
        for (int64_t position = progress->start; position < progress->stop; ++position) {
            s.prefetch(order, position, 1);
            const int64_t next = position + 1 < progress->stop ? row_at(order, position + 1) : i;
            double derivative;
            Sums sums = {0.0, 0.0, 0.0};
            take_losses(s.samples, descent.objective, o, 1, &i, &prediction, &derivative, &sums);
            progress->loss += sums.loss;
            if (!(progress->loss * mean <= plan.loss_limit)) {
                progress->diverged = 1;
                return;
            }
            t += 1;
            age += descent.share;
            const double weight =
                plan.averaging ? newest(plan.forgetting, age - plan.averaged_since, descent.share) : 0.0;
            const double rate = rate_at(descent.rule, t, age, descent.buffers.root + o);
            prediction = adam.update(i, next, derivative * descent.factor, t, rate, weight);
            i = next;
        }
        progress->t = t;
        progress->age = age;
    }
}

}  // namespace
