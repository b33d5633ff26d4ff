"""The compiled kernels: C++ behind a thin Cython binder."""

import os
import sys

# Python started in a checkout finds this folder first; the extension module stands in the installed one.
__path__ += [os.path.join(folder, *__name__.split(".")) for folder in sys.path]

from sklearn_sgdopt._kernels.bindings import (
    SCHEDULES,
    Coordinates,
    GradientEngine,
    MomentsEngine,
    Objective,
    Plan,
    Rule,
    SampleEngine,
    Samples,
    column_moments,
    interleave,
    level,
    levels,
    mean_losses,
    sample_sizes,
    sampled_rows,
    second_moments,
    set_level,
    shuffled,
    update_vector,
    white_sizes,
    whole_gradient,
    whole_sums,
)

__all__ = [
    "SCHEDULES",
    "Coordinates",
    "GradientEngine",
    "MomentsEngine",
    "Objective",
    "Plan",
    "Rule",
    "SampleEngine",
    "Samples",
    "column_moments",
    "interleave",
    "level",
    "levels",
    "mean_losses",
    "sample_sizes",
    "sampled_rows",
    "second_moments",
    "set_level",
    "shuffled",
    "update_vector",
    "white_sizes",
    "whole_gradient",
    "whole_sums",
]
