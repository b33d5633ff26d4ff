// Compiled for the lowest instruction set: it must run everywhere, for it decides what else may run.
#include "dispatch.h"

#if defined(__x86_64__) || (defined(_M_X64) && !defined(_M_ARM64EC))
#define SGDOPT_X86_64
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace {

struct Level {
    const char *name;
    const Table *(*table)(void);
    bool (*runs)(void);
};

bool always(void) { return true; }

#ifdef SGDOPT_X86_64

// The processor is asked by hand, since __builtin_cpu_supports is missing in MSVC and does not link with zig.
struct Registers {
    unsigned a, b, c, d;
};

Registers cpuid(unsigned leaf) {
    Registers r = {0, 0, 0, 0};
#ifdef _MSC_VER
    int highest[4], values[4];
    __cpuid(highest, static_cast<int>(leaf & 0x80000000u));
    if (static_cast<unsigned>(highest[0]) >= leaf) {
        __cpuidex(values, static_cast<int>(leaf), 0);
        r = {static_cast<unsigned>(values[0]), static_cast<unsigned>(values[1]), static_cast<unsigned>(values[2]),
             static_cast<unsigned>(values[3])};
    }
#else
    __get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);
#endif
    return r;
}

// The registers that the operating system saves when it switches threads.
unsigned saved_registers(void) {
    if (!(cpuid(1).c >> 27 & 1)) return 0;
#ifdef _MSC_VER
    return static_cast<unsigned>(_xgetbv(0));
#else
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

constexpr unsigned bits(const int *which, int count) {
    unsigned all = 0;
    for (int i = 0; i < count; ++i) all |= 1u << which[i];
    return all;
}

bool has(unsigned value, unsigned wanted) { return (value & wanted) == wanted; }

bool runs_v3(void) {
    constexpr int one[] = {12, 22, 28, 29};  // FMA, MOVBE, AVX, F16C
    constexpr int seven[] = {3, 5, 8};       // BMI1, AVX2, BMI2
    return has(saved_registers(), 0x6) && has(cpuid(1).c, bits(one, 4)) && has(cpuid(7).b, bits(seven, 3)) &&
           has(cpuid(0x80000001u).c, 1u << 5);  // LZCNT
}

bool runs_v4(void) {
    constexpr int seven[] = {16, 17, 28, 30, 31};  // AVX-512 F, DQ, CD, BW, VL
    return runs_v3() && has(saved_registers(), 0xe6) && has(cpuid(7).b, bits(seven, 5));
}

#endif

}  // namespace

extern "C" {

#ifdef SGDOPT_X86_64
const Table *sgdopt_table_x86_64(void);
const Table *sgdopt_table_x86_64_v3(void);
const Table *sgdopt_table_x86_64_v4(void);
#else
const Table *sgdopt_table_baseline(void);
#endif
}

namespace {

// Best first.
const Level all_levels[] = {
#ifdef SGDOPT_X86_64
    {"x86-64-v4", sgdopt_table_x86_64_v4, runs_v4},
    {"x86-64-v3", sgdopt_table_x86_64_v3, runs_v3},
    {"x86-64", sgdopt_table_x86_64, always},
#else
    {"baseline", sgdopt_table_baseline, always},
#endif
};

}  // namespace

int sgdopt_levels(const char **names, int most) {
    int count = 0;
    for (const Level &level : all_levels)
        if (level.runs()) {
            if (count < most) names[count] = level.name;
            ++count;
        }
    return count;
}

const Table *sgdopt_table(int index) {
    for (const Level &level : all_levels)
        if (level.runs() && index-- == 0) return level.table();
    return nullptr;
}
