"""
A file larger than memory
=========================

A model can be trained on samples that are never in memory together: read a chunk, call ``partial_fit``,
forget the chunk. The features stay as they are in the file; their means and covariances are estimated on the
way.

The file here is small, so that the page builds quickly. The code would be the same at any size.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor

# %%
# Write a file of 60,000 samples with 8 columns of very different sizes.

rng = np.random.default_rng(0)
sizes = np.logspace(-2, 4, 8)
names = [f"x{i}" for i in range(8)]


def make_samples(n):
    z = rng.normal(size=(n, 8))
    frame = pd.DataFrame((z + 3) * sizes, columns=names)
    frame["y"] = z @ np.arange(1.0, 9) + 50 + rng.normal(scale=3, size=n)
    return frame


folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "samples.csv"
make_samples(60_000).to_csv(path, index=False)
test = make_samples(5000)

# %%
# Read it in chunks of 500 samples. ``SGDRegressor`` also needs a scaler, which is trained on the way.

ours = GradientDescentRegressor(random_state=0)
scaler, peer = StandardScaler(), SGDRegressor(random_state=0)
seen, errors, peer_errors = [], [], []
for chunk in pd.read_csv(path, chunksize=500):
    X, y = chunk[names], chunk["y"]
    ours.partial_fit(X, y)
    peer.partial_fit(scaler.partial_fit(X).transform(X), y)
    seen.append(seen[-1] + len(chunk) if seen else len(chunk))
    errors.append(root_mean_squared_error(test["y"], ours.predict(test[names])))
    peer_errors.append(root_mean_squared_error(test["y"], peer.predict(scaler.transform(test[names]))))

everything = pd.read_csv(path)
exact = LinearRegression().fit(everything[names], everything["y"])
least = root_mean_squared_error(test["y"], exact.predict(test[names]))
folder.cleanup()

# %%

figure, ax = plt.subplots()
ax.plot(seen, peer_errors, color="#D55E00", lw=1.3, label="StandardScaler and SGDRegressor, partial_fit")
ax.plot(seen, errors, color="#0072B2", label="GradientDescentRegressor, partial_fit")
ax.axhline(least, color="#000000", ls="--", lw=1.3, label="least squares, all samples in memory")
ax.set(
    xscale="log",
    yscale="log",
    yticks=(yticks := [3, 4, 5, 7, 10, 14]),
    yticklabels=yticks,
    xlabel="samples read",
    ylabel="error on 5,000 other samples (RMSE, units of y)",
    title="One pass through the file, 500 samples at a time",
)
ax.minorticks_off()
ax.legend()
plt.show()
