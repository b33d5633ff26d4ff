// Products with a symmetric matrix that stays in cache.
#pragma once
#include "platform.h"

namespace {

// out = A x, by four rows at a time: no sum waits for another.
SGDOPT_NOINLINE void symmetric_product(const double *SGDOPT_RESTRICT A, const double *SGDOPT_RESTRICT x,
                                       double *SGDOPT_RESTRICT out, int64_t size) {
    for (int64_t i = 0; i < size; ++i) out[i] = 0.0;
    int64_t j = 0;
    for (; j + 4 <= size; j += 4) {
        const double *SGDOPT_RESTRICT a0 = A + j * size, *SGDOPT_RESTRICT a1 = a0 + size,
                     *SGDOPT_RESTRICT a2 = a1 + size, *SGDOPT_RESTRICT a3 = a2 + size;
        const double x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
        for (int64_t i = 0; i < size; ++i) out[i] += (a0[i] * x0 + a1[i] * x1) + (a2[i] * x2 + a3[i] * x3);
    }
    for (; j < size; ++j) {
        const double *SGDOPT_RESTRICT a = A + j * size;
        for (int64_t i = 0; i < size; ++i) out[i] += a[i] * x[j];
    }
}

// out[r] = A x[r] for four vectors, each `size` apart: eight columns of A serve all four at once.
SGDOPT_NOINLINE void four_symmetric_products(const double *SGDOPT_RESTRICT A, const double *SGDOPT_RESTRICT x,
                                             double *SGDOPT_RESTRICT out, int64_t size) {
    int64_t i = 0;
    for (; i + 8 <= size; i += 8) {
        double sums[4][8] = {{0.0}};
        for (int64_t j = 0; j < size; ++j) {
            const double *SGDOPT_RESTRICT a = A + j * size + i;
            for (int r = 0; r < 4; ++r)
                for (int c = 0; c < 8; ++c) sums[r][c] += a[c] * x[r * size + j];
        }
        for (int r = 0; r < 4; ++r)
            for (int c = 0; c < 8; ++c) out[r * size + i + c] = sums[r][c];
    }
    for (; i < size; ++i) {
        double sums[4] = {0.0};
        for (int64_t j = 0; j < size; ++j)
            for (int r = 0; r < 4; ++r) sums[r] += A[j * size + i] * x[r * size + j];
        for (int r = 0; r < 4; ++r) out[r * size + i] = sums[r];
    }
}

}  // namespace
