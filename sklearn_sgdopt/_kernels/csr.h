// Samples in CSR form: never centred, so that a sample costs no more than its values.
#pragma once
#include "losses.h"
#include "order.h"

namespace {

template <class T, class I>
struct Csr {
    typedef T Value;
    const Samples &samples;
    const T *data;
    const I *indices, *indptr;
    int64_t features;

    explicit Csr(const Samples &s)
        : samples(s), data((const T *)s.data), indices((const I *)s.indices), indptr((const I *)s.indptr),
          features(s.features) {}

    SGDOPT_INLINE void prefetch(const Order &order, int64_t position, int) const {
        if (position + 17 > samples.total) return;
        const int64_t i = row_at(order, position + 16), first = indptr[i], last = indptr[i + 1];
        SGDOPT_PREFETCH(samples.y + i * samples.outputs);
        for (const char *line = (const char *)(data + first); line < (const char *)(data + last); line += 64)
            SGDOPT_PREFETCH(line);
        for (const char *line = (const char *)(indices + first); line < (const char *)(indices + last); line += 64)
            SGDOPT_PREFETCH(line);
    }

    SGDOPT_INLINE double product(int64_t i, const double *SGDOPT_RESTRICT slope) const {
        double z = 0.0;
        for (int64_t q = indptr[i]; q < indptr[i + 1]; ++q) z += (double)data[q] * slope[indices[q]];
        return z;
    }
};

// Slopes as the caller has them: values are few, and sums are in double.
struct SparseView {
    const double *parameters;
};

template <class T, class I>
inline SparseView make_view(const Csr<T, I> &, const double *, const double *parameters, double *) {
    return {parameters};
}

template <class T, class I>
SGDOPT_NOINLINE void accumulate(const Csr<T, I> &s, const SparseView &view, const Objective &objective,
                                const Order &order, int64_t start, int64_t stop, double *gradient, Sums *sums,
                                double *) {
    const int64_t d = s.features;
    for (int64_t position = start; position < stop; ++position) {
        s.prefetch(order, position, 1);
        const int64_t i = row_at(order, position);
        for (int64_t o = 0; o < s.samples.outputs; ++o) {
            const double *slope = view.parameters + o * (d + 1);
            double derivative;
            const double z = s.product(i, slope) + slope[d];
            take_losses(s.samples, objective, o, 1, &i, &z, &derivative, sums + o);
            double *to = gradient + o * (d + 1);
            for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q) to[s.indices[q]] += derivative * s.data[q];
        }
    }
}

template <class T, class I>
SGDOPT_INLINE double predict_one(const Csr<T, I> &s, const SparseView &view, int64_t i, int64_t o) {
    const double *slope = view.parameters + o * (s.features + 1);
    return s.product(i, slope) + slope[s.features];
}

}  // namespace
