"""Raw data in the units they come in, and what is expected of fits to them."""

import numpy as np
from cases import SOLVERS

# "gd" knows no batches.
SETTINGS = [("gd", 32), *((solver, size) for solver in SOLVERS[1:] for size in (1, 32, 256))]


def least_squares(X, y):
    """Return the least-squares prediction function, solved in standardised columns.

    LinearRegression works on raw columns and cuts off those of small scale.
    """
    mean, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    slopes = np.linalg.lstsq((X - mean) / spread, y - y.mean(axis=0), rcond=None)[0]
    return lambda rows: (rows - mean) / spread @ slopes + y.mean(axis=0)


def rmse(predicted, y):
    return np.sqrt(np.mean((predicted - y) ** 2, axis=0))


def houses(rows=2000):
    """Years, areas, incomes, shares and a rare flag; the noise grows with the area."""
    rng = np.random.default_rng(0)
    area = rng.lognormal(4.6, 0.4, rows)
    year = rng.integers(1900, 2020, rows)
    rooms = np.maximum(1, np.round(area / 30 + rng.normal(size=rows)))
    income, share, flag = rng.gamma(3, 15_000, rows), rng.beta(2, 20, rows), rng.random(rows) < 0.05
    lot = rng.lognormal(6.5, 0.8, rows)
    X = np.column_stack([year, area, lot, rooms, income, share, flag])
    noise = rng.normal(0, 5e4, rows) * (1 + area / 100)
    return X, 800.0 * (year - 1900) + 2000 * area + 15 * lot + 1e4 * rooms + 2 * income - 3e5 * share + noise


def weather(rows=3000):
    """Kelvin, pascal and a trace in parts: means up to 170 times the spread."""
    rng = np.random.default_rng(0)
    kelvin, pascal, humidity = (
        rng.normal(288, 9, rows),
        rng.normal(101_325, 600, rows),
        rng.uniform(25, 100, rows),
    )
    vacuum = 45 + 1.3 * (kelvin - 288) + rng.normal(0, 5, rows)
    X = np.column_stack([kelvin, vacuum, pascal, humidity, 1e-6 * rng.normal(400, 20, rows)])
    y = 454 - 1.9 * (kelvin - 288) - 0.25 * (vacuum - 45) + 4e-4 * (pascal - 101_325) - 0.15 * (humidity - 70)
    return X, y + rng.normal(0, 4.5, rows)


def buildings():
    """A design in its order: shapes, each of which is turned and glazed; surface is walls and two roofs."""
    rng = np.random.default_rng(0)
    surface, high = np.linspace(510.0, 810.0, 12), np.arange(12) < 6
    walls = 294.0 + 24.5 * np.array([0, 1, 0, 1, 2, 5, -2, -1, 0, 1, 2, 3])
    shapes = np.column_stack(
        [500.0 / surface, surface, walls, (surface - walls) / 2, np.where(high, 7.0, 3.5)]
    )
    glass, turn, shape = (a.ravel() for a in np.meshgrid(range(16), range(4), range(12), indexing="ij"))
    X = np.column_stack([shapes[shape], turn, 0.1 * ((glass + 4) // 5), glass % 5])
    y = 4.0 * X[:, 4] + 0.06 * X[:, 2] - 40.0 * X[:, 0] + 20.0 * X[:, 6] + 0.2 * X[:, 7]
    return X, y + rng.normal(0.0, 3.0, len(y))


def chunks(rows, size=256):
    return [slice(start, start + size) for start in range(0, rows, size)]


def stream(model, X, y, parts, passes=1):
    for _ in range(passes):
        for part in parts:
            model.partial_fit(X[part], y[part])
    return model
