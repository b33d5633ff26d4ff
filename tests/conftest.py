"""Settings that all tests share."""

import os

# SciPy reads it when it is first imported; without it scikit-learn skips its array API check.
os.environ["SCIPY_ARRAY_API"] = "1"

import hypothesis
import numpy as np
import pytest

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}

# The same examples in every run: a failure is never a matter of luck.
hypothesis.settings.register_profile(
    "fixed",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=10,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fixed")


def pytest_configure(config):
    config.addinivalue_line("markers", "compiled: more arithmetic than interpreted kernels can do in a test")


def pytest_collection_modifyitems(items):
    if INTERPRETED:
        for item in items:
            if item.get_closest_marker("compiled"):
                item.add_marker(pytest.mark.skip(reason="too slow with NUMBA_DISABLE_JIT=1"))


@pytest.fixture(autouse=True)
def integers_that_wrap_around():
    """Let random numbers overflow in silence, as compiled ones do."""
    with np.errstate(**({"over": "ignore"} if INTERPRETED else {})):
        yield
