// Means and covariances of the columns of X and y, by blocks that stay in cache.
#pragma once
#include "dense.h"

namespace {

const int64_t MOMENTS_BLOCK = 1 << 13;  // numbers of a block
const int64_t MOMENTS_ROWS = 8;         // samples whose products are added at a time
const int64_t LANES = 8;                // rows of products are multiples of it: all columns are summed the same way
const int64_t SIZES_ROWS = 64;          // samples that are turned at a time

// A sample with its targets, about `origin`.
template <class T>
SGDOPT_INLINE void columns_about(const Dense<T> &s, int64_t i, const double *SGDOPT_RESTRICT origin,
                                 double *SGDOPT_RESTRICT out) {
    const int64_t d = s.features, outputs = s.samples.outputs;
    const T *SGDOPT_RESTRICT x = s.row(i);
    const double *SGDOPT_RESTRICT y = s.samples.y + i * outputs;
    for (int64_t j = 0; j < d; ++j) out[j] = (double)x[j] - origin[j];
    for (int64_t o = 0; o < outputs; ++o) out[d + o] = y[o] - origin[d + o];
}

// Add the weighted products of MOMENTS_ROWS rows of `step` numbers with each other to the lower triangle.
SGDOPT_NOINLINE void add_products(const double *SGDOPT_RESTRICT rows, const double *SGDOPT_RESTRICT weights, int64_t c,
                                  int64_t step, double *SGDOPT_RESTRICT second) {
    const double *r0 = rows, *r1 = r0 + step, *r2 = r1 + step, *r3 = r2 + step, *r4 = r3 + step, *r5 = r4 + step,
                 *r6 = r5 + step, *r7 = r6 + step;
    for (int64_t j = 0; j < c; ++j) {
        const double a0 = weights[0] * r0[j], a1 = weights[1] * r1[j], a2 = weights[2] * r2[j],
                     a3 = weights[3] * r3[j], a4 = weights[4] * r4[j], a5 = weights[5] * r5[j],
                     a6 = weights[6] * r6[j], a7 = weights[7] * r7[j];
        double *SGDOPT_RESTRICT to = second + j * step;
        const int64_t stop = (j / LANES + 1) * LANES;
        for (int64_t l = 0; l < stop; ++l)
            to[l] += ((a0 * r0[l] + a1 * r1[l]) + (a2 * r2[l] + a3 * r3[l])) +
                     ((a4 * r4[l] + a5 * r5[l]) + (a6 * r6[l] + a7 * r7[l]));
    }
}

// The weighted mean (c,) of the columns of X and y, their covariance (c, c) about it and the weight of all. Blocks are
// taken about a sample that counts, and merged (Chan, Golub and LeVeque 1983): means a million times the spread cost
// no digits, and what does not change has variance 0 exactly. `work` holds (c + 2 + MOMENTS_ROWS) (c + LANES) numbers.
template <class T>
void second_moments(const Dense<T> &s, double *mean, double *second, double *mass, double *work) {
    const int64_t total = s.samples.total, c = s.features + s.samples.outputs;
    const double *weight = s.samples.weight;
    const int64_t wide = (c + LANES - 1) / LANES * LANES;
    double *block = work, *center = work + c * wide, *gap = center + c, *rows = gap + c;
    double weights[MOMENTS_ROWS];
    *mass = 0.0;
    memset(mean, 0, sizeof(double) * (size_t)c);
    memset(second, 0, sizeof(double) * (size_t)(c * c));
    memset(rows, 0, sizeof(double) * (size_t)(MOMENTS_ROWS * wide));
    const int64_t step = larger(1, MOMENTS_BLOCK / c);
    for (int64_t start = 0; start < total; start += step) {
        const int64_t stop = smaller(start + step, total);
        int64_t origin = start;
        while (weight && origin < stop - 1 && weight[origin] == 0.0) ++origin;
        memset(gap, 0, sizeof(double) * (size_t)c);
        columns_about(s, origin, gap, center);
        double block_mass = 0.0;
        for (int64_t i = start; i < stop; ++i) {
            const double w = weight ? weight[i] : 1.0;
            columns_about(s, i, center, rows);
            block_mass += w;
            for (int64_t j = 0; j < c; ++j) gap[j] += w * rows[j];
        }
        if (block_mass == 0.0) continue;
        for (int64_t j = 0; j < c; ++j) center[j] += gap[j] / block_mass;
        memset(block, 0, sizeof(double) * (size_t)(c * wide));
        for (int64_t i = start; i < stop; i += MOMENTS_ROWS) {
            for (int64_t r = 0; r < MOMENTS_ROWS; ++r) {
                const int is_there = i + r < stop;
                weights[r] = !is_there ? 0.0 : weight ? weight[i + r] : 1.0;
                columns_about(s, is_there ? i + r : i, center, rows + r * wide);
            }
            add_products(rows, weights, c, wide, block);
        }
        *mass += block_mass;
        const double share = block_mass / *mass;
        for (int64_t j = 0; j < c; ++j) gap[j] = center[j] - mean[j];
        for (int64_t j = 0; j < c; ++j)
            for (int64_t l = 0; l <= j; ++l)
                second[j * c + l] += share * (block[j * wide + l] / block_mass - second[j * c + l] +
                                              (1.0 - share) * gap[j] * gap[l]);
        for (int64_t j = 0; j < c; ++j) mean[j] += share * gap[j];
    }
    for (int64_t j = 0; j < c; ++j)
        for (int64_t l = 0; l < j; ++l) second[l * c + j] = second[j * c + l];
}

// Add the products of four rows of `from` with four factors to `to`.
SGDOPT_INLINE void add_rows(const double *SGDOPT_RESTRICT from, int64_t step, const double *factors, int64_t count,
                            double *SGDOPT_RESTRICT to) {
    const double *r1 = from + step, *r2 = r1 + step, *r3 = r2 + step;
    const double a0 = factors[0], a1 = factors[1], a2 = factors[2], a3 = factors[3];
    for (int64_t r = 0; r < count; ++r) to[r] += (a0 * from[r] + a1 * r1[r]) + (a2 * r2[r] + a3 * r3[r]);
}

// weight / mean weight * (|x~|^2 + intercept) of each sample in white coordinates, SIZES_ROWS samples at a time.
// `work` holds SIZES_ROWS (features + 2) numbers.
template <class T>
void white_sizes(const Dense<T> &s, const Coordinates &at, double intercept, double *sizes, double *work) {
    const int64_t d = s.features, total = s.samples.total;
    double *SGDOPT_RESTRICT sum = work, *SGDOPT_RESTRICT z = work + SIZES_ROWS;
    for (int64_t start = 0; start < total; start += SIZES_ROWS) {
        const int64_t count = smaller(SIZES_ROWS, total - start);
        double *SGDOPT_RESTRICT squares = sizes + start;
        for (int64_t r = 0; r < count; ++r) {
            const T *SGDOPT_RESTRICT x = s.row(start + r);
            for (int64_t j = 0; j < d; ++j) z[j * SIZES_ROWS + r] = ((double)x[j] - at.center[j]) * at.scale[j];
            squares[r] = intercept;
        }
        for (int64_t i = 0; i < d; ++i) {
            const double *row = at.whitening + i * d;
            int64_t j = 0;
            memset(sum, 0, sizeof(double) * (size_t)count);
            for (; j + 4 <= d; j += 4) add_rows(z + j * SIZES_ROWS, SIZES_ROWS, row + j, count, sum);
            for (; j < d; ++j)
                for (int64_t r = 0; r < count; ++r) sum[r] += row[j] * z[j * SIZES_ROWS + r];
            for (int64_t r = 0; r < count; ++r) squares[r] += sum[r] * sum[r];
        }
        if (!s.samples.weight) continue;
        for (int64_t r = 0; r < count; ++r) squares[r] *= s.samples.weight[start + r] / s.samples.mean_weight;
    }
}

}  // namespace
