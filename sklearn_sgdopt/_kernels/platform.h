// What compilers call differently. Everything in these headers stands in an anonymous namespace: kernels.cpp is
// compiled once for each instruction set, and no function may be shared between the results.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define SGDOPT_PREFETCH(address) __builtin_prefetch((address), 0, 2)
#define SGDOPT_RESTRICT __restrict__
#define SGDOPT_NOINLINE __attribute__((noinline))
#define SGDOPT_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#include <intrin.h>
#if defined(_M_X64)
#define SGDOPT_PREFETCH(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
#else
#define SGDOPT_PREFETCH(address) ((void)(address))
#endif
#define SGDOPT_RESTRICT __restrict
#define SGDOPT_NOINLINE __declspec(noinline)
#define SGDOPT_INLINE __forceinline
#else
#define SGDOPT_PREFETCH(address) ((void)(address))
#define SGDOPT_RESTRICT
#define SGDOPT_NOINLINE
#define SGDOPT_INLINE inline
#endif

namespace {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline double larger_number(double a, double b) { return a > b ? a : b; }

// Finite, also where the compiler may reassociate: it must not assume that there are no NaN or infinity.
inline bool is_finite(double x) { return x - x == 0.0; }

}  // namespace
