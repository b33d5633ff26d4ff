// The order in which samples are visited.
#pragma once
#include "platform.h"
#include "table.h"

namespace {

const uint64_t GOLDEN = 0x9E3779B97F4A7C15u;

// 64 random bits of a state that grows by GOLDEN: SplitMix64 (Steele, Lea and Flood 2014).
inline uint64_t random_bits(uint64_t state) {
    uint64_t z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

template <class Index>
inline void swap_below(Index *array, uint64_t i, uint64_t bits) {
    const uint64_t j = (bits * (i + 1)) >> 32;
    const Index other = array[i];
    array[i] = array[j];
    array[j] = other;
}

// A uniform shuffle (Fisher and Yates), two swaps for each draw.
template <class Index>
void shuffle_array(Index *array, uint64_t size, uint64_t *random) {
    uint64_t state = *random;
    for (uint64_t i = size; i > 1; i -= i > 2 ? 2 : 1) {
        state += GOLDEN;
        const uint64_t bits = random_bits(state);
        swap_below(array, i - 1, bits >> 32);
        if (i > 2) swap_below(array, i - 2, bits & 0xFFFFFFFFu);
    }
    *random = state;
}

// A random permutation that keeps locality: blocks of neighbouring samples come in uniformly random order, and
// each window of at least 128 blocks is shuffled uniformly. A batch so draws from 128 or more random places,
// while memory is read a few neighbours at a time. It depends on the number of samples and features only.
template <class Index>
void shuffle_indices(const Order &order) {
    Index *indices = (Index *)order.indices, *blocks = (Index *)order.blocks;
    const int64_t count = (order.total + order.block_rows - 1) / order.block_rows;
    for (int64_t i = 0; i < count; ++i) blocks[i] = (Index)i;
    shuffle_array(blocks, (uint64_t)count, order.random);
    int64_t end = 0, window = 0;
    for (int64_t position = 0; position < count; ++position) {
        const int64_t first = (int64_t)blocks[position] * order.block_rows;
        const int64_t size = smaller(order.block_rows, order.total - first);
        for (int64_t i = 0; i < size; ++i) indices[end + i] = (Index)(first + i);
        end += size;
        const int64_t left = order.total - end;
        if (left == 0 || (end - window >= order.window_rows && left >= order.window_rows)) {
            shuffle_array(indices + window, (uint64_t)(end - window), order.random);
            window = end;
        }
    }
}

void shuffle(const Order *order) {
    if (order->wide)
        shuffle_indices<int64_t>(*order);
    else
        shuffle_indices<uint32_t>(*order);
}

inline int64_t row_at(const Order &order, int64_t position) {
    if (!order.indices) return position;
    return order.wide ? ((const int64_t *)order.indices)[position] : ((const uint32_t *)order.indices)[position];
}

// A sample of the r-th stride, at a place that looks random but is always the same: hours, days and months recur
// at fixed steps. The last stride may be short.
inline int64_t sampled_row(int64_t r, int64_t stride, int64_t total) {
    if (stride == 1) return r;
    const uint64_t bits = random_bits((uint64_t)r * GOLDEN) >> 32;
    return smaller(r * stride + (int64_t)((bits * (uint64_t)stride) >> 32), total - 1);
}

void sampled_rows(int64_t total, int64_t stride, int64_t *rows) {
    for (int64_t r = 0; r * stride < total; ++r) rows[r] = sampled_row(r, stride, total);
}

}  // namespace
