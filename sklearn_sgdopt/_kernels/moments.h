// Descent on second moments: an epoch on all samples costs O(features^2), whatever their number.
//
// With S the covariance of X, q that of X and y, and r the mean residual, for squared error:
//     loss = var(y) - 2 q.b + b.S b + r^2,   gradient = 2 (S b - q + (mean - center) r, r).
#pragma once
#include "update.h"

namespace {

// Fills in gradients (outputs, features + 1), where asked for, and losses (outputs,).
SGDOPT_NOINLINE void moments_gradient(const double *mean_x, const double *mean_y, const double *covariance,
                                      const double *cross, const double *variance_y, const double *center,
                                      const double *slopes, int64_t features, int64_t outputs, double *gradients,
                                      double *losses, double *product) {
    for (int64_t o = 0; o < outputs; ++o) {
        const double *slope = slopes + o * (features + 1), *q = cross + o * features;
        double residual = slope[features] - mean_y[o], loss = variance_y[o];
        symmetric_product(covariance, slope, product, features);
        for (int64_t j = 0; j < features; ++j) {
            residual += (mean_x[j] - center[j]) * slope[j];
            loss += slope[j] * (product[j] - 2.0 * q[j]);
        }
        loss += residual * residual;
        losses[o] = loss < 0.0 ? 0.0 : loss;  // NaN stays NaN
        if (!gradients) continue;
        double *g = gradients + o * (features + 1);
        for (int64_t j = 0; j < features; ++j)
            g[j] = 2.0 * (product[j] - q[j] + (mean_x[j] - center[j]) * residual);
        g[features] = 2.0 * residual;
    }
}

void moments_losses(const double *mean_x, const double *mean_y, const double *covariance, const double *cross,
                    const double *variance_y, const double *center, const double *slope, int64_t features,
                    int64_t outputs, double *losses, double *scratch) {
    moments_gradient(mean_x, mean_y, covariance, cross, variance_y, center, slope, features, outputs, 0, losses,
                     scratch);
}

// Up to `epochs` epochs; the mean loss met by each goes to `losses`. progress.stop is set to how many were made. An
// update that leads beyond the limit is undone, and its epoch is told with the loss that it led to.
void train_on_moments(const double *mean_x, const double *mean_y, const double *covariance, const double *cross,
                      const double *variance_y, const Coordinates *at, const Buffers *buffers,
                      const Objective *objective, const Rule *rule, const Plan *plan, const Work *work,
                      const Trace *trace, int64_t features, int64_t outputs, double *losses, int64_t epochs,
                      Progress *progress) {
    const int64_t size = outputs * (features + 1);
    double *of_outputs = work->scratch + 2 * (features + 1), *product = of_outputs + outputs;
    double *saved = product + features;
    for (int64_t epoch = 0;; ++epoch) {
        moments_gradient(mean_x, mean_y, covariance, cross, variance_y, at->center, buffers->slope, features,
                         outputs, work->gradient, of_outputs, product);
        double loss = 0.0;
        for (int64_t o = 0; o < outputs; ++o) loss += of_outputs[o] / (double)outputs;
        progress->stop = epoch;
        if (!(loss <= plan->loss_limit)) {
            progress->diverged = 1;
            if (epoch == 0) {
                progress->stop = 1;
                losses[0] = loss;
            } else {
                losses[epoch - 1] = loss;
                progress->t -= 1;
                progress->age -= 1.0;
                memcpy(buffers->slope, saved, sizeof(double) * (size_t)(4 * size));
            }
        }
        if (progress->diverged || epoch == epochs) break;
        losses[epoch] = loss;
        memcpy(saved, buffers->slope, sizeof(double) * (size_t)(4 * size));  // the buffers are one array
        progress->t += 1;
        progress->age += 1.0;
        const Moment now = {progress->t, progress->age, 1.0, 1.0, false};
        for (int64_t o = 0; o < outputs; ++o)
            update_output(*at, *objective, *rule, *plan, *buffers, *work, now, 0.0, features, o);
        record(*trace, buffers->slope, size, progress->t);
    }
    memset(work->gradient, 0, sizeof(double) * (size_t)size);
}

}  // namespace
