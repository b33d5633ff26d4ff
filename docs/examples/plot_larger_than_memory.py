"""
A sorted file, read in mixed chunks
===================================

``fit_chunks`` makes several epochs over a Parquet file that need not fit into memory. Files are often sorted,
by time or by customer, and descent by small batches wants batches that look alike. ``ParquetChunks``
therefore reads the row groups in a random order and mixes some of them.

The file here is small, so that the page builds quickly. The code would be the same at any size.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt.chunks import ParquetChunks

# %%
# Write a file of 40 row groups, sorted by the first column. The target is not quite linear in it, so that
# each part of the file asks for other coefficients.

rng = np.random.default_rng(0)
names = [f"x{i}" for i in range(8)]


def make_samples(n):
    z = rng.normal(size=(n, 8))
    frame = pd.DataFrame((z + 3) * np.logspace(-2, 3, 8), columns=names)
    frame["y"] = z @ np.arange(1.0, 9) + z[:, 0] ** 2 + rng.normal(size=n)
    return frame


samples, test = make_samples(80_000), make_samples(20_000)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "samples.parquet"
samples.sort_values("x0").to_parquet(path, row_group_size=2000, index=False)

# %%
# Train on the file as it is sorted, and on chunks of 1, 4 and 16 row groups mixed at a time. The first pass
# takes the statistics; each epoch is another one. The held-out samples are evaluated after each.

ways = {"as it is sorted": {"shuffle": False}} | {f"mix={mix}": {"mix": mix} for mix in (1, 4, 16)}
curves = {}
for name, way in ways.items():
    chunks = ParquetChunks(path, "y", chunk_rows=1000, random_state=0, **way)
    model = GradientDescentRegressor("adam", epochs=10, tol=None, random_state=0)
    model.fit_chunks(chunks, X_val=test[names], y_val=test["y"])
    curves[name] = np.sqrt(model.validation_curve_)
folder.cleanup()

exact = LinearRegression().fit(samples[names], samples["y"])
least = root_mean_squared_error(test["y"], exact.predict(test[names]))

# %%

figure, ax = plt.subplots()
for (name, errors), color in zip(curves.items(), ["#D55E00", "#E69F00", "#56B4E9", "#0072B2"], strict=True):
    ax.plot(range(1, 11), np.maximum(100 * (errors / least - 1), 0.01), "o-", color=color, ms=4, label=name)
ax.set(
    yscale="log",
    xlabel="epochs",
    ylabel="error above least squares, % (0.01 at least)",
    title="What counts is how many row groups are mixed",
)
ax.legend()
plt.show()
