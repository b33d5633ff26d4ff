// Dense samples: products with slopes, and sums of samples, four at a time. Independent sums hide the latency of
// additions, and the gradient is loaded and stored once for four samples. Arithmetic is in the type of X; every
// FLUSH samples their sum goes to a gradient in double.
#pragma once
#include "losses.h"
#include "order.h"

namespace {

// Samples ahead that are asked for: so many, or as many as these bytes hold, so that they are still near when used.
// Where all of X stays in cache none are.
const int64_t LEAST_AHEAD = 16, MOST_AHEAD = 64, BYTES_AHEAD = 1 << 15, IN_CACHE = 1 << 22;
const int64_t IN_ORDER = 64;  // features from which that pays where the processor sees what comes
const int64_t FLUSH = 256;

template <class T>
struct Dense {
    typedef T Value;
    const Samples &samples;
    const T *X;
    int64_t features, ahead;

    explicit Dense(const Samples &s) : samples(s), X((const T *)s.X), features(s.features) {
        const int64_t each = features * (int64_t)sizeof(T);
        ahead = larger(LEAST_AHEAD, smaller(MOST_AHEAD, BYTES_AHEAD / each));
        if (s.total * each <= IN_CACHE) ahead = s.total;
    }
    const T *row(int64_t i) const { return X + i * features; }

    // Ask for the samples that come `ahead` after these; memory is then read at nearly the speed of samples in order.
    SGDOPT_INLINE void prefetch(const Order &order, int64_t position, int count) const {
        if (position + ahead + count > samples.total || (!order.indices && features < IN_ORDER)) return;
        for (int r = 0; r < count; ++r) {
            const int64_t i = row_at(order, position + ahead + r);
            const char *first = (const char *)row(i), *last = (const char *)(row(i) + features) - 1;
            SGDOPT_PREFETCH(samples.y + i * samples.outputs);
            for (const char *line = first; line < last; line += 64) SGDOPT_PREFETCH(line);
            SGDOPT_PREFETCH(last);
        }
    }
};

template <class T>
SGDOPT_INLINE T product(const T *SGDOPT_RESTRICT x, const T *SGDOPT_RESTRICT center,
                        const T *SGDOPT_RESTRICT slope, int64_t features) {
    T z = 0;
    for (int64_t j = 0; j < features; ++j) z += (x[j] - center[j]) * slope[j];
    return z;
}

template <class T>
SGDOPT_INLINE void products(const T *const *x, const T *SGDOPT_RESTRICT center, const T *SGDOPT_RESTRICT slope,
                            int64_t features, double *z) {
    const T *SGDOPT_RESTRICT x0 = x[0], *SGDOPT_RESTRICT x1 = x[1], *SGDOPT_RESTRICT x2 = x[2],
            *SGDOPT_RESTRICT x3 = x[3];
    T z0 = 0, z1 = 0, z2 = 0, z3 = 0;
    for (int64_t j = 0; j < features; ++j) {
        z0 += (x0[j] - center[j]) * slope[j];
        z1 += (x1[j] - center[j]) * slope[j];
        z2 += (x2[j] - center[j]) * slope[j];
        z3 += (x3[j] - center[j]) * slope[j];
    }
    z[0] = z0, z[1] = z1, z[2] = z2, z[3] = z3;
}

template <class T>
SGDOPT_INLINE void add_samples(const T *const *x, const T *SGDOPT_RESTRICT center, const double *derivatives,
                               int64_t features, T *SGDOPT_RESTRICT sum) {
    const T *SGDOPT_RESTRICT x0 = x[0], *SGDOPT_RESTRICT x1 = x[1], *SGDOPT_RESTRICT x2 = x[2],
            *SGDOPT_RESTRICT x3 = x[3];
    const T g0 = (T)derivatives[0], g1 = (T)derivatives[1], g2 = (T)derivatives[2], g3 = (T)derivatives[3];
#pragma omp simd
    for (int64_t j = 0; j < features; ++j) {
        const T c = center[j];
        sum[j] += (g0 * (x0[j] - c) + g1 * (x1[j] - c)) + (g2 * (x2[j] - c) + g3 * (x3[j] - c));
    }
}

// Slopes and center in the type of X. In double they stand where the caller has them. A center is not known to float:
// `rest` is what its rounding leaves, so that x - center is (x - rounded) - rest; intercepts make up for it.
template <class T>
struct View {
    const T *center, *slope;
    const double *intercepts, *rest;
    int64_t slope_stride, intercept_stride;
};

inline View<double> make_view(const Dense<double> &s, const double *center, const double *parameters, double *) {
    return {center, parameters, parameters + s.features, 0, s.features + 1, s.features + 1};
}

inline View<float> make_view(const Dense<float> &s, const double *center, const double *parameters,
                             double *scratch) {
    const int64_t d = s.features, outputs = s.samples.outputs;
    double *rest = scratch, *intercepts = rest + d;
    float *narrow = (float *)(intercepts + outputs), *slope = narrow + d;
    for (int64_t j = 0; j < d; ++j) {
        narrow[j] = (float)center[j];
        rest[j] = center[j] - (double)narrow[j];
    }
    for (int64_t o = 0; o < outputs; ++o) {
        const double *from = parameters + o * (d + 1);
        double shift = 0.0;
        for (int64_t j = 0; j < d; ++j) {
            slope[o * d + j] = (float)from[j];
            shift += rest[j] * from[j];
        }
        intercepts[o] = from[d] - shift;
    }
    return {narrow, slope, intercepts, rest, d, 1};
}

// Add the gradients of the samples at positions start to stop to `gradient`, their losses to `sums` (outputs,), which
// are zero before.
// `room` takes (outputs, features) of T.
template <class T>
SGDOPT_NOINLINE void accumulate(const Dense<T> &s, const View<T> &view, const Objective &objective,
                                const Order &order, int64_t start, int64_t stop, double *gradient, Sums *sums,
                                double *room) {
    const int64_t d = s.features, outputs = s.samples.outputs;
    T *sum = (T *)room;
    // Weights may be of any size, and float has a range of its own.
    const double unit = sizeof(T) == sizeof(float) ? s.samples.mean_weight : 1.0;
    int64_t position = start;
    while (position < stop) {
        const int64_t end = smaller(stop, position + FLUSH);
        memset(sum, 0, sizeof(T) * (size_t)(outputs * d));
        for (; position + 4 <= end; position += 4) {
            s.prefetch(order, position, 4);
            int64_t rows[4];
            const T *x[4];
            for (int r = 0; r < 4; ++r) rows[r] = row_at(order, position + r), x[r] = s.row(rows[r]);
            for (int64_t o = 0; o < outputs; ++o) {
                double z[4], derivatives[4];
                products(x, view.center, view.slope + o * view.slope_stride, d, z);
                for (int r = 0; r < 4; ++r) z[r] += view.intercepts[o * view.intercept_stride];
                take_losses(s.samples, objective, o, 4, rows, z, derivatives, sums + o);
                if (unit != 1.0)
                    for (int r = 0; r < 4; ++r) derivatives[r] /= unit;
                add_samples(x, view.center, derivatives, d, sum + o * d);
            }
        }
        for (; position < end; ++position) {
            s.prefetch(order, position, 1);
            const int64_t i = row_at(order, position);
            const T *SGDOPT_RESTRICT x = s.row(i);
            for (int64_t o = 0; o < outputs; ++o) {
                double derivative;
                const double z = product(x, view.center, view.slope + o * view.slope_stride, d) +
                                 view.intercepts[o * view.intercept_stride];
                take_losses(s.samples, objective, o, 1, &i, &z, &derivative, sums + o);
                T *SGDOPT_RESTRICT to = sum + o * d;
                const T g = (T)(derivative / unit);
#pragma omp simd
                for (int64_t j = 0; j < d; ++j) to[j] += g * (x[j] - view.center[j]);
            }
        }
        for (int64_t o = 0; o < outputs; ++o)
#pragma omp simd
            for (int64_t j = 0; j < d; ++j) gradient[o * (d + 1) + j] += unit * sum[o * d + j];
    }
    if (!view.rest) return;
    for (int64_t o = 0; o < outputs; ++o)
        for (int64_t j = 0; j < d; ++j) gradient[o * (d + 1) + j] -= view.rest[j] * sums[o].derivative;
}

// Prediction of sample i for one output.
template <class T>
SGDOPT_INLINE double predict_one(const Dense<T> &s, const View<T> &view, int64_t i, int64_t o) {
    return product(s.row(i), view.center, view.slope + o * view.slope_stride, s.features) +
           view.intercepts[o * view.intercept_stride];
}

}  // namespace
