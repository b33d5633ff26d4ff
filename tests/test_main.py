"""``sgdopt`` and ``python -m sklearn_sgdopt``: the table, the results, and one line for each mistake."""

import os
import runpy
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_linnerud

from sklearn_sgdopt._cli import command, comparison, main, outputs

PNG = b"\x89PNG\r\n\x1a\n"
HEADER = ["solver", "epochs", "seconds", "training", "loss", "test", "R2"]
NAMES = ["gd", "sgd", "momentum", "adam", "least"]


def write_csv(path, values, header):
    np.savetxt(path, values, delimiter=",", header=header, comments="", fmt="%.17g")
    return path


@pytest.fixture
def csv(tmp_path, monkeypatch):
    """Return a file of numbers in the working directory, where `loss_curves.png` is written too."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    X = generator.normal(size=(200, 2)) * [1.0, 100.0] + [0.0, 1e4]
    values = np.column_stack([X, X @ [2.0, 0.03] + generator.normal(size=200)])
    return write_csv(tmp_path / "data.csv", values, "width,length,price")


def table_of(output):
    """Return the lines of the table, cut into words."""
    lines = [line.split() for line in output.splitlines()]
    start = lines.index(HEADER)
    return lines[start + 1 : start + 6]


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "sklearn_sgdopt", *arguments],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output="stdout" not in options,
        check=False,
        timeout=300,
        **options,
    )


def test_diabetes_by_default(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == HEADER
    assert [line.split()[0] for line in lines[1:6]] == NAMES
    losses = [float(line.split()[-2]) for line in lines[1:6]]
    assert max(losses) < 1.006 * losses[-1]
    assert min(losses) > 0.999 * losses[-1]
    assert lines[6:] == ["Loss curves: loss_curves.png"]
    assert (tmp_path / "loss_curves.png").read_bytes().startswith(PNG)


def test_a_file(csv, capsys):
    assert main(["data.csv"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(
        "data.csv: 200 samples, 2 features; "
        "target 'price', the last column; --target chooses another\nsolver "
    )
    scores = [float(line[-1]) for line in table_of(output)]
    np.testing.assert_allclose(scores, scores[-1], atol=0.005)
    assert csv.with_name("loss_curves.png").read_bytes().startswith(PNG)


def test_a_target_that_is_given(csv, capsys):
    assert main(["data.csv", "--target", "width", "--no-plot"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("data.csv: 200 samples, 2 features; target 'width'\nsolver ")
    assert "Loss curves" not in output
    assert not csv.with_name("loss_curves.png").exists()


def test_options_reach_the_file(tmp_path, capsys):
    path = tmp_path / "odd.txt"
    lines = [f"{k % 7},25~{k % 5}~Ulm" for k in range(40)] + ["~1~Ulm"]
    path.write_text("\n".join(["width~price~city", *lines]))
    layout = ["--sep", "~", "--decimal", ","]
    assert main([str(path), *layout, "--ignore", "city", "--drop-missing", "--no-plot"]) == 0
    output = capsys.readouterr().out
    assert "odd.txt: 40 samples, 1 feature; target 'price', the last column" in output
    assert "note: 1 of 41 samples left out" in output


def test_coefficients_of_the_best_solver(csv, capsys):
    assert main(["data.csv", "--no-plot"]) == 0
    output = capsys.readouterr().out
    scores = {line[0]: float(line[-1]) for line in table_of(output)[:4]}
    title, *rows = output.splitlines()[-4:]
    best = title.removeprefix("Coefficients of ").split(",")[0]
    assert title == f"Coefficients of {best}, the best on the test samples:"
    assert scores[best] == max(scores.values())
    values = {name: float(value) for name, value in map(str.split, rows)}
    assert list(values) == ["width", "length", "(intercept)"]
    np.testing.assert_allclose([values["width"], values["length"]], [2.0, 0.03], rtol=0.1)


def test_of_many_coefficients_the_largest_effects_are_shown(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(120, 30)) * 10.0 ** np.arange(-15, 15)
    y = X[:, 7] * 1e8 * 5.0 + X[:, 21] * 1e-6 * 3.0 + X @ (0.01 * 10.0 ** -np.arange(-15, 15.0))
    path = write_csv(tmp_path / "d.csv", np.c_[X, y], ",".join([*(f"f{k}" for k in range(30)), "y"]))
    assert main([str(path), "--no-plot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("Coefficients"))
    assert "the 20 of 30 with the largest effect" in lines[at]
    assert [line.split()[0] for line in lines[at + 1 : at + 3]] == ["f7", "f21"]
    assert len(lines[at + 1 :]) == 21


@pytest.mark.parametrize("name", ["noext", ".hidden", "curves.PNG", "a b.png"])
def test_the_picture_has_the_name_that_was_given(name, tmp_path, capsys):
    assert main(["--output", str(tmp_path / name)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(PNG)
    assert capsys.readouterr().out.endswith(f"Loss curves: {tmp_path / name}\n")


@pytest.fixture(scope="module")
def fitted():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return {"gd": comparison.GradientDescentRegressor("gd", epochs=3, tol=None).fit(X, y)}


@pytest.mark.parametrize("ending", outputs.FORMATS)
def test_every_format_that_is_named_works(ending, fitted, tmp_path):
    path = tmp_path / f"picture.{ending}"
    outputs.save_picture(fitted, path)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_size > 1000


def test_the_best_model_is_saved(csv, capsys):
    io = pytest.importorskip("skops.io")
    assert main(["data.csv", "--no-plot", "--save", "model.skops"]) == 0
    output = capsys.readouterr().out.splitlines()
    model = io.load("model.skops", trusted=io.get_untrusted_types(file="model.skops"))
    assert output[-1] == f"Model ({model.solver}): model.skops"
    width = next(line.split()[1] for line in output if line.startswith("  width"))
    assert f"{model.coef_[0]:.6g}" == width


MISTAKES = {
    "missing file": (["none.csv"], "cannot read none.csv: No such file or directory"),
    "unknown column": (["data.csv", "--target", "weight"], "its columns are 'width', 'length', 'price'"),
    "a folder": (["folder"], "cannot read folder: it is a folder"),
    "a pipe": (["pipe"], "cannot read pipe: it is a pipe or a device"),
    "unknown format": (
        ["--output", "x.xyz"],
        ".xyz is not a known format; known are eps, jpeg, jpg, pdf, png",
    ),
    "picture into a folder": (["--output", "folder"], "cannot write folder: it is a folder"),
    "picture into a pipe": (["--output", "pipe"], "cannot write pipe: it is a folder, a pipe or a device"),
    "picture nowhere": (["--output", "no/x.png"], "cannot write no/x.png: the folder no does not exist"),
    "picture over the table": (["table", "--output", "./table"], "table is given twice"),
    "model over the table": (["data.csv", "--save", "data.csv"], "data.csv is given twice"),
    "model over the picture": (["--save", "a", "--output", "./a"], "a is given twice"),
    "too long a name": (["--output", "x" * 300], "File name too long"),
    "constant": (["constant.csv"], "the target 'y' is 3 in all 40 samples: there is nothing to learn"),
    "constant in training": (["almost.csv"], "the target 'y' is 3 in all 30 training samples"),
    "huge": (["huge.csv"], "huge.csv, line 2, column 'a': 1e+200 is too large"),
    "escapes": (["data.csv", "--target", "\x1b[31m"], r"no column '\x1b[31m'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line(mistake, csv, capsys):
    arguments, expected = MISTAKES[mistake]
    os.mkdir("folder")
    os.mkfifo("pipe")
    a = np.random.default_rng(0).normal(size=40)
    csv.with_name("table").write_text(csv.read_text())
    write_csv("constant.csv", np.c_[a, np.full(40, 3.0)], "a,y")
    write_csv("huge.csv", np.c_[a * 0 + 1e200, a], "a,y")
    test = comparison.train_test_split(np.arange(40), test_size=0.25, random_state=0)[1]
    write_csv("almost.csv", np.c_[a, np.where(np.arange(40) == test[0], 4.0, 3.0)], "a,y")
    before = sorted(path.name for path in csv.parent.iterdir())
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.strip().isprintable()
    assert expected in captured.err
    assert HEADER not in [line.split() for line in captured.out.splitlines()]
    assert sorted(path.name for path in csv.parent.iterdir()) == before


USAGE = {
    "target alone": (["--target", "y"], "--target is about a FILE, and none was given"),
    "ignore swallows the file": (["--ignore", "a", "data.csv"], "write FILE first: FILE --ignore"),
    "sep alone": (["--sep", ";"], "--sep is about a FILE"),
    "drop alone": (["--drop-missing"], "--drop-missing is about a FILE"),
    "two letters": (["data.csv", "--sep", "ab"], "'ab' is not a separator; give one character"),
    "a digit": (["data.csv", "--sep", "1"], "'1' is not a separator"),
    "a decimal mark": (["data.csv", "--decimal", ";"], "invalid choice"),
    "both": (["--no-plot", "--output", "x.png"], "not allowed with"),
}


@pytest.mark.parametrize("case", USAGE)
def test_options_that_make_no_sense(case, capsys):
    arguments, expected = USAGE[case]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(("given", "character"), [(";", ";"), ("tab", "\t"), (r"\t", "\t"), ("space", " ")])
def test_separators_by_name(given, character):
    assert command.separator(given) == character


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        (
            "matplotlib.figure",
            [],
            "pip install matplotlib` (the extra `plot` of sklearn-sgdopt), or give --no-plot",
        ),
        (
            "skops.io",
            ["--save", "m", "--no-plot"],
            "--save needs skops, which is not installed; run `pip install skops`",
        ),
    ],
)
def test_what_is_not_installed_is_named(module, arguments, expected, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.out == ""


def test_without_matplotlib_it_goes_without_a_picture(csv, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["data.csv", "--no-plot"]) == 0
    assert len(table_of(capsys.readouterr().out)) == 5


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


@pytest.mark.parametrize(
    ("owner", "name", "error", "expected"),
    [
        (
            comparison.LinearRegression,
            "fit",
            ValueError("two\nlines"),
            "least squares cannot be trained on these samples: two lines",
        ),
        (comparison.LinearRegression, "fit", OverflowError("large"), "least squares cannot be trained"),
        (
            outputs.Path,
            "write_bytes",
            OSError(28, "No space left"),
            "cannot write loss_curves.png: No space left",
        ),
        (command, "compare", MemoryError(), "there is not enough memory"),
        (command, "compare", KeyboardInterrupt(), "interrupted"),
        (command, "compare", OSError(28, "No space left"), "cannot print: No space left"),
    ],
)
def test_failing_is_exit_code_1(owner, name, error, expected, csv, monkeypatch, capsys):
    monkeypatch.setattr(owner, name, raising(error))
    assert main(["data.csv"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {expected}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (lambda k: k, lambda k: 2 * k + 1),  # a loss of nothing at the end
        (lambda k: k * 0.0, lambda k: 1e8 + 1e-7 * k),  # nothing to learn from
        (lambda k: k * 1e98, lambda k: -(k**2) * 1e96),
        (lambda k: k * 1e-300, lambda k: k**2 * 1e-99),
    ],
)
def test_numbers_at_the_edge(x, y, tmp_path, capsys):
    k = np.random.default_rng(0).permutation(40) * 1.0
    path = write_csv(tmp_path / "edge.csv", np.c_[x(k), y(k)], "x,y")
    assert main([str(path), "--output", str(tmp_path / "p.png")]) == 0
    assert len(table_of(capsys.readouterr().out)) == 5
    assert (tmp_path / "p.png").read_bytes().startswith(PNG)


def test_warnings_are_notes_below_the_table(csv, capsys, monkeypatch):
    import warnings

    fit = comparison.fit

    def warning_fit(name, *arguments):
        warnings.warn("same\nfor all", UserWarning, stacklevel=1)
        warnings.warn(f"of {name}", RuntimeWarning, stacklevel=1)
        fit(name, *arguments)

    monkeypatch.setattr(comparison, "fit", warning_fit)
    assert main(["data.csv", "--no-plot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = [line.split() for line in lines].index(HEADER) + 6
    notes = ["same for all", "of gd", "of sgd", "of momentum", "of adam", "of least squares"]
    assert lines[start : start + 6] == [f"note: {note}" for note in notes]


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"sklearn_sgdopt {version('sklearn-sgdopt')}\n"


@pytest.mark.slow
def test_as_a_module():
    run = process("nothing.csv")
    assert (run.returncode, run.stdout) == (2, b"")
    assert run.stderr.decode().splitlines() == ["error: cannot read nothing.csv: No such file or directory"]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "codes"), [(["--no-plot"], {1}), (["--help"], {0, 1})])
def test_a_reader_that_goes_away_is_no_error(arguments, codes):
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        run = process(*arguments, stdout=write_end, stderr=subprocess.PIPE)
    finally:
        os.close(write_end)
    assert run.stderr == b""
    assert run.returncode in codes  # argparse itself ignores it where output is not buffered


@pytest.mark.slow
def test_standard_input(csv):
    run = process("-", "--no-plot", input=csv.read_bytes(), cwd=os.getcwd())
    assert run.returncode == 0
    assert run.stdout.startswith(b"standard input: 200 samples")


@pytest.mark.parametrize(
    ("arguments", "prog"), [(["nothing.csv"], None), (["--help"], "python -m sklearn_sgdopt")]
)
def test_exit_code(arguments, prog, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sklearn_sgdopt", *arguments])
    monkeypatch.delitem(sys.modules, "sklearn_sgdopt.__main__", raising=False)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("sklearn_sgdopt", run_name="__main__")
    captured = capsys.readouterr()
    assert stop.value.code == (0 if prog else 2)
    assert (
        captured.out.startswith(f"usage: {prog}") if prog else captured.err.startswith("error: cannot read")
    )


def test_small_data_of_the_real_world(tmp_path, capsys):
    data = load_linnerud()
    values = np.c_[data.data, data.target[:, data.target_names.index("Weight")]]
    path = write_csv(tmp_path / "linnerud.csv", values, ",".join([*data.feature_names, "weight"]))
    assert main([str(path), "--no-plot"]) == 0
    assert [line[0] for line in table_of(capsys.readouterr().out)] == NAMES
