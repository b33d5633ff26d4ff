"""
On a cluster: shards that are alike
===================================

On a Dask cluster the samples are divided among shards. In each round every shard makes an epoch from the
common parameters, and the states in which they end are averaged. That works where the shards are alike.
Samples that follow an order, such as that of time, come in partitions that are not: so partition i belongs
to shard i mod S.

This cluster is made of threads of this process, so that the page builds quickly. On a real one the results
are the same to the last bit: they depend on the number of shards alone.
"""

import warnings

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error

from sklearn_sgdopt.dask import DaskGradientDescentRegressor

# %%
# Samples in raw units, sorted by the first feature, in 64 partitions. The target is not quite linear in it,
# so that each part of the samples asks for other coefficients.

rng = np.random.default_rng(0)


def make_samples(n):
    z = rng.normal(size=(n, 8))
    y = z @ np.arange(1.0, 9) + z[:, 0] ** 2 + rng.normal(size=n)
    return (z + 3) * np.logspace(-2, 3, 8), y


X, y = make_samples(64_000)
order = np.argsort(X[:, 0])
partitions = [(X[part], y[part]) for part in np.split(order, 64)]
X_test, y_test = make_samples(20_000)
least = root_mean_squared_error(y_test, LinearRegression().fit(X, y).predict(X_test))

# %%
# Train in one shard, and in four. To see what would happen otherwise, the third fit is given the partitions
# in an order in which each of the four shards gets a quarter of the samples as they are sorted. The fit
# notices.

apart = [partitions[16 * shard + k] for k in range(16) for shard in range(4)]
fits = {
    "1 shard: as on one machine": (1, partitions),
    "4 shards, partition i to shard i mod 4": (4, partitions),
    "4 shards, a quarter of the order each": (4, apart),
}
curves = {}
with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    for name, (shards, parts) in fits.items():
        X_lazy, y_lazy = (da.concatenate([da.from_array(part[i]) for part in parts]) for i in (0, 1))
        model = DaskGradientDescentRegressor("adam", shards=shards, epochs=10, tol=None, random_state=0)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model.fit(X_lazy, y_lazy, X_val=X_test, y_val=y_test)
        curves[name] = np.sqrt(model.validation_curve_)
        print(f"{name}: {told[0].message if told else 'no warning'}")

# %%

figure, ax = plt.subplots()
for (name, errors), color in zip(curves.items(), ["#0072B2", "#009E73", "#D55E00"], strict=True):
    ax.plot(range(1, 11), np.maximum(100 * (errors / least - 1), 0.01), "o-", color=color, ms=4, label=name)
ax.set(
    yscale="log",
    xlabel="rounds",
    ylabel="error above least squares, % (0.01 at least)",
    title="Sorted samples in 64 partitions",
)
ax.legend()
plt.show()
