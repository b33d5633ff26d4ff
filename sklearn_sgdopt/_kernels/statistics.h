// Moments of columns, and the curvature of single samples.
#pragma once
#include "csr.h"
#include "dense.h"

namespace {

const int64_t BLOCK = 8192;  // numbers of X in a block that is read twice: 64 KiB

// Weighted mean and population variance of each column. Blocks are small enough to be read twice from cache: their
// mean, then squares about it, then merged (Chan, Golub and LeVeque 1983). Means a million times the spread cost no
// digits, and a column that does not change has variance 0 exactly. `work` (2, features).
template <class T>
void column_moments(const Dense<T> &s, double *mean, double *variance, double *mass, double *work) {
    const int64_t d = s.features, total = s.samples.total;
    const double *weight = s.samples.weight;
    double *SGDOPT_RESTRICT block_mean = work, *SGDOPT_RESTRICT block_variance = work + d;
    *mass = 0.0;
    memset(mean, 0, sizeof(double) * (size_t)d);
    memset(variance, 0, sizeof(double) * (size_t)d);
    const int64_t step = larger(1, BLOCK / d);
    for (int64_t start = 0; start < total; start += step) {
        const int64_t stop = smaller(start + step, total);
        int64_t origin = start;  // a sample that counts: what only others have is then exactly constant
        while (weight && origin < stop - 1 && weight[origin] == 0.0) ++origin;
        const T *SGDOPT_RESTRICT zero = s.row(origin);
        double block_mass = 0.0;
        memset(work, 0, sizeof(double) * (size_t)(2 * d));
        for (int64_t i = start; i < stop; ++i) {
            const double w = weight ? weight[i] : 1.0;
            const T *SGDOPT_RESTRICT x = s.row(i);
            block_mass += w;
            for (int64_t j = 0; j < d; ++j) block_mean[j] += w * ((double)x[j] - (double)zero[j]);
        }
        if (block_mass == 0.0) continue;
        for (int64_t j = 0; j < d; ++j) block_mean[j] = (double)zero[j] + block_mean[j] / block_mass;
        for (int64_t i = start; i < stop; ++i) {
            const double w = weight ? weight[i] : 1.0;
            const T *SGDOPT_RESTRICT x = s.row(i);
            for (int64_t j = 0; j < d; ++j) {
                const double gap = (double)x[j] - block_mean[j];
                block_variance[j] += w * gap * gap;
            }
        }
        *mass += block_mass;
        const double share = block_mass / *mass;
        for (int64_t j = 0; j < d; ++j) {
            const double gap = block_mean[j] - mean[j];
            variance[j] += share * (block_variance[j] / block_mass - variance[j] + (1.0 - share) * gap * gap);
            mean[j] += share * gap;
        }
    }
}

template <class T, class I>
void column_moments(const Csr<T, I> &s, double *mean, double *variance, double *mass, double *work) {
    const int64_t d = s.features, total = s.samples.total;
    double *seen = work;  // weight of the values that stand there; all others are 0
    memset(mean, 0, sizeof(double) * (size_t)d);
    memset(variance, 0, sizeof(double) * (size_t)d);
    memset(seen, 0, sizeof(double) * (size_t)d);
    *mass = 0.0;
    for (int64_t i = 0; i < total; ++i) {
        const double w = s.samples.weight ? s.samples.weight[i] : 1.0;
        *mass += w;
        for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q) mean[s.indices[q]] += w * (double)s.data[q];
    }
    const double each = *mass > 0.0 ? 1.0 / *mass : 0.0;
    for (int64_t j = 0; j < d; ++j) mean[j] *= each;
    for (int64_t i = 0; i < total; ++i) {
        const double w = s.samples.weight ? s.samples.weight[i] : 1.0;
        for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q) {
            const int64_t j = s.indices[q];
            const double gap = (double)s.data[q] - mean[j];
            variance[j] += w * gap * gap;
            seen[j] += w;
        }
    }
    for (int64_t j = 0; j < d; ++j) {
        const double rest = *mass - seen[j];
        variance[j] = (variance[j] + (rest > 0.0 ? rest : 0.0) * mean[j] * mean[j]) * each;
    }
}

template <class T>
SGDOPT_INLINE double squared_size(const Dense<T> &s, const Coordinates &at, int64_t i) {
    const T *SGDOPT_RESTRICT x = s.row(i);
    double size = 0.0;
    for (int64_t j = 0; j < s.features; ++j) {
        const double z = ((double)x[j] - at.center[j]) * at.scale[j];
        size += z * z;
    }
    return size;
}

template <class T, class I>
SGDOPT_INLINE double squared_size(const Csr<T, I> &s, const Coordinates &at, int64_t i) {
    double size = 0.0;
    for (int64_t q = s.indptr[i]; q < s.indptr[i + 1]; ++q) {
        const double z = (double)s.data[q] * at.scale[s.indices[q]];
        size += z * z;
    }
    return size;
}

// The largest, and the mean, weight / mean weight * (|x~|^2 + intercept) of the samples in scaled coordinates.
template <class S>
void sample_sizes(const S &s, const Coordinates &at, double intercept, double *largest, double *mean) {
    *largest = *mean = 0.0;
    for (int64_t i = 0; i < s.samples.total; ++i) {
        const double weight = s.samples.weight ? s.samples.weight[i] / s.samples.mean_weight : 1.0;
        const double size = weight * (squared_size(s, at, i) + intercept);
        *largest = larger_number(*largest, size);
        *mean += size / (double)s.samples.total;
    }
}

}  // namespace
