// Columns, as files hold them, become rows in the places where training meets them.
#pragma once
#include "platform.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace {

// Eight rows of 64 numbers stay in the nearest cache, and eight rows fill whole cache lines.
const int64_t TILE_ROWS = 8, TILE_COLUMNS = 64;

// Copy past the caches: what is needed much later would only push other things out of them, and memory would be read
// before it is overwritten. That halves the time.
SGDOPT_INLINE void copy_past(const void *from, void *to, int64_t bytes) {
#if defined(__SSE2__) || defined(_M_X64)
    if (((uintptr_t)to & 15) == 0) {
        const __m128i *source = (const __m128i *)from;
        __m128i *target = (__m128i *)to;
        for (; bytes >= 16; bytes -= 16) _mm_stream_si128(target++, _mm_loadu_si128(source++));
        from = source, to = target;
    }
#endif
    memcpy(to, from, (size_t)bytes);
}

// Rows `first` to `first + height` of the columns, each `step` numbers after the one before.
template <class T>
SGDOPT_INLINE void rows_of(const T *const *SGDOPT_RESTRICT columns, int64_t width, int64_t first, int64_t height,
                           int64_t step, T *SGDOPT_RESTRICT out) {
    for (int64_t i = first; i < first + height; ++i, out += step)
        for (int64_t c = 0; c < width; ++c) out[c] = columns[c][i];
}

template <class T>
SGDOPT_NOINLINE void interleave_past(const T *const *columns, int64_t features, int64_t first, int64_t rows, T *out) {
    T tile[TILE_ROWS * TILE_COLUMNS];
    for (int64_t done = 0; done < rows; done += TILE_ROWS) {
        const int64_t height = smaller(TILE_ROWS, rows - done);
        T *to = out + done * features;
        if (features <= TILE_COLUMNS) {
            rows_of(columns, features, first + done, height, features, tile);
            copy_past(tile, to, height * features * (int64_t)sizeof(T));
            continue;
        }
        for (int64_t j = 0; j < features; j += TILE_COLUMNS) {
            const int64_t width = smaller(TILE_COLUMNS, features - j);
            rows_of(columns + j, width, first + done, height, TILE_COLUMNS, tile);
            for (int64_t r = 0; r < height; ++r)
                copy_past(tile + r * TILE_COLUMNS, to + r * features + j, width * (int64_t)sizeof(T));
        }
    }
}

template <class T>
SGDOPT_NOINLINE void interleave_near(const T *const *columns, int64_t features, int64_t first, int64_t rows, T *out) {
    for (int64_t done = 0; done < rows; done += TILE_ROWS)
        for (int64_t j = 0; j < features; j += TILE_COLUMNS)
            rows_of(columns + j, smaller(TILE_COLUMNS, features - j), first + done, smaller(TILE_ROWS, rows - done),
                    features, out + done * features + j);
}

// Samples from `start` on of columns, by runs: each run of neighbours goes to the rows of `out` (.., features) from
// its place on. With `past` they go past the caches.
template <class T>
void interleave(const void *const *columns, int64_t features, int64_t start, const int64_t *places, int64_t runs,
                int64_t run, int past, void *out) {
    const T *const *from = (const T *const *)columns;
    for (int64_t r = 0; r < runs; ++r) {
        T *to = (T *)out + places[r] * features;
        (past ? interleave_past<T> : interleave_near<T>)(from, features, start + r * run, run, to);
    }
#if defined(__SSE2__) || defined(_M_X64)
    if (past) _mm_sfence();  // before another thread reads them
#endif
}

}  // namespace
