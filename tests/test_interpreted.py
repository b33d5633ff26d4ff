"""Training without a compiler, without a cache folder, and with the cache of an earlier process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sklearn_sgdopt

PACKAGE = Path(sklearn_sgdopt.__file__).parent
RULES = [("gd", 32), ("sgd", 7), ("momentum", 1), ("adam", 32)]

# Prints the coefficients of a few models, dense and sparse, and what the process says of itself.
PROGRAM = """
import json, sys, warnings
import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
import sklearn_sgdopt
from sklearn_sgdopt import GradientDescentRegressor
loaded_early = "numba" in sys.modules
warnings.simplefilter("error")
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
y = X @ [1.0, 0.2, -3.0] + rng.normal(size=60)
weight = rng.uniform(0.5, 2.0, 60)
models = {}
for solver, batch_size in RULES:
    for name, options in {
        "default": {},
        "plain": {"standardize": False, "average": False, "learning_rate": 1e-5},
        "huber": {"loss": "huber", "penalty": "elasticnet", "alpha": 0.01, "schedule": "invscaling"},
    }.items():
        model = GradientDescentRegressor(
            solver, batch_size=batch_size, tol=None, epochs=4, random_state=0, **options
        ).fit(X, y, sample_weight=weight).partial_fit(X, y)
        models[f"{solver}-{name}"] = [*model.coef_.tolist(), float(model.intercept_), *model.loss_curve_]
        if not FAST:
            model = model.fit(sparse.csr_array(X), y)
            models[f"{solver}-{name}-sparse"] = [*model.coef_.tolist(), float(model.intercept_)]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    GradientDescentRegressor("sgd", learning_rate=10.0, standardize=False, epochs=20).fit(X, y)
diverged = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
import numba
from sklearn_sgdopt import _kernels
train = _kernels.train
print(json.dumps({
    "models": models,
    "diverged": any("diverged" in message for message in diverged),
    "loaded_early": loaded_early,
    "where": sklearn_sgdopt.__file__,
    "compiled": hasattr(train, "py_func"),
    "cache": type(getattr(train, "_cache", None)).__name__,
    "hits": sum(train.stats.cache_hits.values()) if hasattr(train, "stats") else 0,
    "misses": sum(train.stats.cache_misses.values()) if hasattr(train, "stats") else 0,
}))
"""


def run(folder, *, fast=False, **environment):
    """Run the program in a process of its own, with the package that lies in ``folder``."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    inherited["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    program = f"RULES, FAST = {RULES!r}, {fast}\n{PROGRAM}"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout.splitlines()[-1])
    assert Path(answer["where"]).parent.parent == Path(folder)
    assert not answer["loaded_early"], "importing the package must not import Numba"
    assert answer["diverged"]
    return answer


def assert_same_models(actual, expected):
    for name, values in actual["models"].items():
        # The compiler may reorder sums, nothing else.
        np.testing.assert_allclose(values, expected["models"][name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert len(actual["models"]) >= 3 * len(RULES)


@pytest.fixture(scope="module")
def compiled():
    """Return the answer of an ordinary process."""
    return run(PACKAGE.parent)


def test_interpreted_kernels_compute_the_same(compiled):
    interpreted = run(PACKAGE.parent, NUMBA_DISABLE_JIT="1")
    assert compiled["compiled"]
    assert not interpreted["compiled"]
    assert_same_models(interpreted, compiled)


def test_a_second_process_compiles_nothing(compiled):
    again = run(PACKAGE.parent)
    assert compiled["hits"] + compiled["misses"] > 0
    assert again["hits"] > 0
    assert again["misses"] == 0
    assert again["models"] == compiled["models"]


def test_training_survives_without_a_cache_folder(tmp_path, compiled):
    """Files stand where folders would have to be made: that stops root as well."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (site / PACKAGE.name / "__pycache__").write_text("")
    blocked = tmp_path / "file"
    blocked.write_text("")
    nowhere = str(blocked / "folder")
    answer = run(
        site,
        fast=True,
        HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        LOCALAPPDATA=nowhere,
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert answer["compiled"]
    assert answer["cache"] == "NullCache"
    assert answer["hits"] == 0
    assert_same_models(answer, compiled)
