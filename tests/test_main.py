"""``python -m sklearn_sgdopt``: the table, the picture, and one line for each mistake."""

import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_linnerud

from sklearn_sgdopt.__main__ import main

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def csv(tmp_path):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(200, 2)) * [1.0, 100.0] + [0.0, 1e4]
    table = np.column_stack([X, X @ [2.0, 0.03] + generator.normal(size=200)])
    path = tmp_path / "data.csv"
    np.savetxt(path, table, delimiter=",", header="width,length,price", comments="")
    return path


def test_diabetes_by_default(tmp_path, capsys):
    picture = tmp_path / "curves.png"
    assert main(["--output", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["solver", "epochs", "seconds", "training", "loss", "test", "R2"]
    assert [line.split()[0] for line in lines[1:6]] == ["gd", "sgd", "momentum", "adam", "least"]
    losses = [float(line.split()[-2]) for line in lines[1:6]]
    assert max(losses) < 1.006 * losses[-1]
    assert min(losses) > 0.999 * losses[-1]
    assert picture.read_bytes().startswith(PNG)


def test_a_file(csv, tmp_path, capsys):
    assert main([str(csv), "--target", "price", "--output", str(tmp_path / "p.png")]) == 0
    scores = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[1:6]]
    np.testing.assert_allclose(scores, scores[-1], atol=0.005)


def replaced(csv, old, new):
    csv.write_text(csv.read_text().replace(old, new, 1))
    return csv


def written(csv, data):
    csv.write_bytes(data)
    return csv


MISTAKES = {
    "missing file": (lambda csv: csv.with_name("none.csv"), "price", "none.csv: No such file"),
    "unknown column": (lambda csv: csv, "weight", "no column 'weight'; its columns are width, length, price"),
    "text": (lambda csv: replaced(csv, "\n", "\nwide,1,2\n"), "price", "line 2, column 'width': 'wide'"),
    "nan": (lambda csv: replaced(csv, "\n", "\n1,nan,2\n"), "price", "line 2, column 'length': 'nan'"),
    "short line": (lambda csv: replaced(csv, "\n", "\n1,2\n"), "price", "line 2 has 2 values, the header"),
    "empty": (lambda csv: written(csv, b""), "price", "is empty"),
    "header only": (lambda csv: written(csv, b"a,price\n"), "price", "0 rows"),
    "no feature": (lambda csv: written(csv, b"price\n" + b"1\n" * 20), "price", "no column besides"),
    "binary": (lambda csv: written(csv, b"\xff\xfe\x00"), "price", "not a CSV file in UTF-8"),
    "a folder": (lambda csv: csv.parent, "price", "cannot read"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line(mistake, csv, capsys):
    prepare, target, expected = MISTAKES[mistake]
    assert main([str(prepare(csv)), "--target", target]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert captured.out == ""


def test_file_and_target_go_together(csv, capsys):
    with pytest.raises(SystemExit) as stop:
        main([str(csv)])
    assert stop.value.code == 2
    assert "go together" in capsys.readouterr().err


def test_as_a_module(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "sklearn_sgdopt", "nothing.csv", "--target", "y"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert "Traceback" not in run.stderr


def test_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sklearn_sgdopt", "nothing.csv", "--target", "y"])
    monkeypatch.delitem(sys.modules, "sklearn_sgdopt.__main__")
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("sklearn_sgdopt", run_name="__main__")
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: cannot read nothing.csv: No such file or directory\n"


def test_warnings_are_notes_below_the_table(tmp_path, capsys):
    """Two columns that are all but the same are slow to tell apart."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 40))
    path = tmp_path / "twins.csv"
    table = np.column_stack([first, first + 1e-3 * second, second])
    np.savetxt(path, table, delimiter=",", header="a,b,y", comments="")
    picture = tmp_path / "p.png"
    assert main([str(path), "--target", "y", "--output", str(picture)]) == 0
    *_, last = lines = capsys.readouterr().out.splitlines()
    notes = [line for line in lines if line.startswith("note: ")]
    assert lines[6:] == [*notes, f"Loss curves: {picture}"]
    assert last == lines[-1]
    assert len(notes) == len(set(notes)) > 0
    assert all("nearly collinear" in note for note in notes)


def test_small_data_of_the_real_world(tmp_path, capsys):
    data = load_linnerud(as_frame=True)
    path = tmp_path / "linnerud.csv"
    data.data.assign(weight=data.target["Weight"]).to_csv(path, index=False)
    assert main([str(path), "--target", "weight", "--output", str(tmp_path / "p.png")]) == 0
    assert "adam" in capsys.readouterr().out
