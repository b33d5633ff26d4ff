"""The snippets of the page "Works with" run, with the versions that stand there."""

import csv
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
FOLDER = DOCS / "works_with"
PACKAGES = {
    "with_optuna": ["optuna"],
    "with_mapie": ["mapie"],
    "with_skforecast": ["skforecast"],
    "with_river": ["river"],
    "with_shap": ["shap"],
    "with_skops": ["skops"],
    "with_mlflow": ["mlflow"],
    "with_onnx": ["skl2onnx", "onnxruntime"],
}

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")


def installed(package):
    """Return the version of a package, or None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@pytest.mark.parametrize("name", PACKAGES)
def test_snippet(name, tmp_path):
    if missing := [package for package in PACKAGES[name] if installed(package) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    environment = os.environ | {"MPLBACKEND": "Agg", "DO_NOT_TRACK": "true"}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert "ConvergenceWarning" not in run.stderr


def test_every_snippet_is_on_the_page_and_is_run():
    page = (DOCS / "works_with.rst").read_text(encoding="utf-8")
    shown = re.findall(r"literalinclude:: works_with/(\w+)\.py", page)
    assert sorted(shown) == sorted(PACKAGES) == sorted(path.stem for path in FOLDER.glob("*.py"))


def test_versions_on_the_page_are_those_that_run():
    with open(FOLDER / "versions.csv", encoding="utf-8", newline="") as file:
        shown = {row["package"]: row["version"] for row in csv.DictReader(file)}
    assert set(shown) == {"scikit-learn", *(package for each in PACKAGES.values() for package in each)}
    running = {package: installed(package) for package in shown}
    if None in running.values():
        pytest.skip("the extra works-with is not installed")
    assert shown == running, "put the versions that are installed into docs/works_with/versions.csv"
