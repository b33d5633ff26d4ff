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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GradientDescentRegressor", "minimize_adam"])
def test_no_name_imports_what_scikit_learns_linear_models_do_not(name):
    others = imported(f"from sklearn_sgdopt import {name}") - imported("import sklearn.linear_model")
    assert f"sklearn_sgdopt.{'_regressor' if name == 'GradientDescentRegressor' else '_minimize'}" in others
    # Cython keeps what its modules share in one of its own.
    assert {m.partition(".")[0] for m in others if not m.startswith("_cython_")} == {"sklearn_sgdopt"}
    assert not [module for module in others if "_display" in module]


@pytest.mark.slow
def test_all_public_names_are_found():
    code = "from sklearn_sgdopt import *\nimport sklearn_sgdopt as package\n"
    code += "assert all(globals()[name] is getattr(package, name) for name in package.__all__)"
    assert "sklearn_sgdopt._display.coefficients" in imported(code)
    assert set(sklearn_sgdopt.__all__) <= set(dir(sklearn_sgdopt))
    with pytest.raises(AttributeError, match="module 'sklearn_sgdopt' has no attribute 'Regressor'"):
        _ = sklearn_sgdopt.Regressor
    with pytest.raises(ImportError, match="cannot import name 'Regressor'"):
        from sklearn_sgdopt import Regressor  # noqa: F401
