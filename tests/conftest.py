"""Settings that all tests share."""

import os
import sys

# SciPy reads it when it is first imported; without it scikit-learn skips its array API check.
os.environ["SCIPY_ARRAY_API"] = "1"

import hypothesis
import pytest

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


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_collection_modifyitems(items):
    """Mark the first case of each test as quick, unless it is slow: a table has one body and many cases."""
    seen = set()
    for item in items:
        test = (item.path, getattr(item, "originalname", None))
        if test[1] is None or test in seen:  # no function of a test file, or another case of one
            continue
        seen.add(test)
        if item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.quick)
