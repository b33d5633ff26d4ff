"""Larger than memory: CPU of five epochs against reading five times, and peak memory, for a Parquet file.

``python -m benchmarks.chunks [ROWS] [SOLVER ...]`` writes a file of ROWS (2 million unless told otherwise)
samples of 20 features, sorted by the first, and runs each task in a process of its own; then one on a file
twice as long.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt.chunks import ParquetChunks

FEATURES, GROUP, EPOCHS, TEST_ROWS = 20, 65_536, 5, 65_536
GOAL_CPU, GOAL_MEMORY, GOAL_TWICE, GOAL_ERROR = 1.8, 400, 1.15, 1.002
SOLVERS = ("gd", "sgd", "momentum", "adam")


def block(start: int, rows: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated samples in raw units, sorted by the first feature; the target is not quite linear."""
    generator = np.random.default_rng([0, start])
    X = generator.standard_normal((rows, FEATURES))
    X[:, 0] = 4.0 * (np.arange(start, start + rows) / total - 0.5)
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X @ np.linspace(1.0, 2.0, FEATURES) + 0.5 * X[:, 0] ** 2 + 2.0 * generator.standard_normal(rows)
    return X * np.logspace(-2, 4, FEATURES) + np.linspace(0.0, 1e3, FEATURES), y


def write(path: str, total: int) -> None:
    """Write the file, by row groups."""
    names = [f"x{j}" for j in range(FEATURES)] + ["y"]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names])) as writer:
        for start in range(0, total, GROUP):
            X, y = block(start, min(GROUP, total - start), total)
            writer.write_table(pa.table([*X.T, y], names=names))


def least_squares(path: str) -> np.ndarray:
    """Coefficients and intercept of least squares on the whole file, by moments."""
    products, total = np.zeros((FEATURES + 2,) * 2), 0
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        columns = np.column_stack([*file.read_row_group(group).to_pydict().values()])
        rows = np.insert(columns, FEATURES, 1.0, axis=1)
        products += rows.T @ rows
        total += len(rows)
    size = np.sqrt(products.diagonal())
    scaled = products / np.multiply.outer(size, size)
    found = np.linalg.solve(scaled[:-1, :-1], scaled[:-1, -1])
    return np.asarray(found * size[-1] / size[:-1])


def read(path: str) -> None:
    """Read the file once, group by group."""
    file = pq.ParquetFile(path, pre_buffer=False)
    for group in range(file.num_row_groups):
        file.read_row_group(group)


def mix(path: str) -> None:
    """Read the file once through `ParquetChunks`."""
    for _ in ParquetChunks(path, "y", random_state=0):
        pass


def fit(path: str, solver: str) -> GradientDescentRegressor:
    """Train for five epochs, and one pass more for statistics."""
    model = GradientDescentRegressor(solver, epochs=EPOCHS, tol=None, random_state=0)
    return model.fit_chunks(ParquetChunks(path, "y", random_state=0))


def peak() -> float:
    """Most memory of this process up to now, in MiB; `ru_maxrss` counts that of its parent too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def task(name: str, path: str) -> None:
    """Run one task and print what it took."""
    total = pq.read_metadata(path).num_rows
    before, start = peak(), time.process_time()
    model = None
    with threadpool_limits(1):
        if name in {"read", "mix"}:
            run: Callable[[str], None] = {"read": read, "mix": mix}[name]
            for _ in range(EPOCHS):
                run(path)
        else:
            model = fit(path, name)
    result = {"cpu": time.process_time() - start, "memory": peak() - before}
    if model is not None:
        rng = np.random.default_rng(1)
        starts = rng.integers(0, total - 64, TEST_ROWS // 64)
        parts = [block(int(s), 64, total) for s in starts]
        X, y = (np.concatenate(p) for p in zip(*parts, strict=True))
        best = np.array(json.loads(Path(path + ".json").read_text()))
        errors = [np.mean((y - p) ** 2) ** 0.5 for p in (model.predict(X), X @ best[:-1] + best[-1])]
        result["error"] = errors[0] / errors[1]
    print(json.dumps(result))


def measured(name: str, path: str) -> dict[str, float]:
    """Run a task in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.chunks", "--task", name, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def make(folder: str, total: int) -> str:
    """Write a file and its least squares; return its path."""
    path = str(Path(folder) / f"{total}.parquet")
    write(path, total)
    Path(path + ".json").write_text(json.dumps(least_squares(path).tolist()))
    size = Path(path).stat().st_size / 2**20
    print(f"{total:,} x {FEATURES}, {size:.0f} MiB, sorted; {EPOCHS} epochs, BLAS on one core")
    return path


def judged(value: float, goal: float) -> str:
    """Return a value beside its goal."""
    return f"{value:.5g} (<= {goal:g}{'' if value <= goal else ', MISSED'})"


def main(total: int, solvers: tuple[str, ...]) -> None:
    """Print one line a task, beside the goals."""
    with tempfile.TemporaryDirectory() as folder:
        path = make(folder, total)
        base = measured("read", path)["cpu"]
        print(f"read      CPU {base:.2f} s", flush=True)
        for name in ("mix", *solvers):
            found = measured(name, path)
            ratio = found["cpu"] / base
            line = f"{name:9} CPU {found['cpu']:.2f} s, / reading "
            line += f"{ratio:.5g}" if name == "mix" else judged(ratio, GOAL_CPU)
            line += f", memory {judged(found['memory'], GOAL_MEMORY)} MiB"
            if "error" in found:
                line += f", test RMSE / least squares {judged(found['error'], GOAL_ERROR)}"
            print(line, flush=True)
        Path(path).unlink()
        twice = measured(solvers[-1], make(folder, 2 * total))
        ratio = twice["memory"] / found["memory"]
        print(f"{solvers[-1]:9} memory / that of half the file {judged(ratio, GOAL_TWICE)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        task(*sys.argv[2:4])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 2_000_000, tuple(sys.argv[2:]) or SOLVERS)
