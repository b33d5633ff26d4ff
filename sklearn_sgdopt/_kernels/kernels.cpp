// Every kernel, compiled once for each instruction set and offered as one table of functions.
#include "batches.h"
#include "lazy.h"
#include "mixing.h"
#include "moments.h"
#include "second_moments.h"
#include "singles_adam.h"
#include "statistics.h"

namespace {

inline bool is_plain(const Objective &objective) { return objective.l1 == 0.0 && objective.l2 == 0.0; }

template <class T>
int train_dense(const Samples *samples, const Coordinates *at, const Buffers *buffers, const Objective *objective,
                const Rule *rule, const Plan *plan, const Order *order, const Work *work, const Lazy *,
                const Trace *trace, const Hooks *hooks, Progress *progress) {
    const Dense<T> s(*samples);
    if (plan->batch_size == 1 && is_plain(*objective) && trace->updates == 0) {
        const double share = share_of_batch(*plan, 1);
        const Descent descent = {*samples, *at,   *buffers, *objective,
                                 *rule,    *plan, share,    share / samples->mean_weight};
        if (is_linear(*rule)) {
            train_singles(s, descent, *order, work->scratch, progress);
            return 0;
        }
        if (rule->code == ADAM && !at->whitening && !rule->relative) {
            train_singles_by_adam(s, descent, *order, progress);
            return 0;
        }
    }
    return train_batches(s, *at, *buffers, *objective, *rule, *plan, *order, *work, *trace, *hooks, progress);
}

template <class T, class I>
int train_csr(const Samples *samples, const Coordinates *at, const Buffers *buffers, const Objective *objective,
              const Rule *rule, const Plan *plan, const Order *order, const Work *work, const Lazy *lazy,
              const Trace *trace, const Hooks *hooks, Progress *progress) {
    const Csr<T, I> s(*samples);
    if (rule->code == SGD && lazy->pull)
        return train_lazily(s, *at, *buffers, *objective, *rule, *plan, *order, *lazy, *trace, progress);
    return train_batches(s, *at, *buffers, *objective, *rule, *plan, *order, *work, *trace, *hooks, progress);
}

template <class S>
void gradient_of(const Samples *samples, const double *center, const double *slope, const Objective *objective,
                 const Work *work, double *gradient, double *losses, double *roots) {
    whole_gradient(S(*samples), center, slope, *objective, *work, gradient, losses, roots);
}

template <class S>
void losses_of(const Samples *samples, const double *center, const double *slope, const Objective *objective,
               const Work *work, const Order *order, int64_t start, int64_t stop, int64_t stride, double *losses,
               double *mass) {
    sum_losses(S(*samples), center, slope, *objective, *work, *order, start, stop, stride, losses, mass);
}

template <class S>
void moments_of(const Samples *samples, double *mean, double *variance, double *mass, double *work) {
    column_moments(S(*samples), mean, variance, mass, work);
}

template <class S>
void sizes_of(const Samples *samples, const Coordinates *at, double intercept, double *largest, double *mean) {
    sample_sizes(S(*samples), *at, intercept, largest, mean);
}

template <class T>
void second_moments_of(const Samples *samples, double *mean, double *second, double *mass, double *work) {
    second_moments(Dense<T>(*samples), mean, second, mass, work);
}

template <class T>
void white_sizes_of(const Samples *samples, const Coordinates *at, double intercept, double *sizes, double *work) {
    white_sizes(Dense<T>(*samples), *at, intercept, sizes, work);
}

}  // namespace

#define SGDOPT_JOIN_(a, b) a##b
#define SGDOPT_JOIN(a, b) SGDOPT_JOIN_(a, b)
// In the order of enum Form.
#define SGDOPT_FORMS(f) \
    {f<Dense<double>>, f<Dense<float>>, f<Csr<double, int32_t>>, f<Csr<double, int64_t>>, f<Csr<float, int32_t>>, \
     f<Csr<float, int64_t>>}

static const Table TABLE = {
    {train_dense<double>, train_dense<float>, train_csr<double, int32_t>, train_csr<double, int64_t>,
     train_csr<float, int32_t>, train_csr<float, int64_t>},
    SGDOPT_FORMS(gradient_of),
    SGDOPT_FORMS(losses_of),
    SGDOPT_FORMS(moments_of),
    SGDOPT_FORMS(sizes_of),
    train_on_moments,
    moments_losses,
    update_along,
    shuffle,
    update_vector,
    sampled_rows,
    {second_moments_of<double>, second_moments_of<float>},
    {white_sizes_of<double>, white_sizes_of<float>},
    {interleave<double>, interleave<float>},
};

extern "C" const Table *SGDOPT_JOIN(sgdopt_table_, SGDOPT_LEVEL)(void) { return &TABLE; }
