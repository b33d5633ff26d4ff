"""Each instruction set gives the results of the others, and the stub says what is compiled."""

import ast
import inspect
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from cases import rules_at
from reference import LOSSES, assert_close, make_problem
from scipy import sparse

import sklearn_sgdopt
from sklearn_sgdopt import GradientDescentRegressor, _kernels
from sklearn_sgdopt._kernels import bindings

LEVELS = _kernels.levels()
FORMS = {
    "dense": np.asarray,
    "dense32": lambda X: X.astype(np.float32),
    "csr": sparse.csr_array,
    "csr32": lambda X: sparse.csr_array(X.astype(np.float32)),
}
RULES = rules_at(0.003, gd=0.1, sgd=0.02, adam=0.02)
RULES["adam"]["epsilon"] = 1e-4


@pytest.fixture(autouse=True)
def level_of_before():
    before = _kernels.level()
    yield
    _kernels.set_level(before)


@pytest.mark.parametrize("batch_size", [1, 5, 32, 96])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_instruction_sets_agree(rule, form, batch_size):
    X, y, weight = make_problem(96, 5, outputs=2)
    X[np.abs(X) < 0.2] = 0.0
    narrow = form.endswith("32")
    for loss, (standardize, whiten, average, penalty) in itertools.product(
        ["squared_error", "huber"] if narrow else LOSSES,
        [(False, "auto", False, None), (True, "auto", True, "l2"), (True, False, True, "elasticnet")],
    ):
        model = GradientDescentRegressor(
            **RULES[rule], **LOSSES[loss], loss=loss, standardize=standardize, whiten=whiten, average=average,
            penalty=penalty, alpha=0.1, batch_size=batch_size, epochs=3, tol=None, random_state=0,
        )  # fmt: skip
        found = []
        for level in LEVELS:
            _kernels.set_level(level)
            model.fit(FORMS[form](X), y, weight)
            found.append(np.column_stack([model.coef_, model.intercept_]))
            curve = model.loss_curve_
        for other in found[1:]:
            assert_close(other, found[0], 1e-5 if narrow else 1e-12)
        assert np.isfinite(curve).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_statistics_agree(form, weighted):
    X, y, weight = make_problem(301, 7, outputs=2)
    X[np.abs(X) < 0.2] = 0.0
    samples = _kernels.Samples(FORMS[form](X), y, weight if weighted else None)
    rng = np.random.default_rng(0)
    center, theta = np.zeros(7), rng.standard_normal((2, 8))
    objective = _kernels.Objective(1, np.ones(2), 0.5, 0.0, 0.0)
    at = _kernels.Coordinates(center, np.ones(8))
    found = []
    for level in LEVELS:
        _kernels.set_level(level)
        mean, variance, mass = _kernels.column_moments(samples)
        found.append([
            mean, variance, [mass], _kernels.sample_sizes(samples, at, 1.0),
            _kernels.mean_losses(samples, center, theta, objective),
            _kernels.whole_gradient(samples, center, theta, objective),
        ])  # fmt: skip
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert_close(other, one, 1e-5 if form.endswith("32") else 1e-12)


def test_orders_are_the_same():
    for rows, features in ((1000, 3), (5000, 40)):
        orders, sampled = [], []
        for level in LEVELS:
            _kernels.set_level(level)
            orders.append(_kernels.shuffled(rows, features, np.array([5], np.uint64)))
            sampled.append(_kernels.sampled_rows(rows, 7))
        for values in (orders, sampled):
            assert all(np.array_equal(values[0], other) for other in values[1:])


def test_the_best_instruction_set_is_in_force():
    assert _kernels.level() == LEVELS[0]
    assert LEVELS[-1] in {"x86-64", "baseline"}  # which any processor runs
    assert len(set(LEVELS)) == len(LEVELS)
    for level in LEVELS:
        _kernels.set_level(level)
        assert _kernels.level() == level


@pytest.mark.parametrize("name", ["", "avx", "X86-64", None, 3])
def test_unknown_instruction_sets_are_refused(name):
    before = _kernels.level()
    with pytest.raises(ValueError, match=re.escape(f"runs the instruction sets {LEVELS}; got {name!r}.")):
        _kernels.set_level(name)
    assert _kernels.level() == before


@pytest.mark.parametrize("level", LEVELS)
def test_show_versions_tells_the_instruction_set(level, capsys):
    _kernels.set_level(level)
    sklearn_sgdopt.show_versions()
    told = capsys.readouterr().out
    assert re.search(rf"^ *instruction set: {re.escape(level)}$", told, re.MULTILINE)
    assert re.search(rf"^ *available: {re.escape(', '.join(LEVELS))}$", told, re.MULTILINE)
    assert re.search(rf"^ *numpy: {re.escape(np.__version__)}$", told, re.MULTILINE)


# -------------------------------------------------------------------------------------------------- stub


STUB = ast.parse((Path(sklearn_sgdopt.__file__).parent / "_kernels" / "bindings.pyi").read_text())


def parameters(function):
    """Names and defaults of a function of the stub, without self."""
    given = function.args
    names = [arg.arg for arg in [*given.posonlyargs, *given.args]]
    defaults = [None] * (len(names) - len(given.defaults)) + [ast.unparse(d) for d in given.defaults]
    pairs = dict(zip(names, defaults, strict=True))
    for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        pairs[arg.arg] = None if default is None else ast.unparse(default)
    pairs.pop("self", None)
    return pairs


def compiled_parameters(thing):
    """Names and defaults of a compiled function, or of a class, whose documentation has its signature."""
    if not isinstance(thing, type):
        own = inspect.signature(thing).parameters.values()
        return {p.name: None if p.default is p.empty else repr(p.default) for p in own if p.name != "self"}
    (told,) = re.findall(rf"^{thing.__name__}\((.*)\)$", str(thing.__doc__).splitlines()[0])
    found: dict[str, str | None] = {}
    for part in re.split(r", (?![^\[]*\])", told):
        name, _, default = part.partition("=")
        if name != "*":
            found[name.split()[-1]] = default or None
    return found


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_the_stub_has_the_names_of_the_module():
    told = {node.name for node in STUB.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    told |= {ast.unparse(node.target) for node in STUB.body if isinstance(node, ast.AnnAssign)}
    assert public(told) == public(vars(bindings)) - {"np", "map_in_order"}
    assert public(_kernels.__all__) <= public(told)


@pytest.mark.parametrize(
    "node",
    [node for node in STUB.body if isinstance(node, ast.FunctionDef | ast.ClassDef)],
    ids=lambda node: node.name,
)
def test_the_stub_has_the_signatures_of_the_module(node):
    thing = getattr(bindings, node.name)
    if isinstance(node, ast.FunctionDef):
        assert parameters(node) == compiled_parameters(thing)
        assert node.returns is not None
        return
    members = [member for member in node.body if isinstance(member, ast.FunctionDef)]
    assert public(member.name for member in members) == public(vars(thing))
    assert [getattr(bindings, ast.unparse(base)) for base in node.bases] == [
        base for base in thing.__bases__ if base is not object
    ]
    for member in members:
        assert all(arg.annotation for arg in member.args.args[1:] + member.args.kwonlyargs)
        if member.name == "__init__":
            told, compiled = parameters(member), compiled_parameters(thing)
            assert list(told) == list(compiled)
            assert {k: v for k, v in told.items() if v != "..."} == {
                k: v for k, v in compiled.items() if told[k] != "..."
            }
        elif not member.decorator_list and member.name != "__call__":
            assert parameters(member) == compiled_parameters(getattr(thing, member.name))
