// Which instruction sets of the kernels this processor runs.
#pragma once

struct Table;

extern "C" {

// The names of the instruction sets that run here, best first, at most so many; returns how many there are.
int sgdopt_levels(const char **names, int most);

// The kernels of one of them, counted as in sgdopt_levels; null beyond the last.
const Table *sgdopt_table(int index);
}
