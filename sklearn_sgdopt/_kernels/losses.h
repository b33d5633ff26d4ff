// Losses of residuals r = prediction - target, and their derivatives in the prediction.
#pragma once
#include "platform.h"
#include "table.h"

namespace {

// Part of prediction and target within which a residual stands at a kink: there the derivative is 0, in between those
// on either side, whatever the rounding.
const double AT_KINK = 1e-13;

// One residual: returns the loss, sets the derivative. `rounding` is what the residual is not known beyond.
SGDOPT_INLINE double point_loss(int loss, double r, double delta, double quantile, double rounding,
                                double *derivative) {
    const double size = fabs(r), sign = r > 0.0 ? 1.0 : -1.0;
    switch (loss) {
    case SQUARED:
        *derivative = 2.0 * r;
        return r * r;
    case HUBER:
        if (size <= delta) {
            *derivative = 2.0 * r;
            return r * r;
        }
        *derivative = 2.0 * delta * sign;
        return 2.0 * delta * size - delta * delta;
    case QUANTILE:
        *derivative = r > rounding ? 1.0 - quantile : (r < -rounding ? -quantile : 0.0 * r);
        return *derivative * r;
    default: {
        const double excess = size - delta;
        if (excess <= (loss == INSENSITIVE ? rounding : 0.0)) {
            *derivative = 0.0;
            return 0.0;
        }
        *derivative = loss == INSENSITIVE ? sign : 2.0 * excess * sign;
        return loss == INSENSITIVE ? excess : excess * excess;
    }
    }
}

// Losses whose derivative jumps.
inline bool has_kinks(int loss) { return loss == INSENSITIVE || loss == QUANTILE; }

// What a batch adds up to for one output.
struct Sums {
    double loss, derivative, root;
};

// Derivatives of `count` samples with predictions z, times their weights; adds to sums.
SGDOPT_INLINE void take_losses(const Samples &samples, const Objective &objective, int64_t output, int count,
                               const int64_t *rows, const double *z, double *derivatives, Sums *sums) {
    if (objective.loss == SQUARED && !samples.weight) {  // without a question asked for each sample
        for (int r = 0; r < count; ++r) {
            const double residual = z[r] - samples.y[rows[r] * samples.outputs + output];
            sums->loss += residual * residual;
            derivatives[r] = 2.0 * residual;
            sums->derivative += derivatives[r];
        }
        return;
    }
    const double delta = objective.delta[output];
    const bool kinked = has_kinks(objective.loss);
    for (int r = 0; r < count; ++r) {
        const double weight = samples.weight ? samples.weight[rows[r]] : 1.0;
        const double y = samples.y[rows[r] * samples.outputs + output], residual = z[r] - y;
        const double rounding = kinked ? AT_KINK * (fabs(z[r]) + fabs(y)) : 0.0;
        double derivative;
        sums->loss +=
            weight * point_loss(objective.loss, residual, delta, objective.quantile, rounding, &derivative);
        derivatives[r] = weight * derivative;
        sums->derivative += derivatives[r];
        if (kinked && fabs(residual) > rounding) sums->root += weight * sqrt(fabs(residual));
    }
}

}  // namespace
