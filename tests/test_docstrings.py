"""Docstrings of all that is public have the sections of numpydoc, and name the parameters that there are."""

import inspect

import pytest

import sklearn_sgdopt
from sklearn_sgdopt import chunks

validate = pytest.importorskip("numpydoc.validate").validate
# Sections that not every object needs; and that Returns has a name before its type, as in scikit-learn.
LEFT_OUT = {"ES01", "EX01", "RT02", "RT03", "SA01"}


def public_objects():
    """Import paths of public functions, classes, and their own methods."""
    for module in (sklearn_sgdopt, chunks):
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing):
                continue
            yield f"{module.__name__}.{name}"
            if inspect.isclass(thing):
                for method in vars(thing):
                    if not method.startswith("_") and not method.endswith("_request"):  # scikit-learn's
                        yield f"{module.__name__}.{name}.{method}"


@pytest.mark.parametrize("path", [*public_objects()])
def test_docstrings_are_those_of_numpydoc(path):
    assert [error for error in validate(path)["errors"] if error[0] not in LEFT_OUT] == []
