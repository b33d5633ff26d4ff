"""What an import of the package imports, in a fresh Python."""

import subprocess
import sys

import pytest

import sklearn_sgdopt

OTHERS = "print(*(m for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names))"


def imported(code):
    """Modules outside the standard library that are loaded after ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{OTHERS}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_package_alone_imports_nothing():
    assert imported("import sklearn_sgdopt") - imported("") == {"sklearn_sgdopt"}


def test_the_estimator_imports_nothing_that_scikit_learns_linear_models_do_not():
    ours = imported("from sklearn_sgdopt import GradientDescentRegressor")
    others = ours - imported("import sklearn.linear_model")
    assert "sklearn_sgdopt._regressor" in others
    assert {name.split(".")[0] for name in others} == {"sklearn_sgdopt"}
    assert not [name for name in others if "_display" in name or "_minimize" in name]


def test_all_public_names_are_found():
    code = "from sklearn_sgdopt import *\nimport sklearn_sgdopt as package\n"
    code += "assert all(globals()[name] is getattr(package, name) for name in package.__all__)"
    assert "sklearn_sgdopt._display.coefficients" in imported(code)
    assert set(sklearn_sgdopt.__all__) <= set(dir(sklearn_sgdopt))
    with pytest.raises(AttributeError, match="module 'sklearn_sgdopt' has no attribute 'Regressor'"):
        _ = sklearn_sgdopt.Regressor
    with pytest.raises(ImportError, match="cannot import name 'Regressor'"):
        from sklearn_sgdopt import Regressor  # noqa: F401
