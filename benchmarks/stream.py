"""A stream of a million chunks of 8 samples: time per call at its start and at its end, and growth of memory.

``python benchmarks/stream.py [--chunks 1000000] [--solver adam]``
"""

import argparse
import resource
import statistics
import time

import numpy as np

from sklearn_sgdopt import GradientDescentRegressor

SAMPLES, FEATURES, LOOK = 8, 10, 1000


def resident() -> float:
    """Memory in use, in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--solver", default="adam")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(LOOK * SAMPLES, FEATURES)) * np.geomspace(0.1, 1e3, FEATURES) + 50.0
    y = X @ rng.normal(size=FEATURES) + rng.normal(size=len(X))
    chunks = [(X[i : i + SAMPLES], y[i : i + SAMPLES]) for i in range(0, len(X), SAMPLES)]
    model = GradientDescentRegressor(options.solver, random_state=0)
    times, memory = [], []
    for done in range(0, options.chunks, LOOK):
        start = time.process_time()  # other work on the machine does not count
        for part in chunks:
            model.partial_fit(*part)
        times.append((time.process_time() - start) / LOOK)
        memory.append(resident())
        if done % (options.chunks // 10) == 0:
            print(
                f"{done + LOOK:>9,} chunks: {1e6 * times[-1]:.0f} us a call, {memory[-1]:.0f} MiB", flush=True
            )
    tenth = max(1, len(times) // 10)
    first, last = statistics.median(times[1 : tenth + 1]), statistics.median(times[-tenth:])
    print(
        f"{options.solver}: time per call {1e6 * first:.1f} us at first, {1e6 * last:.1f} us at last, "
        f"{last / first:.3f} times"
    )
    print(
        f"Memory grew by {memory[-1] - memory[1]:.1f} MiB; R2 {model.score(X, y):.4f}; "
        f"{model.n_iter_:,} epochs"
    )


if __name__ == "__main__":
    main()
