// The records that kernels take, and the table of kernels that each instruction set fills in.
//
// Shapes: X is (total, features), y and what depends on it (total, outputs). Parameters and buffers are
// (outputs, features + 1), the intercept in the last column. Slopes are in the data's units; the intercept
// is the prediction at the center. Callers validate everything and allocate every output.
#pragma once
#include <stdint.h>

// Numbers as in _losses.py and _update_rules.py.
enum Loss { SQUARED, HUBER, INSENSITIVE, SQUARED_INSENSITIVE, QUANTILE };
enum RuleCode { SGD, MOMENTUM, NESTEROV, ADAM };
enum Schedule { CONSTANT, INVSCALING, COSINE, LINEAR };
enum Form { DENSE64, DENSE32, CSR64_INDEX32, CSR64_INDEX64, CSR32_INDEX32, CSR32_INDEX64, FORMS };

// Samples: X where they are dense, else the three arrays of CSR. No weights: all count alike.
struct Samples {
    const void *X, *data, *indices, *indptr;
    const double *y, *weight;
    double mean_weight;
    int64_t total, features, outputs;
};

// Coordinates x~ = M ((x - center) * scale); without M the columns are scaled alone.
// M (features, features) is symmetric, inverse is M M; scale has a last 1 for the intercept.
struct Coordinates {
    const double *center, *scale, *whitening, *inverse;
};

// What updates change. velocity is in the data's units, moments are in the coordinates; root (outputs,) is the
// running mean of the root of absolute residuals, from which losses with kinks take their step.
struct Buffers {
    double *slope, *first, *second, *average, *root;
};

struct Objective {
    int loss;
    const double *delta;
    double quantile, l1, l2;
};

// The lecture's symbols. With relative, Adam's rate and epsilon are in units of its largest second moment.
// slowing > 0: the inverse of the rate starts at `shared + own` and grows by `slowing` an update, to that of `rate`, see
// `inverse_at`; no gradient then leads further than to the least loss of its batch along itself.
// settling > 0: eta and beta_1 grow to their values, see `inertia_at`.
// factor is what the adaptive schedule has left of the rate.
// kink > 0: the rate is in units of the spread of residuals times kink, falls from kink_updates updates on where
// kink_power is not 0, and is at most kink_limit.
struct Rule {
    int code, schedule, relative;
    double rate, factor, momentum, beta_1, beta_2, epsilon, power, began, horizon;
    double shared, own, slowing, settling;
    double kink, kink_updates, kink_power, kink_limit;
};

// A batch of fewer samples than nominal_batch counts less in proportion; 0 lets all batches count alike.
// averaged_since is the age at which averages began.
struct Plan {
    int64_t batch_size, nominal_batch;
    int fit_intercept, averaging;
    double averaged_since, forgetting, loss_limit;
};

// The order of visits; without indices that of the samples. Indices are of 64 bits where wide.
struct Order {
    void *indices, *blocks;
    uint64_t *random;
    int64_t total, block_rows, window_rows;
    int wide;
};

// Work space: gradient (outputs, features + 1) is zero between updates, scratch holds scratch_size doubles.
// parts > 0: gradients of large batches are summed in that many parts, each in its own place.
struct Work {
    double *gradient, *scratch, *part_gradients, *part_sums;
    int parts;
};

// With an l1 or l2 penalty, or averages, CSR samples cost no more than their values: see lazy.h.
struct Lazy {
    double *pull, *pairs, *squares, *history;
    int64_t *reached;
    unsigned char *idle;
    int64_t updates;
};

// Iterates after updates 1, 2, ... below updates go to iterates (updates, outputs, features + 1).
struct Trace {
    double *iterates;
    int64_t updates;
};

// A part of an epoch: positions start to stop. The kernel adds to loss and t; it stops early beyond loss_limit.
// age counts updates as t does, a short batch in proportion.
struct Progress {
    int64_t start, stop, t;
    double age, loss;
    int diverged;
};

// Calls run(context, part) for each part, from as many threads as the caller likes; not 0 means "interrupted".
typedef void (*RunPart)(void *context, int part);
typedef int (*ForParts)(void *pool, RunPart run, void *context, int parts);

struct Hooks {
    ForParts for_parts;
    void *pool;
};

struct Table {
    // [form]
    int (*train[FORMS])(const Samples *, const Coordinates *, const Buffers *, const Objective *, const Rule *,
                        const Plan *, const Order *, const Work *, const Lazy *, const Trace *, const Hooks *,
                        Progress *);
    // Sums of gradients (outputs, features + 1) in centred data units, of losses, and of the roots of absolute
    // residuals, at given parameters.
    void (*gradient[FORMS])(const Samples *, const double *center, const double *slope, const Objective *,
                            const Work *, double *gradient, double *losses, double *roots);
    // Sums of losses (outputs,) and of weights over one sample in stride, or over positions start to stop.
    void (*losses[FORMS])(const Samples *, const double *center, const double *slope, const Objective *,
                          const Work *, const Order *, int64_t start, int64_t stop, int64_t stride,
                          double *losses, double *mass);
    // Weighted sums of columns about center, and of squares about mean; see statistics.h.
    void (*moments[FORMS])(const Samples *, double *mean, double *variance, double *mass, double *work);
    // Largest and mean weighted square of a sample in scaled coordinates.
    void (*sizes[FORMS])(const Samples *, const Coordinates *, double intercept, double *largest, double *mean);
    void (*train_on_moments)(const double *mean_x, const double *mean_y, const double *covariance,
                             const double *cross, const double *variance_y, const Coordinates *,
                             const Buffers *, const Objective *, const Rule *, const Plan *, const Work *,
                             const Trace *, int64_t features, int64_t outputs, double *losses, int64_t epochs,
                             Progress *);
    void (*moments_losses)(const double *mean_x, const double *mean_y, const double *covariance,
                           const double *cross, const double *variance_y, const double *center,
                           const double *slope, int64_t features, int64_t outputs, double *losses,
                           double *scratch);
    // One update along a gradient (outputs, features + 1) in centred data units, the mean over all samples, in
    // work.gradient; roots (outputs,) are means as well. t and age go on.
    void (*update_along)(const Coordinates *, const Buffers *, const Objective *, const Rule *, const Plan *,
                         const Work *, const double *roots, int64_t features, int64_t outputs, int64_t *t,
                         double *age);
    void (*shuffle)(const Order *);
    void (*update_vector)(const Rule *, double *theta, const double *gradient, double *first, double *second,
                          int64_t size, int64_t t);
    void (*sampled_rows)(int64_t total, int64_t stride, int64_t *rows);
    // [is float]: means, covariances and sizes in white coordinates of dense samples; see second_moments.h.
    void (*second_moments[2])(const Samples *, double *mean, double *second, double *mass, double *work);
    void (*white_sizes[2])(const Samples *, const Coordinates *, double intercept, double *sizes, double *work);
    // Samples of columns of 8 or 4 bytes a number, [is_narrow], written as rows by runs; see mixing.h.
    void (*interleave[2])(const void *const *columns, int64_t features, int64_t start, const int64_t *places,
                          int64_t runs, int64_t run, int past, void *out);
};
